"""The schema of a csv task, as its owner writes it in YAML."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field as Range

from calyx.config import PositiveFloat, config
from calyx.errors import ConfigError
from calyx.files import read_bounded
from calyx.tasks.base import Unknown
from calyx.tasks.tables import plain

Text = Annotated[str, Range(min_length=1)]
Bound = Annotated[float, Range(ge=-1e30, le=1e30)] | None
Word = str | int | float  # a category or a code, as YAML gives it


@config
class ColumnConfig:
    """An input column."""

    kind: Literal["numeric", "categorical", "ordinal"]
    categories: tuple[Word, ...] = ()  # as they are written; of an ordinal one in their order
    missing: tuple[float, ...] = ()  # numbers that stand for "missing" in this column
    may_be_missing: bool = False
    low: Bound = None  # plausible values, ends included
    high: Bound = None
    unit: str = ""
    unknown: Unknown = "other"  # what a category is that is not declared

    def __post_init__(self) -> None:
        """Categories belong to categorical and ordinal columns, and are needed there."""
        if (self.kind != "numeric") != bool(self.categories):
            raise ValueError(
                "a categorical or ordinal column needs categories, and a numeric one has none"
            )
        if self.categories and self.missing:
            raise ValueError(
                "missing is for numbers; what stands for a missing category goes into the schema's "
                "own missing"
            )
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        if len(set(self.missing)) < len(self.missing):
            raise ValueError("a number is named twice under missing")
        _check_words(self.categories)


@config
class TargetConfig:
    """What is predicted: one of `classes`, or a number around `center`, of the size `scale`."""

    name: Text
    classes: tuple[Word, ...] = ()
    center: float | None = None
    scale: PositiveFloat | None = None
    low: Bound = None  # plausible values of a number, ends included
    high: Bound = None

    def __post_init__(self) -> None:
        """Either or."""
        is_number = self.center is not None and self.scale is not None
        if is_number == bool(self.classes) or len(self.classes) == 1:
            raise ValueError(
                "the target needs classes (two at least), or center and scale for a number"
            )
        if self.classes and {self.center, self.scale, self.low, self.high} != {None}:
            raise ValueError("center, scale, low and high are of a number, and a class has none")
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if low >= high or (self.center is not None and not low <= self.center <= high):
            raise ValueError("low must be below high, and the center of a target between them")
        _check_words(self.classes)


def _check_words(words: tuple[Word, ...]) -> None:
    # As the rows are read: 1, 1.0 and 01 are one category.
    seen: dict[str, Word] = {}
    for word in words:
        first = seen.setdefault(plain(str(word)), word)
        if first is not word and str(first) != str(word):
            raise ValueError(f"a category is named twice: {first} and {word} are read as one")
    if len(seen) < len(words):
        raise ValueError("a category is named twice")


@config
class SchemaConfig:
    """The schema's file."""

    target: TargetConfig
    columns: Annotated[dict[str, ColumnConfig], Range(min_length=1)]
    client: Text | None = None  # the column that says whose a row is; null: one file a client
    delimiter: Text = ","
    decimal: Literal[".", ","] = "."
    encoding: Text = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "NaN", "?")
    # The mark between groups of three digits; null: there is none.
    thousands: Literal[",", ".", " ", "'"] | None = None
    line_breaks: bool = False  # whether a quoted cell may hold lines that could be rows

    def __post_init__(self) -> None:
        """One column, one role; one sign, one meaning."""
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError("the delimiter is one sign, and no quotation mark or line end")
        if self.thousands == self.decimal:
            raise ValueError("thousands and decimal are one mark: no number could be read")
        if self.target.name in self.columns or self.client in self.columns:
            raise ValueError("the target or the client column is an input column too")
        missing = {word.strip() for word in self.missing}
        named = {name: column.categories for name, column in self.columns.items()}
        for name, words in (named | {self.target.name: self.target.classes}).items():
            lost = [w for w in map(str, words) if w.strip() in missing]
            if lost:
                raise ValueError(
                    f"{lost[0]!r} is a category of {name} and stands under the schema's missing: "
                    "no row could have it"
                )


def read_schema(path: object) -> dict[str, Any]:
    """A schema's YAML file as plain values. Raises ConfigError."""
    import yaml

    if not isinstance(path, str):
        raise ConfigError(
            "task=csv needs task.data_dir, a folder of yours, or task.schema, a file."
        )
    try:
        values = yaml.safe_load(read_bounded(Path(path), 2**20))
    except (yaml.YAMLError, UnicodeDecodeError):
        values = None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is no YAML mapping; docs/bring-your-own.md shows a schema.")
    try:
        json.dumps(values)  # it travels as JSON
    except TypeError:
        raise ConfigError(
            f"{path} holds a value that is neither text nor number, such as a date: put it in quotes."
        ) from None
    return values
