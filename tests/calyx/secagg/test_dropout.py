"""Clients that fall silent: the sum is exactly that of U2, or the round stops and names the stage."""

import hashlib
from copy import deepcopy
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protocol import Cohort, rules

from calyx.secagg.advertisement import to_rows
from calyx.secagg.aggregator import GroupFailed
from calyx.secagg.encoding import rows_to_bytes, set_hash
from calyx.secagg.keys import sign
from calyx.secagg.sharing import SEALED_BYTES

LENGTH = 5
DEFAULTS = {"n_min": 5, "h_min": 3}


def assert_sum_of(cohort, total, clients):
    assert cohort.server.summed == tuple(clients)
    assert total.tolist() == cohort.oracle(clients)


# docs/secagg.md §4: dropouts that a group survives before stage 3, C = ⌈n/10⌉.
@pytest.mark.parametrize(
    ("n", "colluders", "survived"), [(5, 1, 0), (6, 1, 1), (10, 1, 4), (32, 4, 13), (100, 10, 44)]
)
def test_the_dropouts_survived_before_stage_three_are_those_of_the_specification(
    n, colluders, survived
):
    assert n - rules(1, colluders, **DEFAULTS).smallest_sum(n) == survived


# n = 10, C = 1: U0 may shrink to 5 = n_min; U1 and U2 to Q = 6 of 10; signatures and reveals to 6.
BOUNDS = [(0, 5), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("stage", "bound"), BOUNDS)
def test_up_to_the_bound_of_dropouts_the_sum_is_exactly_that_of_the_summed(stage, bound):
    cohort = Cohort(10, rules(LENGTH, 1, **DEFAULTS))
    silent = range(2, 2 + bound)
    total = cohort.run(dict.fromkeys(silent, stage))
    assert_sum_of(cohort, total, [u for u in range(10) if stage > 2 or u not in silent])


@pytest.mark.parametrize(("stage", "bound"), BOUNDS)
def test_one_dropout_beyond_the_bound_stops_the_round_and_names_the_stage(stage, bound):
    cohort = Cohort(10, rules(LENGTH, 1, **DEFAULTS))
    with pytest.raises(GroupFailed, match=f"stage {stage} ") as failed:
        cohort.run(dict.fromkeys(range(bound + 1), stage))
    assert failed.value.stage == stage


# Worked out by hand for C = 1, n_min = 2, h_min = 1: a U0 of m needs ⌊(m + 1)/2⌋ + 1 ≤ m, and
# then nobody drops; of 6 the threshold, the quorum and the smallest sum are all ⌊7/2⌋ + 1 = 4.
@pytest.mark.parametrize(("stage", "least"), [(0, 2), (1, 4), (2, 4), (3, 4), (4, 4)])
def test_every_subset_of_six_at_every_stage_gives_the_exact_sum_or_fails_there(stage, least):
    before = Cohort(6, rules(LENGTH))
    replies = before.stage(stage, before.reach(stage)) if stage else before.begin()
    for size in range(7):
        for present in combinations(range(6), size):
            cohort = deepcopy(before)
            given_replies = {u: replies[u] for u in present}
            if size < least:
                with pytest.raises(GroupFailed) as failed:
                    cohort.finish(stage, given_replies)
                assert failed.value.stage == stage
            else:
                total = cohort.finish(stage, given_replies)
                assert_sum_of(cohort, total, range(6) if stage > 2 else present)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 9),
    st.integers(1, 2),
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 5, 5, 5, 5]), min_size=9, max_size=9),
    st.sampled_from([16, 24, 32]),
)
def test_dropouts_at_several_stages_give_the_exact_sum_or_name_the_first_stage_that_fails(
    n, colluders, since, bits
):
    cohort = Cohort(n, rules(LENGTH, colluders, modulus_bits=bits))
    left = [[u for u in range(n) if since[u] > stage] for stage in range(5)]
    start = len(left[0])
    threshold = (start + colluders) // 2 + 1
    least = [max(threshold, 2, colluders + 1)] * 3 + [threshold] * 2
    failing = [stage for stage in range(5) if len(left[stage]) < least[stage]]
    absent = {u: since[u] for u in range(n)}
    if failing:
        with pytest.raises(GroupFailed) as failed:
            cohort.run(absent)
        assert failed.value.stage == failing[0]
    else:
        assert_sum_of(cohort, cohort.run(absent), left[2])


@pytest.mark.parametrize(("n", "colluders"), [(2, 1), (3, 1), (4, 2), (5, 3), (2, 0)])
def test_a_group_that_needs_all_of_its_clients_sums_them_exactly(n, colluders):
    cohort = Cohort(n, rules(LENGTH, colluders, n_min=2, h_min=0))
    assert cohort.rules.threshold(n) == n
    assert_sum_of(cohort, cohort.run(), range(n))


@pytest.fixture
def without_one():
    """Six clients, of which number 5 fell silent at stage 1; and the requests of stage 3."""
    cohort = Cohort(6, rules(LENGTH))
    inboxes = cohort.server.take_shares(cohort.stage(1, cohort.reach(1), {5}))
    y = bytes(4 * LENGTH)
    signature = signed_by_five(cohort, "y", 5, hashlib.sha256(y).digest())
    replies = cohort.stage(2, inboxes) | {5: y + signature}
    return cohort, cohort.server.take_vectors(replies)


def signed_by_five(cohort, tag, *items):
    return sign(cohort.members[5].identity, tag, cohort.ctx, cohort.server.root, *items)


def test_a_vector_of_a_client_that_fell_behind_is_not_summed(without_one):
    cohort, requests = without_one
    replies = cohort.stage(3, requests)
    assert_sum_of(cohort, cohort.finish(3, replies), range(5))


def test_a_signature_of_a_client_that_fell_behind_does_not_count(without_one):
    cohort, requests = without_one
    late = {5: signed_by_five(cohort, "u2", set_hash(range(5)))}
    with pytest.raises(GroupFailed, match="3 clients signed the sum, and 4 must"):
        cohort.server.take_consents(cohort.stage(3, requests, {0, 1}) | late)


def test_shares_of_a_client_that_fell_behind_are_not_taken(without_one):
    cohort, requests = without_one
    reveals = cohort.stage(4, cohort.server.take_consents(cohort.stage(3, requests)), {0, 1})
    with pytest.raises(GroupFailed, match="3 clients revealed their shares, and 4 must"):
        cohort.server.take_reveals(reveals | {5: reveals[2]})


def test_clients_outside_of_the_group_are_not_taken_in():
    cohort = Cohort(6, rules(LENGTH))
    adverts = cohort.begin()
    cohort.server.group = (0, 1, 2, 3, 4)
    assert set(cohort.server.take_advertisements(adverts)) == {0, 1, 2, 3, 4}
    sealed = cohort.stage(1, dict.fromkeys(range(5), to_rows(cohort.server.advertised)))
    stranger = {5: rows_to_bytes((u, bytes(SEALED_BYTES)) for u in range(5))}
    assert set(cohort.server.take_shares(sealed | stranger)) == {0, 1, 2, 3, 4}
