"""How a row of a run folder is written and read: a frozen dataclass, an object of JSON.

A writer makes a row and hands it to `as_json`, unchecked: it is its own. A reader gets rows from
`parse_row` or `read_rows`, which take nothing on trust: a wrong type or an impossible value is one
sentence, and unknown keys pass. In a file the keys stand in the order of the fields. The decision is
docs/decisions/0067.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from calyx.errors import UserError, printable
from calyx.files.plain import read_plain, split_lines

T = TypeVar("T")
STRICT = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
_PREFIXES, _OPTIONAL = "prefixes", "optional"  # keys of a field's metadata
_PLAIN = frozenset({str, int, float, bool, type(None)})
_EMPTY: tuple[object, ...] = (None, (), {}, "")  # and not 0


def entries(*prefixes: str) -> Any:  # noqa: ANN401 - a field specifier
    """A field, a dict, that has no key of its own: its entries stand in the row itself.

    They are those keys of a file that are no field's and begin with one of the prefixes; of several
    such fields the one with the longest prefix has them.
    """
    return field(default_factory=dict, metadata={_PREFIXES: prefixes})


def optional(empty: Callable[[], Any] = lambda: None) -> Any:  # noqa: ANN401 - a field specifier
    """A field that has no key in a file where it is empty and `absent` does not say why."""
    return field(default_factory=empty, metadata={_OPTIONAL: True})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def row(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass; only what is read is checked."""
    cls.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
    return dataclass(frozen=True, kw_only=True)(cls)


def as_json(of: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """A row as a JSON object, its keys in the order of the fields."""
    values: dict[str, Any] = {}
    absent = getattr(of, "absent", {})
    for key in _keys(of.__class__):
        value = getattr(of, key.name)
        if type(value) not in _PLAIN:
            value = _to_json(value)
        if key.prefixes:
            values |= value
        elif not key.is_optional or value not in _EMPTY or key.name in absent:
            values[key.name] = value
    return values


def _to_json(value: Any) -> Any:  # noqa: ANN401 - JSON values, with rows in them
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {
            key: inner if type(inner) in _PLAIN else _to_json(inner) for key, inner in value.items()
        }
    if isinstance(value, tuple):
        return tuple(map(_to_json, value))
    return as_json(value) if is_dataclass(value) else value


def gather(cls: Any, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a row's class
    """The values of a JSON object by the fields of `cls`; keys of no field are left out."""
    keys = _keys(cls)
    names = {key.name for key in keys if not key.prefixes}
    gathered: dict[str, Any] = {key.name: {} for key in keys if key.prefixes}
    for name, value in values.items():
        if name in names:
            gathered[name] = value
        elif (whose := _longest(cls, name)) is not None:
            gathered[whose][name] = value
    return gathered


@dataclass(frozen=True)
class _Key:
    """A field of a row's class."""

    name: str
    prefixes: tuple[str, ...]  # of those entries that stand in the row itself; else none
    is_optional: bool


@cache
def _keys(cls: Any) -> tuple[_Key, ...]:  # noqa: ANN401 - a class
    return tuple(
        _Key(one.name, one.metadata.get(_PREFIXES, ()), _OPTIONAL in one.metadata)
        for one in fields(cls)
    )


@lru_cache(maxsize=4096)
def _longest(cls: Any, key: str) -> str | None:  # noqa: ANN401 - a class
    """The field whose entries a key is among: the one with the longest prefix."""
    fitting = [
        (len(prefix), one.name)
        for one in _keys(cls)
        for prefix in one.prefixes
        if key.startswith(prefix)
    ]
    return max(fitting)[1] if fitting else None


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a class
    return TypeAdapter(cls)


def parse_row(cls: type[T], values: object) -> T:
    """A row from a JSON value. Raises ValueError that says in a clause what is wrong with it."""
    if isinstance(values, dict):
        values = gather(cls, values)
    try:
        parsed: T = _adapter(cls).validate_json(json.dumps(values))  # type: ignore[arg-type]
    except ValidationError as error:
        own = [one.name for one in fields(cls) if _PREFIXES in one.metadata]  # type: ignore[arg-type]
        raise ValueError(reason_of(error, own)) from None
    return parsed


def reason_of(error: ValidationError, but: Sequence[str] = ()) -> str:
    """What is wrong first, in a clause that begins with its key; keys `but` are in no file."""
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part not in but)
    said = first["msg"].removeprefix("Value error, ")
    reason = said[:1].lower() + said[1:]
    return f"{key}: {reason}" if key else reason


def read_rows(path: Path, cls: type[T], *, is_finished: bool = False) -> Iterator[T]:
    """The rows of a JSON-lines file, none if it is absent. Raises UserError.

    While a run is unfinished, a last line without its newline is still being written (or was cut
    off by a crash) and is left out; in a finished run it is damage.
    """
    if not os.path.lexists(path):
        return
    try:
        *lines, rest = split_lines(read_plain(path), path.name)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise damage_of(path, "", str(error)) from None
    if rest and is_finished:
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        try:
            yield parse_row(cls, from_json(line, allow_inf_nan=False))
        except ValueError as error:
            raise damage_of(path, f"line {number}", str(error)) from None


def damage_of(path: Path, where: str, reason: str) -> UserError:
    """That a file of a run is damaged: where, and why."""
    place = f"{path}, {where}," if where else str(path)
    return UserError(f"{place} is damaged ({printable(reason)}); restore the file or run again.")
