"""Names that look alike; the pairs are those of Unicode's confusables.txt."""

import pytest

from calyx.words.lookalikes import lookalikes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("north", "n\u043erth"),  # a Cyrillic o
        ("\u0430\u0440\u0435", "ape"),  # Cyrillic throughout
        ("site-1", "site-l"),
        ("site-I", "site-l"),
        ("ward-O", "ward-0"),
        ("farm", "farrn"),
        ("a-b", "a\u2010b"),  # another hyphen
        ("north", "\uff4eorth"),  # full width
        ("north", "\U0001d427orth"),  # mathematical bold
        ("North", "north"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_two_names_that_look_alike_are_found_among_others(one, other):
    assert lookalikes(["south", one, "east", other, "west"]) == (one, other)


def test_names_that_can_be_told_apart_are_not_taken_for_alike():
    numbered = [f"client-{i:03d}" for i in range(1000)]
    assert (
        lookalikes([*numbered, "north", "south", "\u5317\u4eac", "\u5317\u6d77", "M\u00fcnchen"])
        is None
    )
    assert lookalikes(["north", "north"]) is None
