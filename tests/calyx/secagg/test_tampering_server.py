"""Members that lie to an honest server: dropped or named, the sum of the others exact (§8, group 4)."""

import hashlib
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protocol import Cohort, flipped, rules, table, takes_of

from calyx.secagg import advertisement
from calyx.secagg.aggregator import Blame, GroupFailed, named_liars
from calyx.secagg.encoding import rows_from_bytes
from calyx.secagg.keys import sign
from calyx.secagg.shamir import SHARE_BYTES

LENGTH = 3


def cohort_of(n=6, colluders=1, **changes):
    return Cohort(n, rules(LENGTH, colluders, **changes))


def honest(stage, n=6, colluders=1):
    """A cohort, and its honest replies at a stage (0 … 4)."""
    cohort = cohort_of(n, colluders)
    return cohort, cohort.stage(stage, cohort.reach(stage)) if stage else cohort.begin()


@lru_cache
def prepared(stage):
    """The same for all examples of a property, which copy it."""
    return honest(stage)


def lies(reveal, about, offset=1):
    """A reveal whose shares of these clients are wrong."""
    rows = dict(rows_from_bytes(reveal, SHARE_BYTES))
    for v in about:
        wrong = int.from_bytes(rows[v], "little") + offset
        rows[v] = wrong.to_bytes(SHARE_BYTES, "little")
    return table(rows)


# Dealers


def test_a_dealer_of_another_seed_than_it_committed_to_is_named():
    cohort = cohort_of()
    adverts = cohort.begin()
    cohort.sessions[3].seed = bytes(32)
    with pytest.raises(GroupFailed, match="client-003's secret do not fit") as failed:
        cohort.finish(0, adverts)
    assert failed.value.stage == 4
    assert cohort.server.blames == []  # its holders told the truth


def test_a_holder_is_not_blamed_for_a_share_of_a_seed_that_does_not_fit_anyhow():
    cohort = cohort_of()
    adverts = cohort.begin()
    cohort.sessions[3].seed = bytes(32)
    requests = cohort.server.take_advertisements(adverts)
    takes = (cohort.server.take_shares, cohort.server.take_vectors, cohort.server.take_consents)
    for stage, take in enumerate(takes, start=1):
        requests = take(cohort.stage(stage, requests))
    reveals = cohort.stage(4, requests)
    reveals[0] = lies(reveals[0], [3])
    with pytest.raises(GroupFailed, match="client-003"):
        cohort.server.take_reveals(reveals)
    assert cohort.server.blames == []


def test_a_dealer_of_another_mask_key_than_it_advertised_is_named_when_it_drops_out():
    cohort = cohort_of()
    adverts = cohort.begin()
    cohort.sessions[3].mask_private = bytes(32)
    inboxes = cohort.server.take_shares(cohort.stage(1, cohort.server.take_advertisements(adverts)))
    vectors = cohort.stage(2, inboxes, {3})
    with pytest.raises(GroupFailed, match="client-003's secret do not fit"):
        cohort.finish(2, vectors)


def test_a_wrong_share_to_one_holder_spoils_nothing_and_blames_the_pair():
    cohort, reveals = honest(4)
    reveals[0] = lies(reveals[0], [3])
    assert cohort.finish(4, reveals).tolist() == cohort.oracle(range(6))
    assert cohort.server.blames == [Blame(dealer=3, holder=0)]
    assert named_liars(cohort.server.blames, 1) == {}


# Holders


@pytest.mark.parametrize("dropped", [(), (5,)])
def test_a_holder_that_reveals_wrong_shares_is_named_and_the_sum_is_right(dropped):
    cohort = Cohort(8, rules(LENGTH))  # t = 5: of 7 reveals one may be wrong
    requests = cohort.server.take_shares(cohort.stage(1, cohort.reach(1)))
    requests = cohort.server.take_vectors(cohort.stage(2, requests, dropped))
    reveals = cohort.stage(4, cohort.server.take_consents(cohort.stage(3, requests)))
    reveals[0] = lies(reveals[0], range(8), offset=2**200)
    present = [u for u in range(8) if u not in dropped]
    assert cohort.finish(4, reveals).tolist() == cohort.oracle(present)
    assert cohort.server.blames == [Blame(dealer, 0) for dealer in range(8)]
    assert set(named_liars(cohort.server.blames, 1)) == {0}


def test_two_liars_are_named_and_the_dealers_they_lied_about_are_not():
    cohort, reveals = honest(4, n=12, colluders=2)  # t = 8: of 12 reveals two may be wrong
    for liar in (1, 4):
        reveals[liar] = lies(reveals[liar], range(12), offset=liar)
    assert cohort.finish(4, reveals).tolist() == cohort.oracle(range(12))
    assert set(named_liars(cohort.server.blames, 2)) == {1, 4}


def test_a_liar_cannot_have_an_honest_client_named_by_lying_as_dealer_and_as_holder():
    framed = [Blame(dealer=0, holder=3), Blame(dealer=3, holder=0)]
    assert named_liars(framed, 1) == {}


def test_more_liars_than_decoding_can_bear_stop_the_round_and_nobody_is_blamed():
    cohort, reveals = honest(4)  # t = 4 of 6: one wrong share is found, two are not
    for liar in (0, 1):
        reveals[liar] = lies(reveals[liar], [3], offset=liar + 1)
    with pytest.raises(GroupFailed, match="client-003") as failed:
        cohort.finish(4, reveals)
    assert (failed.value.stage, cohort.server.blames) == (4, [])


@pytest.mark.parametrize("dropped", [(), {3}], ids=["seed", "mask-key"])
def test_shares_of_a_secret_above_its_limit_stop_the_round(dropped):
    cohort = cohort_of()
    requests = cohort.server.take_vectors(cohort.stage(2, cohort.reach(2), dropped))
    reveals = cohort.stage(4, cohort.server.take_consents(cohort.stage(3, requests)))
    zero = {u: lies(reveals[u], []) for u in reveals}
    for u in zero:  # a constant polynomial: p − 1, which has 33 bytes
        rows = dict(rows_from_bytes(zero[u], SHARE_BYTES))
        rows[3] = (2**256 + 296).to_bytes(SHARE_BYTES, "little")
        zero[u] = table(rows)
    with pytest.raises(GroupFailed, match="client-003"):
        cohort.finish(4, zero)


# What is unsound is dropped, and the others are summed


def resigned(cohort, tag, *items):
    return sign(cohort.members[5].identity, tag, *items)


UNSOUND = {
    "advert-short": (0, lambda cohort, sound: sound[:-1]),
    "advert-unsigned": (0, lambda cohort, sound: sound[:96] + bytes(64)),
    "advert-for-another-round": (
        0,
        lambda cohort, sound: sound[:96] + resigned(cohort, "adv", bytes(32), 5, sound[:96]),
    ),
    "one-key-for-both-uses": (
        0,
        lambda cohort, sound: advertisement.make(
            cohort.members[5].signer, cohort.ctx, 5, sound[:32] + sound[:32] + sound[64:96]
        ).to_bytes(),
    ),
    "one-share-too-few": (1, lambda cohort, sound: sound[86:]),
    "a-share-to-itself": (1, lambda cohort, sound: b"\5\0\0\0" + sound[4:]),
    "shares-ragged": (1, lambda cohort, sound: sound + b"\0"),
    "vector-short": (2, lambda cohort, sound: sound[4:]),
    "vector-long": (2, lambda cohort, sound: bytes(4) + sound),
    "vector-changed": (2, lambda cohort, sound: flipped(sound, 0)),
    "signature-changed": (2, lambda cohort, sound: flipped(sound, -1 % len(sound))),
    "vector-of-another-length-signed": (
        2,
        lambda cohort, sound: (
            bytes(8) + resigned(cohort, "y", cohort.ctx, cohort.server.root, 5, digest(bytes(8)))
        ),
    ),
    "vector-signed-for-another-round": (
        2,
        lambda cohort, sound: (
            sound[:12] + resigned(cohort, "y", bytes(32), cohort.server.root, 5, digest(sound[:12]))
        ),
    ),
    "vector-signed-for-another-root": (
        2,
        lambda cohort, sound: (
            sound[:12] + resigned(cohort, "y", cohort.ctx, bytes(32), 5, digest(sound[:12]))
        ),
    ),
    "vector-signed-for-another-client": (
        2,
        lambda cohort, sound: (
            sound[:12]
            + resigned(cohort, "y", cohort.ctx, cohort.server.root, 4, digest(sound[:12]))
        ),
    ),
    "consent-changed": (3, lambda cohort, sound: flipped(sound, 0)),
    "consent-missing": (3, lambda cohort, sound: b""),
    "reveal-short": (4, lambda cohort, sound: sound[37:]),
    "reveal-ragged": (4, lambda cohort, sound: sound[:-1]),
    "reveal-twice": (4, lambda cohort, sound: sound[:37] + sound[:-37]),
}


def digest(data):
    return hashlib.sha256(data).digest()


@pytest.mark.parametrize("case", UNSOUND)
def test_what_is_unsound_is_dropped_and_the_sum_of_the_others_is_exact(case):
    stage, forge = UNSOUND[case]
    cohort, replies = honest(stage)
    replies[5] = forge(cohort, replies[5])
    total = cohort.finish(stage, replies)
    assert list(cohort.server.dropped) == [5]
    assert total.tolist() == cohort.oracle(range(5) if stage < 3 else range(6))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_two_that_advertise_the_same_key_are_both_dropped(part):
    cohort, adverts = honest(0)
    body, stolen = bytearray(adverts[5][:96]), slice(32 * part, 32 * part + 32)
    body[stolen] = adverts[4][stolen]
    made = advertisement.make(cohort.members[5].signer, cohort.ctx, 5, bytes(body))
    requests = cohort.server.take_advertisements(adverts | {5: made.to_bytes()})
    assert set(requests) == set(cohort.server.advertised) == {0, 1, 2, 3}
    assert set(cohort.server.dropped) == {4, 5}


def test_a_vector_that_comes_after_the_sum_was_fixed_changes_nothing():
    cohort = cohort_of()
    inboxes = cohort.reach(2)
    vectors = cohort.stage(2, inboxes)
    late = {5: vectors.pop(5)}
    consents = cohort.stage(3, cohort.server.take_vectors(vectors))
    reveals = cohort.stage(4, cohort.server.take_consents(consents | late))
    total = cohort.server.take_reveals(reveals | late)
    assert total.tolist() == cohort.oracle(range(5))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4), st.data())
def test_garbage_at_any_stage_is_dropped_or_stops_the_group_and_nothing_else(stage, data):
    cohort, replies = deepcopy(prepared(stage))
    garbled = data.draw(st.sets(st.sampled_from(range(6))))
    for u in garbled:
        sound = replies[u]
        at = data.draw(st.integers(0, len(sound) - 1))
        replies[u] = data.draw(st.sampled_from([flipped(sound, at), sound[:at], sound + b"\0"]))
        replies[u] = data.draw(st.one_of(st.binary(max_size=300), st.just(replies[u])))
    replies |= data.draw(st.dictionaries(st.integers(6, 2**32), st.binary(max_size=9), max_size=2))
    result = None
    with suppress(GroupFailed):
        result = takes_of(cohort.server)[stage](replies)
    if result is None:
        assert len(garbled) > (1 if stage == 4 else 2)  # 4 of 6 are enough, and one wrong share
    elif stage == 4:
        assert result.tolist() == cohort.oracle(range(6))
    elif stage == 1:  # only its receiver can tell whether a share is sound
        assert set(result) >= set(range(6)) - garbled
    else:
        assert set(result) == set(range(6)) - garbled
