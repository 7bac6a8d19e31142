"""A site's bounds on the keys of an order: what one says, whether it can say that, what is within.

A bound is `any`, a list of values, or {min, max}, for one key or, as `a.*`, for all below a. The
nearest one counts. One that could never decide anything is refused when it is read: a wider one
beside it would let everything through, and nobody would notice.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import JsonValue, TypeAdapter, ValidationError

from calyx.config.key_types import Types, literals, members
from calyx.errors import ConfigError, printable
from client.gate.order_keys import Kinds, covered, nearest, order_keys

ANY = "any"
Bounds = Mapping[str, JsonValue]


def bound_of(key: str, bounds: Bounds) -> JsonValue:
    """The bound that counts for an order's key; None where there is none."""
    rule = rule_of(key, bounds)
    return None if rule is None else bounds[rule]


def rule_of(key: str, bounds: Bounds) -> str | None:
    """Which of the bounds counts for an order's key: its own, or the nearest above it."""
    if key in bounds:
        return key
    parts = key.split(".")
    wide = (".".join(parts[:end]) + ".*" for end in range(len(parts) - 1, 0, -1))
    return next((rule for rule in wide if rule in bounds), None)


def is_within(value: Any, bound: JsonValue) -> bool:  # noqa: ANN401 - JSON values
    """Whether a bound allows this value of an order. A number is the same with a point or without."""
    if bound == ANY:
        return True
    if isinstance(bound, list):
        return any(_is_same(value, allowed) for allowed in bound)
    if not isinstance(bound, dict) or not _is_number(value):
        return False
    low, high = bound.get("min", value), bound.get("max", value)
    return _is_number(low) and _is_number(high) and low <= value <= high


def shown(bound: JsonValue) -> str:
    """As it is written in a site's file."""
    if isinstance(bound, dict):
        return f"{{{', '.join(f'{k}: {shown(v)}' for k, v in bound.items())}}}"
    if isinstance(bound, list):
        return f"[{', '.join(map(shown, bound))}]"
    return bound if isinstance(bound, str) else json.dumps(bound)


def check_bounds(bounds: Bounds) -> None:
    """Raise ValueError for a bound that no order would ever meet, or that none could."""
    for key, bound in bounds.items():
        _check_form(key, bound)
    if not bounds:
        return  # to know all keys is to import all tasks and strategies
    try:
        known = keys_under(bounds)
    except ConfigError as error:  # a task that is not installed here
        raise ValueError(f"bounds: {str(error).removesuffix('.')}") from None
    for key, bound in bounds.items():
        kinds = covered(key, known)
        if not kinds:
            raise ValueError(f"bounds.{_plain(key)} {_unknown(key, known)}")
        _check_reach(key, bound, kinds)


def keys_under(bounds: Bounds) -> Kinds:
    """The keys that orders may have under these bounds. Raises ConfigError."""
    tasks = bounds.get("task.name")
    return order_keys(tuple(map(str, tasks)) if isinstance(tasks, list) else None)


def _check_form(key: str, bound: JsonValue) -> None:
    name = f"bounds.{_plain(key)}"
    if bound == ANY:
        return
    if isinstance(bound, list):
        if not bound:
            raise ValueError(
                f"{name} is an empty list, which refuses every order: list what is allowed"
            )
        return
    if not (isinstance(bound, dict) and bound and set(bound) <= {"min", "max"}):
        raise ValueError(f"{name} must be any, a list of values, or {{min, max}}")
    for end, value in bound.items():
        if not _is_number(value):
            raise ValueError(f"{name}: {end} is {_told(value)}, and must be a number{_cure(value)}")
    low, high = bound.get("min"), bound.get("max")
    if _is_number(low) and _is_number(high) and low > high:  # type: ignore[operator]
        raise ValueError(f"{name} has a min of {low}, above its max of {high}: no value is between")


def _unknown(key: str, known: Kinds) -> str:
    section = key.removesuffix(".*")
    if "*" in section:
        said = "bounds nothing: a * stands at the end only, as in training.*"
    else:
        said = "bounds nothing: no order has such a key"
    near = nearest(section.lstrip("*.") if "*" in section else key, known)
    return f"{said}; perhaps {near} is meant" if near else said


def _check_reach(key: str, bound: JsonValue, kinds: Types) -> None:
    """Raise ValueError where the bound allows nothing that the key may hold, or lists what it may not."""
    name = f"bounds.{_plain(key)}"
    if isinstance(bound, dict) and not any(_overlaps(bound, kind) for kind in kinds):
        numbers = [reach for kind in kinds if (reach := own_range(kind)) is not None]
        whole = "a whole number, " if all(_is_whole(kind) for kind in kinds) else ""
        why = f"which is {whole}{_ranged(numbers[0])}" if numbers else "which holds no number"
        said = f"{name}: {shown(bound)} allows no value of {_plain(key)}, {why}"
        raise ValueError(f"{said}{_listed(kinds)}")
    for value in bound if isinstance(bound, list) else ():
        if not any(_is_valid(value, kind) for kind in kinds):
            raise ValueError(
                f"{name} lists {_told(value)}, which {_plain(key)} never is{_cure(value) or _listed(kinds)}"
            )


def _listed(kinds: Types) -> str:
    """What is listed of a key where that is few."""
    words = dict.fromkeys(str(word) for kind in kinds for word in literals(members(kind)))
    if not words:
        return ""
    is_number = any(kind in (int, float) for one in kinds for kind in members(one))
    return f"; it is {'a number, or ' if is_number else ''}one of {', '.join(words)}"


def own_range(kind: Any) -> tuple[float, float] | None:  # noqa: ANN401 - an annotation
    """The least and the largest number that an annotation admits; None where it admits none."""
    if kind is object or kind is Any or object in members(kind):
        return -math.inf, math.inf
    ranges = [(low, high) for low, high in _ranges(kind, -math.inf, math.inf)]
    if not ranges:
        return None
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _ranges(kind: Any, low: float, high: float) -> Iterator[tuple[float, float]]:  # noqa: ANN401
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        for rule in (rule for note in notes for rule in getattr(note, "metadata", [note])):
            low = max(low, getattr(rule, "ge", low))
            high = min(high, getattr(rule, "le", high))
            if hasattr(rule, "gt"):
                low = max(low, math.nextafter(rule.gt, math.inf))
            if hasattr(rule, "lt"):
                high = min(high, math.nextafter(rule.lt, -math.inf))
        yield from _ranges(inner, low, high)
    elif kind in (int, float):
        yield low, high
    elif get_origin(kind) not in (tuple, list, dict):
        numbers = [v for v in get_args(kind) if _is_number(v)]  # of a Literal
        if numbers:
            yield min(numbers), max(numbers)
        elif literals((kind,)) == ():
            for inner in get_args(kind):
                yield from _ranges(inner, low, high)


def ends_of(bound: Mapping[str, JsonValue], widest: tuple[float, float]) -> tuple[float, float]:
    """The least and the largest number that {min, max} leaves of `widest`, which the key can hold at all."""
    ends: Mapping[str, Any] = bound
    return max(ends.get("min", -math.inf), widest[0]), min(ends.get("max", math.inf), widest[1])


def _overlaps(bound: Mapping[str, JsonValue], kind: Any) -> bool:  # noqa: ANN401 - an annotation
    own, kinds = own_range(kind), members(kind)
    if own is None:
        return False
    if not {int, float, object} & set(kinds):  # but a few that are listed
        return any(is_within(value, dict(bound)) for value in literals(kinds))
    low, high = ends_of(bound, own)
    is_between = _is_whole(kind) and max(abs(low), abs(high)) < math.inf
    return bool(math.ceil(low) <= math.floor(high) if is_between else low <= high)


def _is_whole(kind: Any) -> bool:  # noqa: ANN401 - an annotation
    return int in members(kind) and not {float, object} & set(members(kind))


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - an annotation
    return TypeAdapter(kind)


def _is_valid(value: JsonValue, kind: Any) -> bool:  # noqa: ANN401 - an annotation
    if kind is object:
        return True
    try:
        _adapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def _ranged(own: tuple[float, float]) -> str:
    low, high = own
    ends = [f"at least {low:g}"] if low > -math.inf else []
    return " and ".join([*ends, *([f"at most {high:g}"] if high < math.inf else [])])


def _is_same(value: Any, allowed: JsonValue) -> bool:  # noqa: ANN401 - JSON values
    if _is_number(value) and _is_number(allowed):
        return bool(value == allowed)
    return type(value) is type(allowed) and value == allowed


def _is_number(value: object) -> bool:
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and is_finite


def _plain(key: str) -> str:
    return printable(key, 80)


def _told(value: JsonValue) -> str:
    return printable(json.dumps(value, ensure_ascii=False), 80)


def _cure(value: JsonValue) -> str:
    """What is to be written in place of a number that is none."""
    if isinstance(value, float) and value.is_integer():
        return f": write {int(value)}"
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    plain = int(number) if math.isfinite(number) and number.is_integer() else number
    return f": write {plain}, without quotes" if math.isfinite(number) else ""
