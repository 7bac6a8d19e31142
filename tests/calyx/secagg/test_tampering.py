"""A malicious cohort at stage 1: refused, with no secret out (docs/secagg.md §8, group 4)."""

from copy import deepcopy
from dataclasses import replace

import pytest
from support.protocol import SUBJECT, Cohort, flipped, refusal_of, rules, table

from calyx.secagg import advertisement
from calyx.secagg.encoding import rows_to_bytes
from calyx.secagg.keys import sign
from calyx.secagg.refusals import RefusalCode

DEFAULTS = {"n_min": 5, "h_min": 3}


def cohort_of(n=6, colluders=1, **changes):
    return Cohort(n, rules(3, colluders, **changes))


def signed(cohort, v, body, ctx=None):
    """An advertisement that member `v` signs, whatever is in it."""
    made = advertisement.make(cohort.members[v].signer, ctx or cohort.ctx, v, body)
    return made.to_bytes()


@pytest.fixture
def adverts():
    """Six clients, and U0's rows as an honest server would send them at stage 1."""
    cohort = cohort_of()
    return cohort, cohort.begin()


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        (2, {"colluders": 1, **DEFAULTS}),  # one colluder and the victim
        (4, {"colluders": 1, "n_min": 5, "h_min": 1}),
        (5, {"colluders": 3, "n_min": 2, "h_min": 3}),
        (3, {"colluders": 3, "n_min": 2, "h_min": 0}),  # Q = 4 of 3
    ],
)
def test_a_cohort_of_the_colluders_and_one_victim_is_refused(size, limits):
    cohort = cohort_of(**limits)
    request = table(cohort.begin(range(size)))
    assert refusal_of(cohort, 0, 1, request).code is RefusalCode.TOO_FEW_CLIENTS


def test_a_cohort_above_the_maximum_is_refused():
    cohort = cohort_of(n_max=5)
    assert refusal_of(cohort, 0, 1, table(cohort.begin())).code is RefusalCode.TOO_MANY_CLIENTS


def test_no_rules_let_a_group_be_larger_than_the_protocol_allows():
    cohort = Cohort(513, rules(1, n_max=2**20))
    assert refusal_of(cohort, 0, 1, table(cohort.begin())).code is RefusalCode.TOO_MANY_CLIENTS


def test_its_own_advertisement_missing_is_refused(adverts):
    cohort, rows = adverts
    del rows[0]
    assert refusal_of(cohort, 0, 1, table(rows)).code is RefusalCode.OWN_ADVERTISEMENT


def test_another_advertisement_that_it_has_signed_itself_is_refused(adverts):
    cohort, rows = adverts
    restored = deepcopy(cohort)  # a client that drew its keys twice
    rows[0] = restored.begin([0])[0]
    assert refusal_of(cohort, 0, 1, table(rows)).code is RefusalCode.OWN_ADVERTISEMENT


@pytest.mark.parametrize("part", [0, 40, 70, 100], ids=["c_pub", "s_pub", "com", "signature"])
def test_its_own_advertisement_altered_is_refused(adverts, part):
    cohort, rows = adverts
    rows[0] = flipped(rows[0], part)
    assert refusal_of(cohort, 0, 1, table(rows)).code is RefusalCode.OWN_ADVERTISEMENT


@pytest.mark.parametrize("part", [0, 40, 70, 100], ids=["c_pub", "s_pub", "com", "signature"])
def test_an_altered_advertisement_of_another_is_refused_and_its_client_named(adverts, part):
    cohort, rows = adverts
    rows[3] = flipped(rows[3], part)
    refusal = refusal_of(cohort, 0, 1, table(rows))
    assert (refusal.code, refusal.accused) == (RefusalCode.BAD_SIGNATURE, 3)


def other_round(cohort):
    other = Cohort(6, cohort.rules, subject=replace(SUBJECT, round=2))
    return other.begin([3])[3]


@pytest.mark.parametrize(
    "forge",
    [
        lambda cohort, rows: rows[4],  # swapped
        lambda cohort, rows: other_round(cohort),  # replayed
        lambda cohort, rows: rows[3][:96] + bytes(64),  # unsigned
        lambda cohort, rows: (
            rows[3][:96]
            + sign(cohort.members[4].identity, "adv", cohort.ctx, 3, rows[3][:96])  # by another
        ),
        lambda cohort, rows: (
            rows[3][:96]
            + sign(cohort.members[3].identity, "y", cohort.ctx, 3, rows[3][:96])  # for another use
        ),
    ],
    ids=["swapped", "replayed", "unsigned", "signed-by-another", "signed-for-another-use"],
)
def test_keys_that_their_client_did_not_sign_for_this_round_are_refused(adverts, forge):
    cohort, rows = adverts
    rows[3] = forge(cohort, rows)
    refusal = refusal_of(cohort, 0, 1, table(rows))
    assert (refusal.code, refusal.accused) == (RefusalCode.BAD_SIGNATURE, 3)


@pytest.mark.parametrize("u", [5, 6, 2**32 - 1], ids=["of-the-roster", "beyond-it", "largest"])
def test_a_client_outside_of_the_group_is_refused(adverts, u):
    cohort, rows = adverts
    cohort.sessions[0].group = (0, 1, 2, 3, 4)
    refusal = refusal_of(cohort, 0, 1, table({**rows, u: rows[5]}))
    assert refusal.code is RefusalCode.UNKNOWN_CLIENT
    assert refusal.accused in {5, u}


def test_a_client_that_comes_twice_is_refused(adverts):
    cohort, rows = adverts
    twice = table(rows) + rows_to_bytes([(3, rows[3])])
    assert refusal_of(cohort, 0, 1, twice).code is RefusalCode.UNKNOWN_CLIENT


def test_a_request_that_is_no_table_is_refused(adverts):
    cohort, rows = adverts
    assert refusal_of(cohort, 0, 1, table(rows)[:-1]).code is RefusalCode.UNKNOWN_CLIENT


@pytest.mark.parametrize(
    "sybil",
    [
        lambda own, other: other,  # the same three
        lambda own, other: other[:32] + own[32:],
        lambda own, other: own[:32] + other[32:64] + own[64:],
        lambda own, other: own[:64] + other[64:],
        lambda own, other: other[32:64] + own[32:],  # another's s_pub as its c_pub
        lambda own, other: own[:32] + own[:32] + own[64:],  # one key for both uses
    ],
    ids=["whole", "c_pub", "s_pub", "commitment", "crosswise", "own-key-twice"],
)
def test_a_key_that_is_used_twice_is_refused(adverts, sybil):
    cohort, rows = adverts
    rows[3] = signed(cohort, 3, sybil(rows[3][:96], rows[4][:96]))
    assert refusal_of(cohort, 0, 1, table(rows)).code is RefusalCode.REPEATED_KEY


# The points of small order on Curve25519 and their other encodings: https://cr.yp.to/ecdh.html
FIELD = 2**255 - 19
ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
ORDER_8_TWIN = 39382357235489614581723060781553021112529911719440698176882885853963445705823
LOW_ORDER = [0, 1, ORDER_8, ORDER_8_TWIN, FIELD - 1, FIELD, FIELD + 1, 2**255]


@pytest.mark.parametrize("which", [0, 1], ids=["c_pub", "s_pub"])
@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_key_that_agrees_on_nothing_is_refused_before_it_is_used(adverts, point, which):
    cohort, rows = adverts
    body, low = rows[3][:96], point.to_bytes(32, "little")
    forged = low + body[32:] if which == 0 else body[:32] + low + body[64:]
    rows[3] = signed(cohort, 3, forged)
    cohort.sessions[3].advertisement = rows[3]  # member 3 is malicious
    if which == 0:
        stage, request = 1, table(rows)
    else:
        inboxes = cohort.server.take_shares(
            cohort.stage(1, cohort.server.take_advertisements(rows))
        )
        stage, request = 2, inboxes[0]
    refusal = refusal_of(cohort, 0, stage, request)
    assert (refusal.code, refusal.accused) == (RefusalCode.REPEATED_KEY, 3)
    assert 0 not in cohort.committed
