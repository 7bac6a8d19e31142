"""Which round is the best, when a run ends early, and what is released."""

from dataclasses import replace
from string import ascii_lowercase

import numpy as np
import pytest

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError
from calyx.model.populations import Population
from calyx.run.summary import ModelTest
from calyx.tasks.registry import load_task
from server.checkpoints import Best, RunState, load_newest, save
from server.config import Stopping, read_run
from server.stopping import (
    are_nearly_the_same,
    check_monitor,
    choose_model,
    compare,
    reason_to_stop,
    why_unranked,
)

LOSS = Stopping(monitor="val_loss", mode="min", objective="val_loss", patience=3)
ACCURACY = replace(LOSS, monitor="val_accuracy", mode="max")
ALL = tuple(ascii_lowercase[:20])


def before():
    weights = {"w": np.zeros(1, np.float32)}
    return RunState("run", "digest", 0, weights, {}, None)


def population(names, rows_each=10):
    """Of clients with so many rows each."""
    rows = rows_each * len(names)
    return Population("rows", len(names), len(ALL), "".join(names), rows, (rows, 0))


def ranked(values, stopping=LOSS, state=None):
    """The state after rounds with these (value, clients), and what was said of each."""
    state, said = state or before(), []
    for value, clients, *rows in values:
        weights = {"w": np.full(1, state.round + 1, np.float32)}
        state = replace(state, round=state.round + 1, weights=weights)
        names = tuple(sorted(clients))
        this = Best(state.round, value, weights, names, population(names, *rows))
        state, sentence = compare(state, this, stopping)
        said.append(sentence)
    return state, said


def by_all(*values):
    return [(value, ALL) for value in values]


@pytest.mark.parametrize(
    ("stopping", "values", "best"),
    [
        (LOSS, [0.6, 0.4, 0.5], 2),
        (LOSS, [0.5, 0.5, 0.5], 1),  # a tie is never better
        (ACCURACY, [0.6, 0.4, 0.7], 3),
        (ACCURACY, [0.5, 0.5], 1),
        (LOSS, [None, 0.9, None, 0.8], 4),
        (LOSS, [float("nan"), 0.9, float("inf")], 2),
    ],
)
def test_the_best_round_is_the_one_with_the_best_value(stopping, values, best):
    state, said = ranked(by_all(*values), stopping)
    assert (state.best.round, state.best.weights["w"][0]) == (best, best)
    assert not any(said)


def test_a_luckier_round_of_fewer_clients_is_not_better_and_not_waited_for():
    without = ALL[1:]
    state, said = ranked([(0.5, ALL), (0.1, without), (0.6, ALL), (0.1, without), (0.4, ALL)])
    assert (state.best.round, state.best.value, state.waited) == (5, 0.4, 0)
    assert said[1] == (
        "Round 2 was validated on other rows than round 1, the best so far (now without a): the two "
        "are not compared"
    )
    assert [bool(sentence) for sentence in said] == [False, True, False, True, False]
    worse, _ = ranked([(0.5, ALL), (0.9, without), (0.9, ALL), (0.9, without)])
    assert worse.waited == 1  # the third round only


def test_who_has_left_for_good_does_not_keep_an_early_model_the_best():
    without = ALL[:-1]
    state, said = ranked([(0.1, ALL), (0.9, without), (0.8, without), (0.7, without)])
    assert (state.best.round, state.best.value) == (4, 0.7)
    assert "2 rounds in a row: the comparison begins anew with round 3" in said[2]
    assert said[3] == ""


def test_rounds_that_another_one_misses_each_time_begin_anew_with_the_third():
    state, said = ranked([(0.1, ALL), *((0.9, set(ALL) - {name}) for name in "abcd")])
    assert (state.best.round, len(state.apart)) == (4, 1)
    assert [("anew" in sentence) for sentence in said] == [False, False, False, True, False]


def test_rounds_of_other_rows_of_the_same_clients_are_not_compared():
    state, said = ranked([(0.5, ALL), (0.1, ALL, 11), (0.4, ALL)])
    assert (state.best.round, state.best.value) == (3, 0.4)
    assert "the same clients have other rows now" in said[1]


def test_who_has_no_validation_rows_may_be_missing():
    state, said = ranked([(0.5, ALL), (0.4, ALL[1:])])
    assert state.best.round == 1  # a was one of twenty, with rows
    names, rows = ALL[1:], population(ALL)
    state, _ = ranked([(0.5, ALL)])
    state = replace(state, round=2)
    others = Best(2, 0.4, state.weights, names, replace(rows, who="others"))
    state, said = compare(state, others, LOSS)
    assert (state.best.round, said) == (2, "")


def test_fewer_than_one_client_in_twenty_may_differ():
    many = tuple(f"client-{i}" for i in range(100))
    assert are_nearly_the_same(many, many[4:])
    assert not are_nearly_the_same(many, many[5:])
    assert not are_nearly_the_same(ALL, ALL[1:])
    assert not are_nearly_the_same(many, (*many[3:], "new", "newer"))


def test_a_round_without_a_figure_ends_a_row_of_other_clients():
    state, _ = ranked([(0.5, ALL), (0.4, ALL[1:]), (None, ALL[1:]), (0.4, ALL[1:])])
    assert (state.best.round, state.waited) == (1, 0)


def test_what_was_compared_with_whom_survives_a_checkpoint(tmp_path):
    rounds = [(0.5, ALL), (0.6, ALL), (0.1, ALL[1:]), (0.2, ALL[1:])]
    for stop in (1, 2, 3):
        half, _ = ranked(rounds[:stop])
        save(tmp_path / str(stop), half, keep=1)
        again, _ = load_newest(tmp_path / str(stop))
        assert (again.best.clients, again.waited, again.apart) == (ALL, half.waited, half.apart)
        assert again.best.population == half.best.population
        whole, said = ranked(rounds[stop:], state=again)
        assert (whole.best.round, whole.best.value) == (4, 0.2)
        assert "anew" in said[-1]


def test_a_run_ends_when_patience_rounds_brought_nothing_better():
    assert reason_to_stop(ranked(by_all(0.5, 0.6, 0.7))[0], LOSS) is None
    state, _ = ranked(by_all(0.5, 0.6, 0.5, 0.7))
    assert reason_to_stop(state, LOSS) == "val_loss was not better than in round 1 for 3 rounds"
    assert reason_to_stop(state, replace(LOSS, patience=None)) is None
    one, _ = ranked(by_all(0.5, 0.6))
    sentence = reason_to_stop(one, replace(LOSS, patience=1))
    assert sentence == "val_loss was not better than in round 1 for 1 round"


def test_it_waits_for_rounds_that_can_be_compared_and_says_so():
    gap = [(0.5, ALL), (0.1, ALL[1:]), *by_all(0.6, None, 0.6)]
    assert reason_to_stop(ranked(gap)[0], LOSS) is None
    assert reason_to_stop(ranked([*gap, (0.6, ALL)])[0], LOSS) == (
        "val_loss was not better than in round 1 for 3 rounds that can be compared with it"
    )


def test_the_last_model_is_released_where_no_round_is_called_best():
    state, _ = ranked(by_all(None, None))
    assert (choose_model(state).round, choose_model(state).value) == (2, None)
    assert reason_to_stop(state, LOSS) is None
    with pytest.raises(ValueError, match="no rounds"):
        choose_model(before())
    told = ModelTest(
        figures={"test_loss": 1.0},
        test_clients_scored=1,
        test_clients_unscored=0,
        tested_on={},
        absent={},
    )
    tested = Best(2, None, state.weights, test=told)
    assert choose_model(replace(state, best=tested)) is tested
    assert choose_model(replace(state, best=tested, round=3)).test is None


def test_layers_that_stay_at_home_make_own_models_too():
    for name in ("monitor", "objective"):
        run = config_of("strategy=fedbn", f"stopping.{name}=val_personal_accuracy")
        check_monitor(run, load_task(run.task))


def config_of(*words):
    return read_run(resolve(compose(list(words))))


@pytest.mark.parametrize(
    ("words", "ranks"),
    [
        ([], True),
        (["cohort_size=5"], True),
        (["evaluate=with_training"], True),
        (["cohort_size=10", "evaluate=with_training"], True),
        (["cohort_size=9", "evaluate=with_training"], False),
    ],
)
def test_figures_of_the_next_cohort_do_not_rank(words, ranks):
    why = why_unranked(config_of(*words), 10)
    assert (why is None) is ranks
    assert ranks or "(9 of 10)" in why


@pytest.mark.parametrize(
    "words",
    [
        ["stopping.monitor=val_r2"],
        ["stopping.monitor=val_personal_loss"],
        ["stopping.monitor=val_personal_rmse", "strategy=ditto"],
    ],
)
def test_a_monitor_that_a_run_does_not_have_is_refused_with_those_it_has(words):
    run = config_of(*words)
    with pytest.raises(ConfigError, match=r"is no figure of task=digits.*val_loss, val_accuracy"):
        check_monitor(run, load_task(run.task))
