"""A malicious sum: signed and revealed once, for one U2 and one secret of each (§8, group 4)."""

from copy import deepcopy
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.protocol import (
    Cohort,
    consent,
    flipped,
    is_answered,
    opening,
    refusal_of,
    rules,
    sum_of,
    table,
)

from calyx.secagg import advertisement
from calyx.secagg.encoding import rows_from_bytes
from calyx.secagg.refusals import RefusalCode
from calyx.secagg.rules import quorum
from calyx.secagg.shamir import SHARE_BYTES, combine
from calyx.secagg.sharing import SEALED_BYTES

SIX = frozenset(range(6))


def cohort_of(n=6, colluders=1, **changes):
    return Cohort(n, rules(3, colluders, **changes))


@pytest.fixture
def consistency():
    """Six clients before stage 3; t = Q = 4."""
    cohort = cohort_of()
    cohort.reach(3)
    return cohort


@pytest.fixture
def signing():
    """Six clients that have all signed the sum of all."""
    cohort = cohort_of()
    cohort.reach(4)
    return cohort


def test_a_sum_without_the_client_itself_is_refused(consistency):
    refusal = refusal_of(consistency, 0, 3, sum_of(SIX - {0}))
    assert refusal.code is RefusalCode.NOT_IN_SUM


@pytest.mark.parametrize("stranger", [6, 2**32 - 1])
def test_a_sum_with_an_unknown_client_is_refused(consistency, stranger):
    refusal = refusal_of(consistency, 0, 3, sum_of(SIX | {stranger}))
    assert refusal.code is RefusalCode.SUM_OUTSIDE_INBOX


@pytest.mark.parametrize("garble", [lambda sound: sound[:-1], lambda sound: sound + sound[:4]])
def test_a_sum_that_is_no_set_is_refused(consistency, garble):
    assert refusal_of(consistency, 0, 3, garble(sum_of(SIX))).code is RefusalCode.UNKNOWN_CLIENT


@pytest.mark.parametrize(
    ("limits", "least"),
    [({}, 4), ({"n_min": 5}, 5), ({"colluders": 2, "h_min": 3}, 5), ({"colluders": 3}, 5)],
    ids=["quorum", "n_min", "honest", "quorum-of-three-colluders"],
)
def test_a_sum_of_one_fewer_than_the_least_is_refused_and_the_least_signed(limits, least):
    cohort = cohort_of(**limits)
    cohort.reach(3)
    assert is_answered(deepcopy(cohort), 0, 3, sum_of(range(least)))
    refusal = refusal_of(cohort, 0, 3, sum_of(range(least - 1)))
    assert refusal.code is RefusalCode.SUM_TOO_SMALL


def test_after_split_inboxes_a_client_refuses_a_sum_with_whom_it_did_not_hear():
    cohort = cohort_of()
    requests = cohort.reach(2)
    requests[0] = table({v: row for v, row in inbox_rows(requests[0]).items() if v != 3})
    cohort.stage(2, requests)
    refused = refusal_of(deepcopy(cohort), 0, 3, sum_of(SIX))
    assert refused.code is RefusalCode.SUM_OUTSIDE_INBOX
    assert is_answered(cohort, 0, 3, sum_of(SIX - {3}))


def inbox_rows(request):
    return dict(rows_from_bytes(request, SEALED_BYTES))


# Stage 4: Q signatures on that U2


def test_a_sum_changed_between_signing_and_opening_is_refused(signing):
    # Client 5 in the first U2, "dropped" in the second: both of its secrets would be out.
    without = SIX - {5}
    request = opening(without, {v: consent(signing, v, without) for v in without})
    assert refusal_of(signing, 0, 4, request).code is RefusalCode.SUM_CHANGED


def test_exactly_the_quorum_opens_the_sum_and_one_signature_fewer_does_not(signing):
    quorum_of_six = {v: consent(signing, v, SIX) for v in range(2, 6)}
    assert is_answered(deepcopy(signing), 0, 4, opening(SIX, quorum_of_six))
    del quorum_of_six[2]
    refusal = refusal_of(signing, 0, 4, opening(SIX, quorum_of_six))
    assert refusal.code is RefusalCode.TOO_FEW_SIGNATURES


def other_root(cohort):
    return advertisement.root_of(cohort.ctx, cohort_with_new_keys(cohort).server.advertised)


def cohort_with_new_keys(cohort):
    other = Cohort(6, cohort.rules)
    other.reach(1)
    return other


@pytest.mark.parametrize(
    "forged",
    [
        lambda cohort, sound: {9: sound[4]},  # the same signature under another index
        lambda cohort, sound: {2: sound[4]},
        lambda cohort, sound: {2: bytes(64)},
        lambda cohort, sound: {2: flipped(consent(cohort, 2, SIX), 5)},
        lambda cohort, sound: {2: consent(cohort, 2, SIX - {1})},
        lambda cohort, sound: {2: consent(cohort, 2, SIX, ctx=bytes(32))},
        lambda cohort, sound: {2: consent(cohort, 2, SIX, root=other_root(cohort))},
        lambda cohort, sound: {2: consent(cohort, 2, SIX, tag="abandon")},
    ],
    ids=["outsider", "copied", "zeros", "flipped", "other-sum", "other-ctx", "other-root", "use"],
)
def test_a_quorum_filled_up_with_what_is_no_signature_is_refused(signing, forged):
    sound = {v: consent(signing, v, SIX) for v in (3, 4, 5)}
    refusal = refusal_of(signing, 0, 4, opening(SIX, sound | forged(signing, sound)))
    assert refusal.code is RefusalCode.TOO_FEW_SIGNATURES


def test_a_quorum_filled_up_with_repeats_is_refused(signing):
    sound = {v: consent(signing, v, SIX) for v in (3, 4, 5)}
    twice = opening(SIX, sound) + table({5: sound[5]})
    assert refusal_of(signing, 0, 4, twice).code is RefusalCode.TOO_FEW_SIGNATURES


def test_a_quorum_filled_up_with_a_client_that_is_not_in_the_sum_is_refused(consistency):
    without = SIX - {5}
    assert is_answered(consistency, 0, 3, sum_of(without))
    signatures = {v: consent(consistency, v, without) for v in (2, 3, 4, 5)}
    refusal = refusal_of(consistency, 0, 4, opening(without, signatures))
    assert refusal.code is RefusalCode.TOO_FEW_SIGNATURES


@given(st.integers(1, 512), st.data())
def test_colluders_that_sign_twice_cannot_give_two_sums_a_quorum(n, data):
    colluders = data.draw(st.integers(0, n))
    honest_of_one = data.draw(st.integers(0, n - colluders))
    one, other = honest_of_one + colluders, n - honest_of_one  # an honest client signs one of them
    assert min(one, other) < quorum(n, colluders)
    assert 2 * (quorum(n, colluders) - 1) <= n + colluders  # and a smaller one, both could have


@pytest.mark.parametrize("split", list(product((True, False), repeat=4)))
def test_of_two_sums_shown_to_different_clients_at_most_one_is_opened(consistency, split):
    # Client 5 colludes and signs both; client 4 is in the one sum only, the victim of the other.
    whole, without = SIX, SIX - {4}
    shown = {4: whole} | {u: whole if sees else without for u, sees in enumerate(split)}
    signatures = {frozenset(s): {5: consent(consistency, 5, s)} for s in (whole, without)}
    for u, members in shown.items():
        signatures[members][u] = consistency.call(u, 3, sum_of(members))
    opened = {
        members
        for u, members in shown.items()
        if is_answered(consistency, u, 4, opening(members, signatures[members]))
    }
    assert opened == {whole if sum(split) >= 2 else without}


def test_one_secret_of_each_client_is_revealed_and_never_both():
    cohort = cohort_of()
    requests = cohort.server.take_advertisements(cohort.begin())
    secrets = {u: (s.seed, s.mask_private) for u, s in cohort.sessions.items()}
    takes = (cohort.server.take_shares, cohort.server.take_vectors, cohort.server.take_consents)
    for stage, take in enumerate(takes, start=1):
        requests = take(cohort.stage(stage, requests, {4} if stage == 2 else ()))
    reveals = cohort.stage(4, requests)
    points = {v: {} for v in SIX}
    for u, reply in reveals.items():
        rows = rows_from_bytes(reply, SHARE_BYTES)
        assert [v for v, _ in rows] == sorted(SIX)  # one share of each
        for v, share in rows:
            points[v][u + 1] = int.from_bytes(share, "little")
    for v, (seed, private) in secrets.items():
        expected = private if v == 4 else seed  # 4's vector came late or never: b stays closed
        assert combine(points[v], 4) == int.from_bytes(expected, "little")
        assert combine(points[v], 3) != int.from_bytes(expected, "little")  # t − 1 do not do


def test_nothing_is_revealed_of_a_client_whose_shares_never_came():
    cohort = cohort_of()
    cohort.reach(3, {5})
    without = SIX - {5}
    cohort.call(0, 3, sum_of(without))
    signatures = {v: consent(cohort, v, without) for v in without}
    reply = cohort.call(0, 4, opening(without, signatures))
    assert {v for v, _ in rows_from_bytes(reply, SHARE_BYTES)} == without
