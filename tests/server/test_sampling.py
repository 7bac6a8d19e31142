"""Cohorts and groups are drawn by name from (seed, round)."""

import tracemalloc
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.data.names import client_names
from calyx.errors import ConfigError
from calyx.privacy.section import PrivacyConfig
from calyx.seeding import rng
from server.config import read_run
from server.sampling import (
    check_cv,
    check_replies,
    check_sizes,
    check_whole,
    deal_groups,
    draw_census,
    required_replies,
    sample_cohort,
    too_small,
)

NAMES = [f"client-{i:02d}" for i in range(12)]


def privacy(**changes):
    section = resolve(compose([]))["privacy"]
    return parse(PrivacyConfig, section | changes, "privacy")


@given(st.permutations(NAMES), st.integers(1, 12), st.integers(0, 99))
def test_groups_depend_on_names_and_seed_only_and_hold_everybody_once(names, groups, seed):
    dealt = deal_groups(names, groups, seed)
    assert dealt == deal_groups(NAMES, groups, seed)
    assert sorted(name for group in dealt for name in group) == NAMES
    sizes = [len(group) for group in dealt]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 99), st.integers(1, 50))
def test_a_cohort_takes_equally_many_from_each_group(seed, round):
    dealt = deal_groups(NAMES, 3, seed)
    cohort = sample_cohort(dealt, 6, seed, round)
    assert [len(group) for group in cohort] == [2, 2, 2]
    assert all(set(chosen) <= set(group) for chosen, group in zip(cohort, dealt, strict=True))
    assert cohort == sample_cohort(dealt, 6, seed, round)


def test_of_a_group_of_which_too_few_are_there_all_are_drawn_and_it_is_known_as_too_small():
    whole, short = tuple("abcdefgh"), ("i",)
    cohort = sample_cohort((whole, short), 8, seed=1, round=1)
    assert (len(cohort[0]), cohort[1]) == (4, short)
    small = {"n_min": 4, "h_min": 2}
    assert too_small(privacy(**small), cohort, roster=16) == [1]
    assert too_small(privacy(name="none"), cohort, roster=16) == []
    with pytest.raises(ConfigError, match="over 1 of 16 clients"):
        too_small(privacy(**small), (short, ()), roster=16)


def test_rounds_draw_different_cohorts_and_reach_everybody():
    dealt = deal_groups(NAMES, 1, seed=1)
    cohorts = {sample_cohort(dealt, 4, 1, r) for r in range(1, 40)}
    assert len(cohorts) > 20
    assert {name for cohort in cohorts for group in cohort for name in group} == set(NAMES)


def test_with_every_client_a_group_a_cohort_is_a_choice_of_groups():
    dealt = deal_groups(NAMES, "all", seed=1)
    cohort = sample_cohort(dealt, 5, 1, 1)
    assert len(cohort) == 5
    assert all(len(group) == 1 for group in cohort)


@pytest.mark.parametrize(
    ("clients", "groups", "cohort_size", "n_max", "words"),
    [
        (3, 4, None, 128, "privacy.groups=4 needs at least as many clients"),
        (10, 1, 11, 128, "more than the roster's 10"),
        (10, 3, 5, 128, "cannot take equally many"),
        (10, 1, None, 8, r"more than privacy.n_max=8.*leave privacy.n_max out"),
        (1200, 2, None, 512, r"room for 512 clients, and a group has 600; use privacy.groups=3"),
    ],
)
def test_sizes_that_cannot_be_given_are_refused_before_the_start(
    clients, groups, cohort_size, n_max, words
):
    with pytest.raises(ConfigError, match=words):
        check_sizes(privacy(name="none", groups=groups, n_max=n_max), clients, cohort_size, clients)


def test_by_default_more_than_half_of_a_cohort_must_reply():
    assert [required_replies(None, n) for n in (1, 2, 3, 10, 11)] == [1, 2, 2, 6, 6]
    assert required_replies(3, 10) == 3
    assert required_replies(8, 4) == 8  # what was asked for, and never less


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ([], 10),
        (["cohort_size=6"], 6),
        (["cv.k=clients"], 9),  # each fold trains without one
        (["cv.k=clients", "cohort_size=6"], 6),
    ],
)
def test_more_replies_than_a_round_has_clients_are_refused(words, most):
    for number, is_refused in ((most, False), (most + 1, True)):
        config = resolve(compose([*words, f"min_replies={number}"]))
        refused = pytest.raises(ConfigError, match=f"use min_replies={most}")
        with refused if is_refused else nullcontext():
            check_replies(read_run(config), 10)


@pytest.mark.parametrize(
    ("changes", "clients", "cohort_size", "words"),
    [
        ({}, 4, None, "of which 1 may collude, needs at least 5 clients"),
        ({"n_min": 4}, 3, None, "needs at least 4"),
        ({}, 100, 10, "10 of 100 clients, of which 10 may collude, needs at least 13"),
        ({"groups": 5}, 20, None, "over 4 of 20 clients"),
        ({"groups": "all"}, 10, None, "privacy.groups=all would show"),
        ({"max_colluders": 6}, 8, None, "privacy=none"),
        (
            {"n_max": 5},
            16,
            5,
            "over 4 of 16 clients",
        ),  # 16 in sums of five at most are four of four
    ],
)
def test_an_encrypted_sum_over_too_few_is_refused_before_the_start(
    changes, clients, cohort_size, words
):
    with pytest.raises(ConfigError, match=words):
        check_sizes(privacy(**changes), clients, cohort_size, clients)


@pytest.mark.parametrize("names", [client_names(1000), tuple(client_names(1000))])
def test_drawing_places_is_drawing_names(names):
    """The expressions that drew from lists of names, and the clients that they gave."""
    listed = list(names)
    dealt = deal_groups(names, 3, 7)
    order = rng(7, "groups").permutation(listed)
    assert [list(group) for group in dealt] == [sorted(order[i::3].tolist()) for i in range(3)]
    for groups, size in ((dealt, 30), (deal_groups(names, 1, 7), 100)):
        draw = rng(7, "cohort", 5)
        each = size // len(groups)
        drawn = [sorted(draw.choice(list(g), each, replace=False).tolist()) for g in groups]
        assert [list(group) for group in sample_cohort(groups, size, 7, 5)] == drawn


def test_a_million_clients_are_drawn_from_without_a_list_of_them():
    plain = privacy(name="none")
    tracemalloc.start()
    dealt = deal_groups(client_names(10**6), 1, 1)
    cohort = sample_cohort(dealt, 100, 1, 1)
    check_sizes(plain, 10**6, 100, 10**6, census_size=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(cohort[0])) == 100
    assert peak < 100_000


def test_a_census_is_drawn_once_with_equally_many_of_each_group():
    dealt = deal_groups(NAMES, 3, seed=1)
    census = draw_census(dealt, 6, seed=1)
    assert [len(group) for group in census] == [2, 2, 2]
    assert draw_census(dealt, None, seed=1) is None
    for size, words in ((5, "cannot take equally many"), (15, "is more than the 12 clients")):
        with pytest.raises(ConfigError, match=f"census_size={size} {words}"):
            draw_census(dealt, size, seed=1)


def test_a_model_for_each_client_left_out_is_refused_of_more_than_one_message_should_carry():
    plain = privacy(name="none", groups=2)
    check_cv("clients", plain, 1024, 100, 1024)
    with pytest.raises(ConfigError, match="would train 1025 models"):
        check_cv("clients", plain, 1025, 100, 1025)


def test_sites_are_asked_all_at_once_or_not_at_all():
    check_whole(privacy(), 128)
    with pytest.raises(ConfigError, match=r"more than privacy\.n_max=128"):
        check_whole(privacy(), 129)


@pytest.mark.parametrize(
    ("changes", "clients", "cohort_size"),
    [
        ({}, 5, None),
        ({"name": "none"}, 100_000, 100),
        ({"sampling": "trusted"}, 1000, 100),
        ({"n_min": 4}, 4, None),
        ({}, 100, 13),
        ({"groups": 5}, 30, None),
        ({"sampling": "trusted", "n_max": 512}, 500, 20),
        ({"name": "none", "groups": "all"}, 3, None),
    ],
)
def test_an_encrypted_sum_over_enough_is_not(changes, clients, cohort_size):
    check_sizes(privacy(**changes), clients, cohort_size, clients)
