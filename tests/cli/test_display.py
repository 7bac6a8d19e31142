"""The display's parts."""

import io
import logging

import pytest
from rich.console import Console
from support.federation import config_of

from cli.display import Display, sparkline
from engines.planning import plan


def test_a_sparkline_runs_from_lowest_to_highest():
    assert sparkline([0.0, 7.0]) == "▁█"
    assert sparkline([7.0, 0.0, 3.5]) == "█▁▄"
    assert sparkline([2.0, 2.0]) == "▁▁"


def shown(*rows, columns=120):
    display = Display(plan(config_of("task.num_clients=2", "strategy=ditto", "privacy=none")))
    for row in rows:
        record = logging.makeLogRecord({"msg": "a round", "levelno": logging.INFO, "row": row})
        display.emit(record)
    text = io.StringIO()
    display._console = Console(width=columns, file=text)
    Console(width=columns, file=text).print(display._picture())
    return text.getvalue()


def row(number, personal, best):
    figures = {"val_loss": 0.5, "val_accuracy": 0.75, "val_personal_loss": personal}
    rest = {"train_loss": 1.0, "dropped": [], "seconds": 1.0, "best_round": best}
    return {"round": number} | figures | rest


def test_the_best_round_is_shown_by_the_figure_that_is_watched():
    text = shown(row(1, 0.25, 1), row(2, 0.375, 1))
    assert "best val_personal_loss 0.25" in text
    assert "in round 1" in text


def test_a_figure_that_is_absent_is_no_number_and_nothing_is_called_best():
    text = shown(row(1, None, None))
    assert "no round is called best" in text
    assert "—" in text


@pytest.mark.parametrize("columns", [80, 40])
def test_a_narrow_terminal_keeps_names_whole_and_the_newest_rounds(columns):
    """Low but for the last of sixty rounds, which an ellipsis would hide."""
    losses = [0.125] * 59 + [0.25]
    text = shown(*(row(i, loss, 1) for i, loss in enumerate(losses, start=1)), columns=columns)
    (line,) = [one for one in text.splitlines() if one.split()[:1] == ["val_personal_loss"]]
    assert line.split()[1] == "0.2500"
    assert line.rstrip().endswith("▁█")
    assert "…" not in text
