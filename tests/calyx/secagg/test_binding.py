"""What every key, hash and root is bound to: another context, client or use gives another (§3, §4)."""

from itertools import combinations

import pytest
from support.protocol import flipped

from calyx.secagg import advertisement
from calyx.secagg.advertisement import Advertisement
from calyx.secagg.encoding import enc, hash_of, set_hash, split
from calyx.secagg.keys import (
    Agreement,
    Pairs,
    mask_key,
    public_of,
    seal,
    self_mask_key,
    share_key,
    unseal,
)

PRK, CTX, OTHER = bytes(32), b"\1" * 32, b"\2" * 32
KEYS = {1: b"a" * 32, 4: b"b" * 32}
PAIR = Pairs(KEYS, CTX).of(1, 4)
OTHERS = [
    Pairs({0: KEYS[1], 4: KEYS[4]}, CTX).of(0, 4),
    Pairs({1: KEYS[1], 5: KEYS[4]}, CTX).of(1, 5),
    Pairs({1: b"c" * 32, 4: KEYS[4]}, CTX).of(1, 4),
    Pairs({1: KEYS[1], 4: b"c" * 32}, CTX).of(1, 4),
    Pairs(KEYS, OTHER).of(1, 4),
]


def are_distinct(values):
    return all(one != other for one, other in combinations(values, 2))


def test_a_mask_and_a_sealing_key_are_of_their_pair_and_root_alone():
    assert are_distinct([mask_key(PRK, pair, 32) for pair in (PAIR, *OTHERS)])
    assert are_distinct([share_key(PRK, pair, enc(1, 4)) for pair in (PAIR, *OTHERS)])


def test_each_direction_has_its_own_sealing_key_and_none_is_a_mask():
    pairs = Pairs(KEYS, CTX)
    there, back = (share_key(PRK, PAIR, pairs.direction(*way)) for way in ((1, 4), (4, 1)))
    assert are_distinct([there, back, mask_key(PRK, PAIR, 32)])


def test_a_pair_is_the_same_from_both_sides():
    assert PAIR == Pairs(KEYS, CTX).of(4, 1) == enc(1, 4, KEYS[1], KEYS[4], CTX)


def test_what_two_clients_agree_on_is_of_one_context():
    one, other = b"\3" * 32, b"\4" * 32
    mine, theirs = public_of(one), public_of(other)
    agreed = Agreement(one, mine, CTX).with_public(theirs)
    assert Agreement(other, theirs, CTX).with_public(mine) == agreed
    assert Agreement(one, mine, OTHER).with_public(theirs) != agreed


def test_a_self_mask_is_of_its_seed_context_client_and_root():
    cases = [(PRK, CTX, 1, CTX), (OTHER, CTX, 1, CTX), (PRK, OTHER, 1, CTX)]
    cases += [(PRK, CTX, 2, CTX), (PRK, CTX, 1, OTHER)]
    assert are_distinct([self_mask_key(*case) for case in cases])


def test_a_sealed_share_does_not_open_under_another_context():
    sealed = seal(PRK, b"share", CTX)
    assert unseal(PRK, sealed, CTX) == b"share"
    assert unseal(PRK, sealed, OTHER) is None


def test_a_commitment_is_of_one_context():
    assert advertisement.commit(CTX, PRK) != advertisement.commit(OTHER, PRK)


def adverts(*bodies):
    made = [Advertisement(b[:32], b[32:64], b[64:], bytes(64)) for b in bodies]
    return dict(enumerate(made))


@pytest.mark.parametrize("at", [0, 40, 95], ids=["c_pub", "s_pub", "commitment"])
def test_every_part_of_an_advertisement_changes_the_root(at):
    one, other = bytes(96), b"\1" * 96
    root = advertisement.root_of(CTX, adverts(one, other))
    assert advertisement.root_of(CTX, adverts(one, flipped(other, at))) != root


def test_a_root_is_of_its_context_and_its_clients_in_any_order_of_arrival():
    found = adverts(bytes(96), b"\1" * 96)
    swapped = adverts(b"\1" * 96, bytes(96))
    root = advertisement.root_of(CTX, found)
    assert advertisement.root_of(CTX, dict(reversed(found.items()))) == root
    assert advertisement.root_of(OTHER, found) != root
    assert advertisement.root_of(CTX, swapped) != root


def test_a_set_is_the_same_in_any_order_and_another_with_another_member():
    assert set_hash([2, 0, 1]) == set_hash([0, 1, 2]) == set_hash({0, 1, 2})
    assert set_hash([0, 1]) != set_hash([0, 1, 2])


def test_a_hash_for_one_use_is_none_for_another():
    assert are_distinct([hash_of(tag, CTX) for tag in ("com", "ctx", "root", "set")])


def test_no_two_lists_of_items_have_the_same_encoding():
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]
    assert are_distinct([enc(*items) for items in lists])
    assert enc("a", 1) == b"\1\0\0\0a\x08\0\0\0\1\0\0\0\0\0\0\0"  # by hand from §3


def test_an_encoding_is_split_into_its_items_and_one_that_is_cut_short_is_refused():
    items = [b"abc", b"", b"d"]
    assert split(enc(*items)) == items
    for end in (1, 3, 6, 9, 15):
        with pytest.raises(ValueError, match="cut short"):
            split(enc(*items)[:end])
