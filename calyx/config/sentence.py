"""What is said of a config section that cannot be read: one sentence, in the user's own words.

It knows how pydantic tells of errors; no name of pydantic's or of our code is in what it says.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from calyx.config.key_types import Types, below, keys_of, members
from calyx.errors import printable

SHOWN = 80  # characters of a wrong value
ALIKE = 0.7  # how near a key is to one that there is, of 1, for it to be what is meant
_WORDS = {
    "bool_type": "true or false",
    "dataclass_type": "keys with values",
    "dataclass_exact_type": "keys with values",
    "dict_type": "keys with values",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
}
_NO_WORD = (bool, int, float, type(None))


@dataclass(frozen=True)
class Place:
    """Where in a section something is wrong: the keys that lead there, and what may be there."""

    keys: tuple[str | int, ...]
    kinds: Types  # at the place
    around: Types  # around it: of these one is at the place without its last key


def sentence(cls: type[Any], error: ValidationError, section: Mapping[str, Any], where: str) -> str:
    """The first mistake: its key below `where`, what it got and what is allowed."""
    errors = error.errors(include_url=False)
    first = _choose(errors)
    place = _place(cls, first, section)
    match first["type"]:
        case "unexpected_keyword_argument":
            return f"{_name(place, where)} does not exist; {_list_allowed(place)}"
        case "missing":
            return f"{_name(place, where)} is missing; give it a value."
        case "value_error":
            key = _join_keys(place.keys, where) or "at the top"
            return f"The config section {key} cannot be used: {first['ctx']['error']}."
    same = [e for e in errors if _place(cls, e, section).keys == place.keys]
    expected = " or ".join(dict.fromkeys(map(_say_expected, same)))
    verb = "" if expected.startswith("have ") else "be "
    value = printable(json.dumps(first["input"], ensure_ascii=False, default=str), SHOWN)
    quotes = ""
    if isinstance(first["input"], _NO_WORD) and any(e["type"] == "string_type" for e in same):
        quotes = "; put it in quotes where a word is meant"
    return f"{_name(place, where)} is {value}, but must {verb}{expected}{quotes}."


def _choose(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first; of a key that is missing where another is misspelt, the misspelt one."""
    first = errors[0]
    if first["type"] == "missing":
        for other in errors[1:]:
            if (
                other["type"] == "unexpected_keyword_argument"
                and other["loc"][:-1] == first["loc"][:-1]
            ):
                return other
    return first


def _place(cls: type[Any], error: ErrorDetails, section: Any) -> Place:  # noqa: ANN401 - JSON
    """Pydantic's path without what it puts between the keys, such as a union's member.

    The values are followed beside the types: what is no key of a value is none of the user's.
    """
    keys: list[str | int] = []
    kinds: Types = members(cls)
    around, value = kinds, section
    for i, part in enumerate(error["loc"]):
        is_last = i == len(error["loc"]) - 1
        is_key = isinstance(value, Mapping) and (
            part in value or (is_last and error["type"] == "missing")
        )
        is_item = isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)
        if is_key or is_item:
            keys.append(part)
            around, kinds = kinds, below(kinds, part)
            value = value.get(part) if isinstance(value, Mapping) else value[int(part)]
        else:
            kinds = tuple(k for k in kinds if getattr(k, "__name__", "") == part) or kinds
    return Place(tuple(keys), kinds, around)


def _name(place: Place, where: str) -> str:
    if place.keys and isinstance(place.keys[-1], int):
        return f"Item {place.keys[-1] + 1} of the config key {_join_keys(place.keys[:-1], where)}"
    return f"The config key {_join_keys(place.keys, where)}"


def _join_keys(keys: Sequence[str | int], where: str) -> str:
    """`task.pieces (item 2).size`; items are counted from 1."""
    text = where
    for key in keys:
        step = f" (item {key + 1})" if isinstance(key, int) else printable(key, SHOWN)
        text += step if isinstance(key, int) or not text else f".{step}"
    return text


def _list_allowed(place: Place) -> str:
    allowed = keys_of(place.around)
    text = f"allowed here: {', '.join(allowed) or 'none'}."
    near = get_close_matches(str(place.keys[-1]).lower(), allowed, 1, ALIKE)
    return f"{text} Perhaps {near[0]} is meant." if near else text


def _say_expected(error: ErrorDetails) -> str:
    if error["type"] in _WORDS:
        return _WORDS[error["type"]]
    text = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    _, has, rest = text.partition(" should have ")
    return f"have {rest.partition(' after validation')[0]}" if has else text
