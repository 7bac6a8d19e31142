"""The display's parts."""

import io
import logging

import pytest
from rich.console import Console
from support.federation import config_of
from support.run_folders import round_of

from calyx.cli.display import Display, sparkline
from calyx.simulation.planning import plan


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
    return round_of(number, best_round=best, **figures)


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


def test_elsewhere_than_on_a_terminal_what_takes_long_is_told_every_ten_seconds(capsys):
    now = [0.0]
    checked = plan(config_of("task.num_clients=2", "privacy=none"))
    display = Display(checked, "#3 ", clock=lambda: now[0])
    for now[0], done in ((4.0, 0), (9.0, 1), (10.0, 2), (15.0, 3)):
        display.progress("train", done, 9)
    now[0] = 18.0
    display.emit(
        logging.makeLogRecord({"msg": "round 1", "levelno": logging.INFO, "row": row(1, 1, 1)})
    )
    for now[0], done in ((27.0, 4), (28.0, 5), (29.0, 6)):
        display.progress("train", done, 9)
    now[0] = 40.0
    display.progress("baselines", 1, 3, "epoch 5")
    assert capsys.readouterr().out.splitlines() == [
        "#3 training: 2 of 9 clients",
        "#3 round 1",
        "#3 round 2: training: 5 of 9 clients",
        "#3 training baselines: 1 of 3 models · epoch 5",
    ]


def test_baselines_are_counted_in_models_and_the_longest_says_where_it_is():
    display = Display(plan(config_of("task.num_clients=2", "privacy=none")))
    display.progress("baselines", 2, 3, "all rows in one place: epoch 7 of at most 80")
    text = io.StringIO()
    Console(width=80, file=text).print(display._picture())
    *_, models, longest = (line.split() for line in text.getvalue().splitlines())
    assert (models[0], models[-3:]) == ("models", ["2/3", "training", "baselines"])
    assert " ".join(longest) == "all rows in one place: epoch 7 of at most 80"
