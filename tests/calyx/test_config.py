"""A config section is typed, or it is one sentence."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from calyx.config import canonical_json, config, digest, parse
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
