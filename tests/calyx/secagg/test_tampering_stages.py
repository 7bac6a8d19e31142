"""Stages once and in order, also after a crash; and a sum given up (docs/secagg.md §8, group 4)."""

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protocol import (
    SUBJECT,
    Cohort,
    assert_is_dead,
    consent,
    is_answered,
    opening,
    refusal_of,
    rules,
    sum_of,
)

from calyx.secagg.keys import verify
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.rules import quorum
from calyx.secagg.session import from_bytes

SIX = frozenset(range(6))


def cohort_of(n=6, colluders=1, **changes):
    return Cohort(n, rules(3, colluders, **changes))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_same_request_twice_gets_the_stored_identical_bytes(stage):
    cohort = cohort_of()
    request = cohort.reach(stage)[0]
    first = cohort.call(0, stage, request)
    assert cohort.call(0, stage, request) == first
    assert cohort.committed.count(0) == (stage >= 2)  # one tombstone


def test_a_reveal_is_repeated_in_the_same_bytes_for_the_same_request_only():
    cohort = cohort_of()
    cohort.reach(4)
    request = opening(SIX, {v: consent(cohort, v, SIX) for v in SIX})
    revealed = cohort.call(0, 4, request)
    assert cohort.call(0, 4, request) == revealed  # a server that was started again asks so
    other = opening(SIX, {v: consent(cohort, v, SIX) for v in sorted(SIX)[:-1]})
    assert other != request
    assert refusal_of(cohort, 0, 4, other).code is RefusalCode.WRONG_STAGE


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_same_stage_with_other_content_is_refused(stage):
    cohort = cohort_of()
    request = cohort.reach(stage)[0]
    cohort.call(0, stage, request)
    row = len(request) // {1: 6, 2: 5, 3: 6}[stage]
    other = request[:-row]  # one client fewer, which would have been sound the first time
    assert refusal_of(cohort, 0, stage, other).code is RefusalCode.WRONG_STAGE


@pytest.mark.parametrize(
    ("reached", "asked"),
    [(1, 0), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 1), (3, 4), (4, 1), (4, 2), (4, 5)],
)
def test_a_request_of_another_stage_is_refused(reached, asked):
    cohort = cohort_of()
    requests = {stage: deepcopy(cohort).reach(stage)[0] for stage in (1, 2, 3, 4)}
    here = cohort.reach(reached)[0]
    requests = {1: requests[1], 2: requests[2], 3: sum_of(SIX), 4: here, 0: here, 5: here}
    assert refusal_of(cohort, 0, asked, requests[asked]).code is RefusalCode.WRONG_STAGE


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_what_was_answered_once_is_refused_under_another_stage(stage):
    cohort = cohort_of()
    request = cohort.reach(stage)[0]
    cohort.call(0, stage, request)
    refusal_of(cohort, 0, stage + 1, request)


@pytest.mark.parametrize("stage", [1, 2, 3, 4, 5])
def test_a_session_restored_from_its_bytes_is_the_same_and_answers_the_same(stage):
    cohort = cohort_of(mask_key_bytes=32, clip=0.3)
    request = cohort.reach(min(stage, 4))[0]
    if stage == 5:
        cohort.call(0, 4, request)
    before = cohort.sessions[0]
    restored = from_bytes(before.to_bytes())
    assert restored == before
    assert restored.has_revealed is (stage == 5)
    if stage in (2, 3, 4):
        expected = cohort.call(0, stage, request)
        cohort.sessions[0] = restored
        assert cohort.call(0, stage, request) == expected


def test_a_session_restored_from_before_its_vector_left_cannot_send_a_second():
    cohort = cohort_of()
    inbox = cohort.reach(2)[0]
    older = from_bytes(cohort.sessions[0].to_bytes())
    cohort.call(0, 2, inbox)

    class Tombstones(list):
        def append(self, u):
            if u in self:
                raise Refusal(RefusalCode.SECOND_VECTOR, "This model has had one.")

    cohort.committed, cohort.sessions[0] = Tombstones(cohort.committed), older
    smaller = inbox[: -len(inbox) // 5]
    assert refusal_of(cohort, 0, 2, smaller).code is RefusalCode.SECOND_VECTOR


# Abandoning a sum


@pytest.mark.parametrize("stage", [2, 3, 4])
def test_an_abandoned_sum_is_signed_for_only_when_all_shares_are_erased(stage):
    cohort = cohort_of()
    request = cohort.reach(stage)[0]
    root = cohort.server.root
    signature = cohort.abandon(0)
    assert_is_dead(cohort.sessions[0])
    assert verify(cohort.roster.key(0), signature, "abandon", cohort.ctx, root)
    assert not is_answered(cohort, 0, stage, request)  # so it can never reveal
    assert cohort.abandon(0) == signature


def test_a_client_that_refused_may_still_abandon_the_sum():
    cohort = cohort_of()
    cohort.reach(3)
    refusal_of(cohort, 0, 3, b"")
    signature = cohort.abandon(0)
    assert verify(cohort.roster.key(0), signature, "abandon", cohort.ctx, cohort.server.root)


def test_a_sum_that_it_helped_to_open_is_not_abandoned():
    cohort = cohort_of()
    cohort.call(0, 4, cohort.reach(4)[0])
    for session in (cohort.sessions[0], from_bytes(cohort.sessions[0].to_bytes())):
        cohort.sessions[0] = session
        with pytest.raises(Refusal) as refused:
            cohort.abandon(0)
        assert refused.value.code is RefusalCode.REVEALED


def test_without_shares_there_is_nothing_to_abandon_but_all_is_erased():
    cohort = cohort_of()
    cohort.reach(1)
    with pytest.raises(Refusal) as refused:
        cohort.abandon(0)
    assert refused.value.code is RefusalCode.WRONG_STAGE
    assert_is_dead(cohort.sessions[0])


@given(st.integers(2, 512), st.data())
def test_after_a_quorum_of_abandonments_fewer_shares_than_the_threshold_are_left(n, data):
    colluders = data.draw(st.integers(0, n // 2))
    obeyed = rules(1, colluders)
    honest_that_erased = obeyed.abandon_quorum(n) - colluders  # the worst: all colluders signed
    left = n - honest_that_erased
    assert left == quorum(n, colluders) - 1


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.data())
def test_garbage_at_any_stage_brings_an_answer_or_a_refusal_and_nothing_else(stage, data):
    cohort = cohort_of()
    honest = cohort.reach(stage)[0]
    body = data.draw(st.one_of(st.binary(max_size=400), garbled(honest)))
    if not is_answered(cohort, 0, stage, body):
        assert_is_dead(cohort.sessions[0])


@st.composite
def garbled(draw, honest):
    """A request with some bytes changed, cut out or repeated."""
    start = draw(st.integers(0, len(honest)))
    end = draw(st.integers(start, len(honest)))
    middle = draw(st.one_of(st.binary(max_size=200), st.just(2 * honest[start:end])))
    return honest[:start] + middle + honest[end:]


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_a_request_of_another_round_is_refused(stage):
    cohort, other = cohort_of(), Cohort(6, rules(3), subject=replace(SUBJECT, round=2))
    cohort.reach(stage)
    replayed = other.reach(stage)[0]
    if stage == 3:  # a bare U2 says no round; its signature does
        replayed = sum_of(SIX)
        assert cohort.call(0, 3, replayed) != other.call(0, 3, replayed)
    else:
        refusal_of(cohort, 0, stage, replayed)
