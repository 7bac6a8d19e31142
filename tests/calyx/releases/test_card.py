"""card.json: what a card says is whole, and whatever a stranger writes is read or refused in a sentence."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cards import ABSENT, card_of

from calyx.errors import CalyxError
from calyx.releases import card as cards
from calyx.releases.baseline import ColumnBaseline
from calyx.releases.card import Card, card_bytes, read_card
from calyx.releases.card_parts import FiguresPart

DATA = card_bytes(card_of())


def test_a_card_is_read_as_it_was_written():
    assert read_card(DATA) == card_of()
    assert card_bytes(read_card(DATA)) == DATA


def read_or_refuse(data):
    """The card, or one sentence."""
    try:
        return read_card(data)
    except CalyxError as error:
        sentence = str(error)
    assert sentence.startswith("card.json is damaged: ")
    assert "\n" not in sentence
    assert len(sentence) < 400
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_card_or_a_sentence(data):
    assert read_or_refuse(data) is None


@given(place=st.integers(0, len(DATA) - 1), byte=st.integers(0, 255), keep=st.booleans())
def test_a_card_with_any_byte_changed_or_cut_is_a_card_or_a_sentence(place, byte, keep):
    """Text may change into other text; what is read is a card whose bytes are the same again."""
    changed = DATA[:place] + bytes([byte]) + DATA[place + 1 :] if keep else DATA[:place]
    read = read_or_refuse(changed)
    if read is not None:
        assert read_card(card_bytes(read)) == read


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(json.loads(DATA))), value=VALUES)
def test_any_value_in_the_place_of_another_is_a_card_or_a_sentence(key, value):
    read = read_or_refuse(json.dumps(json.loads(DATA) | {key: value}).encode())
    assert read is None or isinstance(read, Card)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "calyx-card/2"}, "format"),
        ({"strange": 1}, "strange does not exist"),
        ({"absent": {}}, "has no reason"),
        ({"absent": ABSENT | {"baseline": "none"}}, "has a value and a reason"),
        ({"config": {"rounds": 9}}, "the hash of another config"),
        ({"confusion": [[1]]}, "other classes"),
        ({"code": "A" * 64}, "code"),
        ({"created": "yesterday"}, "created"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changed, said):
    with pytest.raises(CalyxError, match=said):
        read_card(json.dumps(json.loads(DATA) | changed).encode())


def test_a_card_of_more_bytes_than_any_has_is_neither_parsed_nor_written(monkeypatch):
    monkeypatch.setattr(cards, "MOST_CARD_BYTES", len(DATA) - 1)
    with pytest.raises(CalyxError, match="more than"):
        read_card(DATA)
    with pytest.raises(CalyxError, match="a schema of 13 columns"):
        card_bytes(card_of())


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": (0.0, 1.0), "counts": (1, 2)},
        {"edges": (0.0, 0.0), "counts": (1,)},
        {"edges": (0.0, 1.0), "codes": (1.0,), "counts": (1,)},
        {"edges": (0.0, 1.0)},
        {"codes": (1.0,), "counts": (1,), "absent": "hidden"},
    ],
)
def test_counts_that_fit_no_cells_are_refused(wrong):
    with pytest.raises(ValueError, match="age"):
        ColumnBaseline(name="age", **wrong)


def test_a_figure_is_a_number_or_has_its_reason():
    figures = replace(card_of().test, figures={"loss": 1.0}, absent={})
    assert figures.figures == {"loss": 1.0}
    with pytest.raises(ValueError, match="loss has no reason"):
        FiguresPart(of="", figures={"loss": None}, absent={}, rows=None)
