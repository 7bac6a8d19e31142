"""How large a sum must be, what everybody must agree on, and who may take part (§3 and §4)."""

import json
from dataclasses import asdict, replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom
from support.protocol import SUBJECT, rules

from calyx.secagg.keys import identity_of, sign
from calyx.secagg.roster import Roster, fingerprint, make_roster, read_roster, write_roster
from calyx.secagg.rules import (
    context,
    default_colluders,
    group_colluders,
    quorum,
    smallest_group,
)

CONSORTIUM = bytes(range(32))
KEYS = {name: identity_of(bytes([i]) * 32) for i, name in enumerate(("zürich", "bern", "aarau"))}


# t = Q = ⌊(n + C)/2⌋ + 1
@pytest.mark.parametrize(
    ("n", "colluders", "expected"),
    [(5, 1, 4), (6, 1, 4), (10, 1, 6), (13, 10, 12), (32, 4, 19), (100, 10, 56), (3, 0, 2)],
)
def test_the_quorum_is_the_least_that_two_sums_cannot_both_have(n, colluders, expected):
    assert quorum(n, colluders) == expected
    assert 2 * expected > n + colluders >= 2 * (expected - 1)


# A tenth of the roster, and at least one.
@pytest.mark.parametrize(
    ("roster", "colluders"), [(1, 1), (5, 1), (10, 1), (11, 2), (100, 10), (101, 11)]
)
def test_by_default_a_tenth_of_the_roster_may_collude(roster, colluders):
    assert default_colluders(roster) == colluders == max(1, ceil(roster / 10))


def test_with_the_default_colluders_10_of_100_needs_13():
    assert smallest_group(5, 3, default_colluders(100)) == 13


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 120))
def test_the_smallest_group_is_the_least_of_which_a_sum_is_possible(n_min, h_min, colluders):
    def is_possible(n):
        return n >= max((n + colluders) // 2 + 1, n_min, colluders + h_min)

    assert smallest_group(n_min, h_min, colluders) == next(
        n for n in range(1, 999) if is_possible(n)
    )


# Each of the three conditions binds once: Q = 6, n_min = 5, C + h_min = 13.
@pytest.mark.parametrize(
    ("n", "colluders", "least"), [(10, 1, 6), (5, 0, 5), (13, 10, 13), (2, 2, 5), (100, 10, 56)]
)
def test_a_sum_needs_the_quorum_the_minimum_and_honest_clients_beside_the_colluders(
    n, colluders, least
):
    assert rules(1, colluders, n_min=5, h_min=3).smallest_sum(n) == least


@pytest.mark.parametrize(("n", "colluders", "signatures"), [(5, 1, 3), (10, 1, 6), (100, 10, 55)])
def test_abandoning_needs_all_but_the_threshold_and_the_colluders(n, colluders, signatures):
    # n − t + 1 + C with t = 4, 6 and 56.
    assert rules(1, colluders).abandon_quorum(n) == signatures


def test_a_server_that_samples_as_it_likes_puts_all_colluders_into_one_group():
    assert group_colluders(100, 10, 20, "adversarial") == 10
    assert group_colluders(100, 10, 4, "adversarial") == 4


@pytest.mark.parametrize(
    ("roster", "colluders", "group"),
    [(100, 10, 20), (1000, 100, 10), (1000, 100, 100), (500, 5, 250), (40, 4, 5), (100, 10, 100),
     (100, 0, 20), (10**5, 10**4, 128), (20, 20, 5), (10**4, 1, 2)],
)  # fmt: skip
def test_trusted_sampling_bounds_colluders_of_a_group_by_the_tail_at_2_to_the_minus_40(
    roster, colluders, group
):
    tail = hypergeom(roster, colluders, group)
    expected = next(c for c in range(group + 1) if tail.sf(c) <= 2.0**-40)
    assert group_colluders(roster, colluders, group, "trusted") == expected


# What a context binds

FIELDS = asdict(rules(7))
OTHER = {
    field: b"\1" * 32 if isinstance(value, bytes) else value + 1 for field, value in FIELDS.items()
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_changes_the_digest_of_the_rules_and_the_context(field):
    one, other = rules(7), replace(rules(7), **{field: OTHER[field]})
    assert one.digest != other.digest
    assert context(SUBJECT, bytes(32), one) != context(SUBJECT, bytes(32), other)


def test_rules_that_exchange_two_numbers_have_another_digest():
    assert rules(7, n_min=3, h_min=4).digest != rules(7, n_min=4, h_min=3).digest


@pytest.mark.parametrize("field", asdict(SUBJECT))
def test_every_field_changes_the_context(field):
    value = getattr(SUBJECT, field)
    changed = {str: "other", int: 7, bytes: b"\1" * 32}[type(value)]
    other = replace(SUBJECT, **{field: changed})
    assert context(other, bytes(32), rules(7)) != context(SUBJECT, bytes(32), rules(7))


def test_the_roster_changes_the_context():
    assert context(SUBJECT, bytes(32), rules(7)) != context(SUBJECT, b"\1" * 32, rules(7))


def test_text_that_moves_from_one_field_to_the_next_changes_the_context():
    moved = replace(SUBJECT, task=SUBJECT.task + SUBJECT.run[0], run=SUBJECT.run[1:])
    assert context(moved, bytes(32), rules(7)) != context(SUBJECT, bytes(32), rules(7))


# The roster


@pytest.fixture
def roster():
    return make_roster(KEYS, 3, CONSORTIUM)


def test_a_roster_is_read_as_it_was_written(roster):
    assert read_roster(write_roster(roster)) == roster


def test_clients_are_in_the_order_of_their_names_in_utf_8():
    # In UTF-16, as Java and JavaScript sort, the emoji would come before the full-width tilde.
    names = ["b", "a", "ü", "\N{GRINNING FACE}", "Z", "\N{FULLWIDTH TILDE}"]
    keys = {name: identity_of(bytes([i]) * 32) for i, name in enumerate(names)}
    made = make_roster(keys, 1, CONSORTIUM)
    ordered = ["Z", "a", "b", "ü", "\N{FULLWIDTH TILDE}", "\N{GRINNING FACE}"]
    for found in (made, read_roster(write_roster(made))):
        assert [name for name, _ in found.clients] == ordered
        assert [found.name(u) for u in range(6)] == ordered
        assert found.indices == {name: u for u, name in enumerate(ordered)}
        assert [found.key(u) for u in range(6)] == [keys[name] for name in ordered]
    assert len(made) == 6


def edited(roster, change):
    value = json.loads(write_roster(roster))
    change(value)
    return json.dumps(value)


FORGED = {
    "other-version": lambda v: v.update(version=4),
    "key-of-another": lambda v: v["clients"].update(bern=identity_of(bytes([9]) * 32).hex()),
    "client-added": lambda v: v["clients"].update(chur=identity_of(bytes([9]) * 32).hex()),
    "client-removed": lambda v: v["clients"].pop("bern"),
    "client-renamed": lambda v: v["clients"].update(basel=v["clients"].pop("bern")),
    "signature-changed": lambda v: v.update(signature="00" * 64),
    "other-consortium": lambda v: v.update(consortium=identity_of(bytes(32)).hex()),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_roster_that_the_consortium_did_not_sign_is_refused(roster, change):
    with pytest.raises(ValueError, match="the consortium's signature does not fit"):
        read_roster(edited(roster, change))


MALFORMED = {
    "field-missing": (lambda v: v.pop("signature"), "exactly the fields"),
    "field-unknown": (lambda v: v.update(comment=""), "exactly the fields"),
    "version-text": (lambda v: v.update(version="3"), "whole number"),
    "version-float": (lambda v: v.update(version=3.0), "whole number"),
    "version-true": (lambda v: v.update(version=True), "whole number"),
    "version-zero": (lambda v: v.update(version=0), "whole number"),
    "version-huge": (lambda v: v.update(version=2**63), "whole number"),
    "clients-list": (lambda v: v.update(clients=[]), "wrong type"),
    "clients-none": (lambda v: v.update(clients={}), "name 1 to"),
    "key-number": (lambda v: v["clients"].update(bern=5), "wrong type"),
    "key-no-hex": (lambda v: v["clients"].update(bern="zz"), "hexadecimal"),
    "key-short": (lambda v: v["clients"].update(bern="00" * 31), "32 bytes"),
    "consortium-short": (lambda v: v.update(consortium="00" * 31), "32 bytes"),
    "signature-short": (lambda v: v.update(signature="00" * 63), "signature"),
    "signature-null": (lambda v: v.update(signature=None), "wrong type"),
    "key-twice": (lambda v: v["clients"].update(chur=v["clients"]["bern"]), "the same key"),
    "name-empty": (lambda v: v["clients"].update({"": "11" * 32}), "printable"),
    "name-newline": (lambda v: v["clients"].update({"a\nb": "11" * 32}), "printable"),
    "name-long": (lambda v: v["clients"].update({"a" * 201: "11" * 32}), "printable"),
    "name-surrogate": (lambda v: v["clients"].update({"\ud800": "11" * 32}), "surrogate"),
}


@pytest.mark.parametrize(("change", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_roster_is_refused(roster, change, words):
    with pytest.raises(ValueError, match=words):
        read_roster(edited(roster, change))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"version": 1}', "[" * 100_000])
def test_what_is_no_roster_at_all_is_refused(text):
    with pytest.raises(ValueError, match=r"exactly|Expecting|type"):
        read_roster(text)


def test_a_name_that_comes_twice_in_the_file_is_refused(roster):
    text = write_roster(roster).replace('"aarau"', '"bern"')
    with pytest.raises(ValueError, match="a name comes twice"):
        read_roster(text)


def test_a_field_that_comes_twice_in_the_file_is_refused(roster):
    text = write_roster(roster).replace("{", '{"version": 9,', 1)
    with pytest.raises(ValueError, match="a name comes twice"):
        read_roster(text)


@pytest.mark.parametrize(
    "change", [{"version": 4}, {"clients": ()}, {"consortium": identity_of(bytes(32))}]
)
def test_every_part_changes_the_digest_of_a_roster(roster, change):
    assert replace(roster, **change).digest != roster.digest


def test_a_signature_over_the_digest_for_another_use_is_refused(roster):
    other = Roster(
        roster.version, roster.clients, roster.consortium, sign(CONSORTIUM, "adv", roster.digest)
    )
    with pytest.raises(ValueError, match="does not fit"):
        read_roster(write_roster(other))


def test_a_roster_with_two_clients_of_one_key_is_not_made():
    with pytest.raises(ValueError, match="one key belongs to one machine"):
        make_roster({"a": KEYS["bern"], "b": KEYS["bern"]}, 1, CONSORTIUM)


def test_a_fingerprint_is_twelve_groups_of_five_digits_and_another_for_another_key():
    one, other = fingerprint(KEYS["bern"]), fingerprint(KEYS["aarau"])
    assert [len(group) for group in one.split(" ")] == [5] * 12
    assert one.replace(" ", "").isdigit()
    assert one != other
