"""A malicious inbox: refused before anything is masked, its sender named (docs/secagg.md §8, group 4)."""

from copy import deepcopy
from dataclasses import replace

import pytest
from support.protocol import (
    SUBJECT,
    Cohort,
    Repeating,
    flipped,
    is_answered,
    refusal_of,
    rules,
    table,
)

from calyx.secagg.advertisement import Gathering
from calyx.secagg.encoding import rows_from_bytes
from calyx.secagg.participant import Call, answer
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.shamir import P
from calyx.secagg.sharing import SEALED_BYTES, seal_shares

DEFAULTS = {"n_min": 5, "h_min": 3}


def cohort_of(n=6, colluders=1, **changes):
    return Cohort(n, rules(3, colluders, **changes))


def inbox_of(request):
    return dict(rows_from_bytes(request, SEALED_BYTES))


@pytest.fixture
def inboxes():
    """Six clients, and the inbox of each."""
    cohort = cohort_of()
    return cohort, cohort.reach(2)


def test_an_inbox_that_is_no_table_of_its_peers_is_refused(inboxes):
    cohort, requests = inboxes
    rows = inbox_of(requests[0])
    for forged in (
        table(rows) + table({3: rows[3]}),  # a sender twice
        table({**rows, 0: rows[3]}),  # itself
        table({**rows, 6: rows[3]}),  # unknown
        table(rows)[:-1],  # a share of a wrong length
        table(rows) + b"\0",
    ):
        attacked = deepcopy(cohort)
        assert refusal_of(attacked, 0, 2, forged).code is RefusalCode.BAD_INBOX


def test_a_sender_of_the_group_that_is_not_in_the_cohort_is_refused():
    cohort = cohort_of()
    inboxes = cohort.server.take_shares(
        cohort.stage(1, cohort.server.take_advertisements(cohort.begin(range(5))))
    )
    rows = inbox_of(inboxes[0])
    forged = table({**rows, 5: rows[3]})
    assert refusal_of(cohort, 0, 2, forged).code is RefusalCode.BAD_INBOX


# n = 6: t = ⌊7/2⌋ + 1 = 4 with itself; the default n_min of 5 asks for one more.
@pytest.mark.parametrize(("limits", "least"), [({}, 4), (DEFAULTS, 5)])
def test_an_inbox_of_too_few_is_refused_and_the_least_one_answered(limits, least):
    cohort = cohort_of(**limits)
    rows = inbox_of(cohort.reach(2)[0])
    enough, few = ({v: rows[v] for v in range(1, size)} for size in (least, least - 1))
    assert is_answered(deepcopy(cohort), 0, 2, table(enough))
    assert refusal_of(cohort, 0, 2, table(few)).code is RefusalCode.TOO_FEW_SHARES


@pytest.mark.parametrize("at", [0, 32, 33, 65, 66, 81])
def test_a_garbled_share_is_refused_and_its_sender_named(inboxes, at):
    cohort, requests = inboxes
    rows = inbox_of(requests[0])
    rows[3] = flipped(rows[3], at)
    refusal = refusal_of(cohort, 0, 2, table(rows))
    assert (refusal.code, refusal.accused) == (RefusalCode.SEALED_SHARE, 3)


def sent(cohort, requests, sender, receiver):
    return inbox_of(requests[receiver])[sender]


@pytest.mark.parametrize(
    ("sender", "receiver"), [(0, 3), (3, 4), (4, 0)], ids=["reflected", "to-another", "of-another"]
)
def test_a_share_of_another_direction_is_refused(inboxes, sender, receiver):
    cohort, requests = inboxes
    rows = inbox_of(requests[0])
    rows[3] = sent(cohort, requests, sender, receiver)
    refusal = refusal_of(cohort, 0, 2, table(rows))
    assert (refusal.code, refusal.accused) == (RefusalCode.SEALED_SHARE, 3)


@pytest.mark.parametrize(
    "change", [{"round": 2}, {"attempt": 2}, {"run": "other"}, {"kind": "test"}, {"group": 1}]
)
def test_a_share_from_another_round_is_refused_even_under_the_same_keys(change):
    cohort = Cohort(6, rules(3), entropy=Repeating())
    other = Cohort(6, rules(3), entropy=Repeating(), subject=replace(SUBJECT, **change))
    requests, replayed = cohort.reach(2), other.reach(2)
    mine, theirs = (one.server.advertised[3].body for one in (cohort, other))
    assert mine[:64] == theirs[:64]
    rows = inbox_of(requests[0])
    rows[3] = inbox_of(replayed[0])[3]
    refusal = refusal_of(cohort, 0, 2, table(rows))
    assert (refusal.code, refusal.accused) == (RefusalCode.SEALED_SHARE, 3)


def sealed_by_three(share_of_b, share_of_s):
    """The inbox of client 0, in which member 3 sealed these two numbers; and its cohort."""
    cohort = cohort_of()
    cohort.begin()
    private = cohort.sessions[3].share_private
    adverts = {u: s.advertisement for u, s in cohort.sessions.items()}
    requests = cohort.server.take_shares(
        cohort.stage(1, cohort.server.take_advertisements(adverts))
    )
    malicious = deepcopy(cohort.sessions[3])
    malicious.share_private = private
    gathering = Gathering(cohort.ctx, cohort.server.advertised)
    both = share_of_b.to_bytes(33, "little") + share_of_s.to_bytes(33, "little")
    rows = inbox_of(requests[0])
    rows[3] = seal_shares(malicious, gathering, {0: both})[0]
    return cohort, table(rows)


@pytest.mark.parametrize("shares", [(P, 1), (1, P), (2**264 - 1, 1), (1, 2**264 - 1)])
def test_a_share_that_is_no_element_of_the_field_is_refused_and_its_dealer_named(shares):
    cohort, inbox = sealed_by_three(*shares)
    refusal = refusal_of(cohort, 0, 2, inbox)
    assert (refusal.code, refusal.accused) == (RefusalCode.SHARE_RANGE, 3)


def test_the_largest_element_of_the_field_is_a_share():
    cohort, inbox = sealed_by_three(P - 1, P - 1)
    assert is_answered(cohort, 0, 2, inbox)


@pytest.mark.parametrize("error", [Refusal(RefusalCode.SECOND_VECTOR, "It has one."), OSError()])
def test_without_a_tombstone_no_vector_leaves_and_the_context_is_dead(inboxes, error):
    cohort, requests = inboxes

    def fail():
        raise error

    with pytest.raises(type(error)):
        answer(cohort.members[0], cohort.sessions[0], Call(2, requests[0], cohort.entropy, fail))
    assert refusal_of(cohort, 0, 2, requests[0]).code is RefusalCode.WRONG_STAGE
