"""Typed configuration: the strict dataclass decorator, the parser of a section, canonical JSON.

Hydra composes in the launcher only. What travels or rests on disk is JSON, and each package
parses the section that it owns with `parse`. It is no registry and holds no defaults: those live
in `conf/`. See docs/decisions/0001.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from calyx.config.sentence import sentence
from calyx.errors import ConfigError, UserError
from calyx.files.foreign import read_object

T = TypeVar("T")
Section = dict[str, JsonValue]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
DeadlineS = Annotated[float, Field(gt=0, le=1e7)]  # seconds; no clock counts much further

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass that refuses unknown keys and wrong types.

    Ranges are `Annotated[..., Field(ge=…)]` beside the field; combinations of fields are checked
    in `__post_init__`, which raises ValueError.
    """
    return cast(type[T], dataclass(frozen=True, kw_only=True, config=_STRICT)(cls))


def canonical_json(value: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """One byte string for equal values: sorted keys, no spaces, no NaN. Raises ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """SHA-256, in hex, of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def parse(cls: type[T], section: Mapping[str, Any], where: str) -> T:
    """Read `section` as the config dataclass `cls`; `where` is its dotted path, "" at the top.

    Raises ConfigError with one sentence that names the key, what it got and what is allowed.
    """
    text = json.dumps(section)
    try:
        return TypeAdapter(cls).validate_json(text)
    except ValidationError as error:
        raise ConfigError(sentence(cls, error, json.loads(text), where)) from None


def parse_file(cls: type[T], path: Path, most_bytes: int) -> T | None:
    """Read a JSON file that Calyx has written as `cls`; None where there is none.

    Raises UserError where it is damaged, larger than `most_bytes`, or cannot be read.
    """
    if not os.path.lexists(path):
        return None
    try:
        return parse(cls, read_object(path, most_bytes), "")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, ConfigError):
        raise UserError(f"{path} is damaged; restore it from a copy.") from None
