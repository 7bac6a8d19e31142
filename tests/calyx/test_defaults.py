"""Settings that follow from others: filled in where they are null, and checked where they are not."""

import pytest

from calyx.composing import compose, resolved
from calyx.config import RunConfig, better_is, parse
from calyx.errors import ConfigError


def settled(*words):
    config = resolved(compose(list(words)))
    return parse(RunConfig, config, "")


@pytest.mark.parametrize(
    ("words", "monitor", "mode"),
    [
        ([], "val_loss", "min"),
        (["stopping.monitor=val_accuracy"], "val_accuracy", "max"),
        (["stopping.monitor=val_r2"], "val_r2", "max"),
        (["stopping.monitor=val_rmse"], "val_rmse", "min"),
        (["stopping.monitor=val_personal_accuracy"], "val_personal_accuracy", "max"),
        (["stopping.mode=min"], "val_loss", "min"),
        (["strategy=ditto"], "val_personal_loss", "min"),
        (["strategy=ditto", "stopping.monitor=val_loss"], "val_loss", "min"),
        (["strategy=fedbn"], "val_loss", "min"),  # which is each client's own model's already
        (["strategy=flower"], "val_loss", "min"),
    ],
)
def test_what_is_watched_follows_the_strategy_and_its_direction_the_monitor(words, monitor, mode):
    stopping = settled(*words).stopping
    assert (stopping.monitor, stopping.mode) == (monitor, mode)


@pytest.mark.parametrize(
    ("words", "monitor", "mode"),
    [
        (["stopping.mode=max"], "val_loss", "min"),
        (["stopping.monitor=val_accuracy", "stopping.mode=min"], "val_accuracy", "max"),
        (["stopping.monitor=val_mae", "stopping.mode=max"], "val_mae", "min"),
        (["strategy=ditto", "stopping.mode=max"], "val_personal_loss", "min"),
    ],
)
def test_a_direction_that_contradicts_the_monitor_is_refused(words, monitor, mode):
    with pytest.raises(ConfigError, match=f"monitor={monitor} needs stopping.mode={mode}"):
        settled(*words)


@pytest.mark.parametrize("words", [["stopping.monitor=5"], ["stopping.monitor=loss"]])
def test_a_monitor_that_there_is_not_is_refused_by_its_key(words):
    with pytest.raises(ConfigError, match=r"stopping\.monitor is .*must be 'val_loss'"):
        settled(*words)


@pytest.mark.parametrize(
    ("words", "objective"),
    [
        ([], "val_loss"),
        (["stopping.monitor=val_accuracy"], "val_accuracy"),
        (["stopping.objective=val_accuracy"], "val_accuracy"),
        (["strategy=ditto"], "val_personal_accuracy"),
        (["strategy=ditto", "stopping.monitor=val_personal_loss"], "val_personal_loss"),
        (["strategy=ditto", "stopping.objective=val_loss"], "val_loss"),
    ],
)
def test_runs_are_compared_by_what_is_watched_and_own_classifiers_by_accuracy(words, objective):
    assert settled(*words).stopping.objective == objective


@pytest.mark.parametrize(
    ("words", "evaluate"),
    [
        ([], "with_training"),
        (["cohort_size=10"], "with_training"),
        (["cohort_size=9"], "separate"),
        (["cohort_size=9", "evaluate=with_training"], "with_training"),
        (["evaluate=separate"], "separate"),
        (["cohort_size=9", "task.num_clients=9"], "with_training"),
    ],
)
def test_everybody_validates_each_round_unless_it_is_written_otherwise(words, evaluate):
    assert settled(*words).evaluate == evaluate


def test_every_figure_has_its_direction():
    larger = [
        name
        for name in ("loss", "accuracy", "r2", "rmse", "mae")
        if better_is(f"val_{name}") == "max"
    ]
    assert larger == ["accuracy", "r2"]


@pytest.mark.parametrize(
    ("words", "room"),
    [
        ([], 128),
        (["task.num_clients=128"], 128),
        (["task.num_clients=129"], 256),
        (["task.num_clients=129", "privacy.groups=2"], 128),
        (["task.num_clients=129", "privacy.groups=all"], 128),
        (["task.num_clients=400"], 512),
        (["task.num_clients=700"], 512),  # which is refused where sizes are checked
        (["task.num_clients=200", "privacy.n_max=300"], 300),
    ],
)
def test_a_sum_has_room_for_the_clients_that_there_are(words, room):
    """200 clients are no mistake of who has never heard of a sum's room."""
    small = ["privacy=none", "task.min_rows=1", "task.partition=iid"]
    assert settled(*small, *words).privacy["n_max"] == room
