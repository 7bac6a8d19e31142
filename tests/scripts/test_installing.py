"""scripts/installing.py: what a person sees of an install, by pip's own lines and a clock of ours."""

import io
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "scripts" / "installing.py"
SPEC = spec_from_file_location("installing", FILE)
installing = module_from_spec(SPEC)
SPEC.loader.exec_module(installing)
FETCHING = [  # of pip 23 and 26
    "Obtaining file:///home/ada/calyx",
    "  Installing build dependencies: started",
    "Collecting torch>=2.6 (from calyx==0.1.0)",
    "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)",
    "  Downloading /mirror/pool/torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (190.3 MB)",
]
BUILDING = "Building wheels for collected packages: antlr4-python3-runtime, calyx"
INSTALLING = "Installing collected packages: antlr4-python3-runtime, torch, calyx"


def sentence(lines, installed=0):
    stage = installing.Stage()
    for line in lines:
        stage.read(f"{line}\n")
    return stage.sentence(installed)


@pytest.mark.parametrize(
    ("lines", "installed", "expected"),
    [
        ([], 0, "asking what Calyx needs"),
        (FETCHING[:3], 0, "asking what Calyx needs, packages so far: 2"),
        (FETCHING, 0, "fetching torch (190.3 MB), packages so far: 2"),
        ([*FETCHING, BUILDING], 0, "building antlr4-python3-runtime, packages so far: 2"),
        ([*FETCHING, BUILDING, INSTALLING], 1, "1 of 3 packages installed"),
        ([*FETCHING, BUILDING, INSTALLING], 9, "3 of 3 packages installed"),
        (
            ["Processing /wheels/torch-2.13.0-cp311.whl"],
            0,
            "asking what Calyx needs, packages so far: 1",
        ),
        (["WARNING: pip is old", "\x1b[31mwhatever"], 0, "asking what Calyx needs"),
    ],
)
def test_pips_lines_say_where_it_is(lines, installed, expected):
    assert sentence(lines, installed) == expected


class Terminal(io.StringIO):
    def isatty(self):
        return True


def said(stream, times, end=""):
    """A line that is said at these seconds."""
    clock = iter([0.0, *times, times[-1]])
    line = installing.Line(stream, lambda: next(clock))
    for time in times:
        line.say(f"at {time:g}")
    line.end(end)
    return stream.getvalue()


def test_without_a_terminal_there_is_a_line_every_ten_seconds_at_most():
    told = said(io.StringIO(), [0, 5, 9.9, 10, 10.5, 19.9, 20, 75], "ready")
    assert told.splitlines() == [
        "  0:10  at 10",
        "  0:20  at 20",
        "  1:15  at 75",
        "  1:15  ready",
    ]


def test_a_quick_install_without_a_terminal_says_only_that_it_is_ready():
    assert said(io.StringIO(), [0, 0.5, 1], "ready") == "  0:01  ready\n"


def test_a_terminal_has_one_line_that_changes_and_is_never_wider(monkeypatch):
    monkeypatch.setenv("COLUMNS", "12")
    told = said(Terminal(), [0, 0.5])
    assert told == "\r  0:00  at \x1b[K\r  0:00  at \x1b[K\r\x1b[K"


def test_the_last_lines_begin_with_pips_first_error():
    noise = [f"Collecting package-{i}" for i in range(30)]
    error = ["  ERROR: no matching distribution", "    of flwr"]
    assert installing.last_lines("\n".join([*noise, *error, ""])) == error
    assert installing.last_lines("\n".join(noise)) == noise[-12:]
    assert installing.last_lines("") == []
