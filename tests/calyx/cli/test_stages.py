"""How far something is that takes long: a line every ten seconds, by a clock of ours; on a terminal one."""

import io

import pytest
from support.federation import config_of

from calyx.cli.stages import Waiting, progress_line
from calyx.simulation.planning import plan


class Terminal(io.StringIO):
    def isatty(self):
        return True


def waited(stream, times):
    """What is written when client after client is read at these seconds."""
    now = [0.0]
    with Waiting(stream, lambda: now[0]) as waiting:
        for done, now[0] in enumerate(times):
            waiting.progress("reading", done, 100)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("reading", 3, 100), "reading rows: 3 of 100 clients"),
        (("train", 0, 10), "training: 0 of 10 clients"),
        (("query.statistics", 1, 10), "auditing the data: 1 of 10 clients"),
        (("baselines", 2, 11), "training baselines: 2 of 11 models"),
        (("baselines", 2, 11, "epoch 3"), "training baselines: 2 of 11 models · epoch 3"),
    ],
)
def test_a_line_says_what_and_how_much_of_it(told, expected):
    assert progress_line(*told) == expected


def test_without_a_terminal_nothing_quick_is_said_and_what_takes_long_every_ten_seconds():
    assert waited(io.StringIO(), [0, 2, 9.9]) == ""
    assert waited(io.StringIO(), [0, 9, 10, 19, 21, 30.5, 31]).splitlines() == [
        "reading rows: 2 of 100 clients …",
        "reading rows: 4 of 100 clients …",
        "reading rows: 6 of 100 clients …",
    ]


def test_on_a_terminal_one_line_changes_and_goes_away():
    assert waited(Terminal(), [0, 0.5]) == ""
    told = waited(Terminal(), [0, 1.5, 2])
    lines = ["reading rows: 1 of 100 clients …", "reading rows: 2 of 100 clients …"]
    assert told == "".join(f"\r{line}\x1b[K" for line in lines) + "\r\x1b[K"


def test_a_plan_says_whose_rows_it_reads():
    told = []
    plan(config_of("task.num_clients=3", "privacy=none"), progress=lambda *one: told.append(one))
    assert told == [("reading", number, 3) for number in range(3)]
