"""A config section is typed, or it is one sentence."""

import hashlib
import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from calyx.config.section import canonical_json, config, digest, parse
from calyx.errors import ConfigError


@config
class Inner:
    """A part."""

    patience: Annotated[int, Field(ge=1)] | None
    delta: float

    def __post_init__(self):
        """A combination."""
        if self.delta == 7:
            raise ValueError("delta=7 is not for us")


@config
class Outer:
    """A whole."""

    lr: Annotated[float, Field(gt=0)]
    name: Literal["sgd", "adam"]
    groups: Annotated[int, Field(ge=1)] | Literal["all"]
    inner: Inner


@config
class Nest:
    """Parts in every way in which a config can hold them."""

    by_name: dict[str, Inner] | None = None
    in_order: tuple[Inner, ...] = ()
    one_of: Inner | Literal["none"] = "none"
    maybe: Inner | None = None
    deep: dict[str, tuple[Inner | None, ...]] | None = None
    words: tuple[str | int | float, ...] = ()


GOOD = {"lr": 1, "name": "sgd", "groups": "all", "inner": {"patience": None, "delta": 0.5}}


def test_a_good_section_is_parsed_and_an_integer_is_a_float():
    outer = parse(Outer, GOOD, "x")
    assert (outer.lr, outer.groups, outer.inner.patience) == (1.0, "all", None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lr": 0}, "The config key x.lr is 0, but must be greater than 0."),
        ({"lr": True}, "The config key x.lr is true, but must be number."),
        ({"lr": "0.1"}, 'The config key x.lr is "0.1", but must be number.'),
        ({"lr": None}, "The config key x.lr is null, but must be number."),
        ({"lr": float("inf")}, "x.lr"),
        ({"lr": float("nan")}, "x.lr"),
        ({"name": "lbfgs"}, "The config key x.name is \"lbfgs\", but must be 'sgd' or 'adam'."),
        ({"groups": 0}, "x.groups is 0, but must be greater than or equal to 1 or 'all'."),
        ({"groups": 1.5}, "x.groups is 1.5, but must be integer or 'all'."),
        (
            {"more": 1},
            "The config key x.more does not exist; allowed here: groups, inner, lr, name.",
        ),
        ({"inner": {"patience": 0, "delta": 0}}, "x.inner.patience is 0"),
        ({"inner": {"patience": 1}}, "The config key x.inner.delta is missing; give it a value."),
        (
            {"inner": {"patience": 1, "delta": 0, "z": 1}},
            "x.inner.z does not exist; allowed here: delta, patience.",
        ),
        (
            {"inner": {"patience": 1, "delta": 7}},
            "section x.inner cannot be used: delta=7 is not for us.",
        ),
        ({"inner": 3}, "x.inner"),
    ],
)
def test_a_bad_section_is_one_sentence_that_names_the_key(change, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, GOOD | change, "x")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_equal_values_have_one_canonical_form_and_nan_has_none():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 2})
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"inner": {"patience": True, "delta": 0}},
            "x.inner.patience is true, but must be integer",
        ),
        ({"inner": {"patience": 2.0, "delta": 0}}, "x.inner.patience is 2.0, but must be integer"),
        ({"inner": {"patience": "2", "delta": 0}}, 'x.inner.patience is "2", but must be integer'),
        ({"inner": {"patience": 1, "delta": float("nan")}}, "x.inner.delta is NaN, but must be"),
        ({"groups": "some"}, "x.groups is \"some\", but must be integer or 'all'."),
        ({"groups": True}, "x.groups is true, but must be integer or 'all'."),
        ({"name": 3}, "x.name is 3, but must be 'sgd' or 'adam'."),
        ({"lr": [1]}, "x.lr is [1], but must be number."),
    ],
)
def test_no_type_is_taken_for_another(change, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, GOOD | change, "x")
    assert sentence in str(caught.value)


def test_the_first_of_several_mistakes_is_the_one_sentence():
    with pytest.raises(ConfigError) as caught:
        parse(Outer, GOOD | {"lr": 0, "name": "lbfgs", "more": 1}, "x")
    assert str(caught.value) == "The config key x.lr is 0, but must be greater than 0."


def test_at_the_top_a_key_has_no_prefix():
    with pytest.raises(ConfigError, match=r"^The config key lr is 0,"):
        parse(Outer, GOOD | {"lr": 0}, "")
    with pytest.raises(
        ConfigError, match=r"^The config section at the top cannot be used: delta=7"
    ):
        parse(Inner, {"patience": 1, "delta": 7}, "")


def test_a_parsed_section_cannot_be_changed_and_takes_keywords_only():
    outer = parse(Outer, GOOD, "x")
    with pytest.raises(AttributeError):
        outer.lr = 2.0
    with pytest.raises((TypeError, ValueError)):
        Inner(1, 0.5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5), st.randoms(use_true_random=False))
def test_the_digest_does_not_know_the_order_of_keys(value, random):
    keys = list(value)
    random.shuffle(keys)
    shuffled = {k: value[k] for k in keys}
    assert digest(shuffled) == digest(value)
    assert json.loads(canonical_json(shuffled)) == value
    assert digest(value) == hashlib.sha256(canonical_json(value).encode()).hexdigest()


@given(JSON)
def test_any_json_in_a_field_is_taken_or_refused_in_one_line(value):
    for change in ({"lr": value}, {"groups": value}, {"inner": value}, {"name": value}):
        try:
            parse(Outer, GOOD | change, "x")
        except ConfigError as error:
            sentence = str(error)
        else:
            continue
        assert "\n" not in sentence
        assert next(iter(change)) in sentence


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (lambda part: {"by_name": {"a": part}}, "x.by_name.a.patiens"),
        (lambda part: {"by_name": {"Inner": part}}, "x.by_name.Inner.patiens"),
        (
            lambda part: {"in_order": [{"patience": 1, "delta": 0}, part]},
            "x.in_order (item 2).patiens",
        ),
        (lambda part: {"one_of": part}, "x.one_of.patiens"),
        (lambda part: {"maybe": part}, "x.maybe.patiens"),
        (lambda part: {"deep": {"a": [None, part]}}, "x.deep.a (item 2).patiens"),
    ],
)
def test_a_misspelt_key_is_named_wherever_it_stands_with_the_one_that_is_meant(section, key):
    with pytest.raises(ConfigError) as caught:
        parse(Nest, section({"patiens": 1, "delta": 0}), "x")
    assert str(caught.value) == (
        f"The config key {key} does not exist; allowed here: delta, patience. Perhaps patience is meant."
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"words": ["a", False]},
            "Item 2 of the config key x.words is false, but must be text or integer or number; put it "
            "in quotes where a word is meant.",
        ),
        ({"by_name": {"a": 3}}, "The config key x.by_name.a is 3, but must be keys with values."),
        ({"maybe": []}, "The config key x.maybe is [], but must be keys with values."),
        ({"in_order": 1}, "The config key x.in_order is 1, but must be a list."),
        (
            {"by_name": {"a": {"patience": 1, "delta": 7}}},
            "section x.by_name.a cannot be used: delta=7",
        ),
        ({"in_order": [{"patience": 1}]}, "x.in_order (item 1).delta is missing; give it a value."),
    ],
)
def test_a_mistake_inside_is_told_by_the_keys_that_a_user_wrote(section, said):
    with pytest.raises(ConfigError) as caught:
        parse(Nest, section, "x")
    assert said in str(caught.value)
