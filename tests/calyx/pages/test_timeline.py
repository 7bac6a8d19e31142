"""The section "Where the time went" of report.html."""

import re

import pytest

from calyx.pages.timeline import NAMES, WIDTH, time_section
from calyx.run.profile import ProfileRow, Stretch


def row(number, lane, length, unlisted=0, **seconds):
    at, stretches = 0.0, []
    for phase, took in seconds.items():
        stretches.append(Stretch(phase=phase, at=at, seconds=took))
        at += took
    return ProfileRow(
        round=number,
        lane=lane,
        length=length,
        seconds=seconds,
        stretches=tuple(stretches),
        unlisted=unlisted,
    )


ROWS = [
    row(0, "server", 9.0, load=1.0),
    row(1, "server", 1.0, idle=0.5),
    row(1, "worker 1", 1.0, train=0.75, idle=0.25),
    row(2, "server", 3.0, idle=2.5),
    row(2, "worker 1", 3.0, train=2.25),
    row(2, "server, <i>", 3.0, write=0.5),
]


def test_nothing_is_said_of_a_run_that_was_not_profiled():
    assert time_section([]) is None


def test_seconds_and_shares_are_of_the_rounds():
    """Of four seconds a worker trains three; what no phase has is other, and of a thread beside nothing."""
    section = time_section(ROWS)
    shares = {
        line.name: {
            h: c[1].replace("\u202f", " ")
            for h, c in zip(section.heads, line.cells, strict=True)
            if c[1]
        }
        for line in section.lines
    }
    assert shares == {
        "server": {"idle": "75.0 %", "other": "25.0 %"},
        "server, <i>": {"write": "12.5 %"},
        "worker 1": {"train": "75.0 %", "idle": "6.2 %", "other": "18.8 %"},
    }
    assert "2 rounds" in section.lead


def test_the_timeline_is_of_a_round_that_is_listed_whole_and_escapes_names():
    cut = [row(3, "server", 2.0, unlisted=1, idle=2.0)]
    figure = time_section([*ROWS, *cut]).figure
    assert figure.title.startswith("Round 1, ")
    (train,) = re.findall(
        r'<rect x="([0-9.]+)" y="[0-9.]+" width="([0-9.]+)"[^>]* class="phase train">',
        figure.drawing,
    )
    inner = WIDTH - 10 - NAMES
    assert [float(v) for v in train] == pytest.approx([NAMES, 0.75 * inner], abs=0.1)
    assert "<i>" not in figure.drawing
    assert time_section(cut).figure is None
