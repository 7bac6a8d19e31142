"""The types that stand behind the keys of a config dataclass: what may be at a place in it.

It walks through dataclasses, mappings, tuples, lists, unions and annotations; it reads no values.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Types = tuple[Any, ...]  # what a value may be: any one of them


def members(kind: Any) -> Types:  # noqa: ANN401 - a type, or an expression of types
    """The plain types that an annotation admits: `Annotated[int, …] | None` are int and NoneType."""
    origin = get_origin(kind)
    if hasattr(kind, "__value__"):  # a named type: JsonValue is whatever JSON can hold
        return (object,)
    if origin is Annotated:
        return members(get_args(kind)[0])
    if origin in (Union, UnionType):
        return tuple(m for part in get_args(kind) for m in members(part))
    if isinstance(kind, TypeVar):
        return (object,)
    return (kind,)


def fields_of(cls: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a dataclass
    """A dataclass's fields and their annotations, in the order in which they are written."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(cls)}


def keys_of(kinds: Types) -> list[str]:
    """The keys that are allowed where one of `kinds` is, sorted; none where any key is."""
    return sorted(
        {name for kind in kinds if dataclasses.is_dataclass(kind) for name in fields_of(kind)}
    )


def literals(kinds: Types) -> Types:
    """The values that are listed one by one: those of `Literal["a", "b"]`."""
    values: list[Any] = []
    for kind in kinds:
        origin: Any = get_origin(kind)
        values += get_args(kind) if origin is Literal else ()
    return tuple(values)


def below(kinds: Types, key: str | int) -> Types:
    """What may be at a key, or at a place of a list, where one of `kinds` is; () if nothing may."""
    below_kinds: list[Any] = []
    for kind in kinds:
        origin: Any = get_origin(kind)
        origin, inner = origin if origin is not None else kind, get_args(kind)
        if dataclasses.is_dataclass(kind) and isinstance(key, str):
            below_kinds += members(fields_of(kind)[key]) if key in fields_of(kind) else ()
        elif kind is object or kind is Any:
            below_kinds.append(object)
        elif not isinstance(origin, type):
            continue
        elif issubclass(origin, Mapping):
            below_kinds += members(inner[1]) if len(inner) == 2 else (object,)
        elif isinstance(key, int) and issubclass(origin, Sequence) and origin not in (str, bytes):
            below_kinds += _at(inner, key)
    return tuple(dict.fromkeys(below_kinds))


def _at(inner: tuple[Any, ...], place: int) -> Types:
    if not inner:
        return (object,)
    if len(inner) == 1 or inner[-1] is Ellipsis:
        return members(inner[0])
    return members(inner[place]) if place < len(inner) else ()
