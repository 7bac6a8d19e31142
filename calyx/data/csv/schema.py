"""The schema of a csv task, as its owner writes it in YAML. See docs/decisions/0022."""

import json
import math
import unicodedata
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field as Range
from pydantic import StringConstraints

from calyx.config.human_yaml import assign_types, read_tree
from calyx.config.key_types import Types, below, members
from calyx.config.section import PositiveFloat, config
from calyx.data.csv.rows import Dialect
from calyx.data.schema import Column, Unknown
from calyx.data.tables import Field
from calyx.data.words import Places, Word, alike, check_same, one_form, show_word
from calyx.errors import ConfigError

Text = Annotated[str, Range(min_length=1)]
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]  # of a column
Bound = Annotated[float, Range(ge=-1e30, le=1e30)] | None
Same = Annotated[dict[str, Word], Range(max_length=10_000)]  # words of the files, and what each is


@config
class ColumnConfig:
    """An input column as a schema file declares it."""

    kind: Literal["numeric", "categorical", "ordinal"]
    categories: tuple[Word, ...] = ()  # as they are written; of an ordinal one in their order
    same: Same = field(default_factory=dict)  # other words of the files, and the category of each
    missing: tuple[float, ...] = ()  # numbers that stand for "missing" in this column
    may_be_missing: bool = False
    low: Bound = None  # plausible values, ends included
    high: Bound = None
    unit: str = ""  # may stand before or after a number, which is the same with it
    # What a category is that is not declared; null: other, or missing in an ordinal column.
    unknown: Unknown | None = None

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
        self._check_kind()
        _check_words(self.categories)
        check_same(self.categories, self.same)

    def _check_kind(self) -> None:
        """Nothing is said of a column of this kind that would have no effect."""
        if self.kind == "numeric" and self.unknown is not None:
            raise ValueError("unknown is for categories, and a numeric column has none")
        if self.kind == "ordinal" and self.unknown == "other":
            raise ValueError(
                "unknown is missing or refuse in an ordinal column: no rank stands for another category"
            )
        written = {"low": self.low, "high": self.high, "unit": self.unit or None}
        for key, value in written.items():
            if self.kind != "numeric" and value is not None:
                raise ValueError(f"{key} is for numbers, and the column is {self.kind}")


@config
class TargetConfig:
    """What is predicted: one of `classes`, or a number around `center`, of the size `scale`."""

    name: Name
    classes: tuple[Word, ...] = ()
    same: Same = field(default_factory=dict)  # other words of the files, and the class of each
    missing: Literal["refuse", "drop"] = "refuse"  # rows without a label; drop leaves them out
    center: float | None = None
    scale: PositiveFloat | None = None
    low: Bound = None  # plausible values of a number, ends included
    high: Bound = None
    unit: str = ""  # may stand before or after a number, which is the same with it

    def __post_init__(self) -> None:
        """Raise ValueError unless the target has either classes or a center and a scale."""
        numbers = [self.center is not None, self.scale is not None]
        is_number = all(numbers)
        if is_number == bool(self.classes) or len(self.classes) == 1 or any(numbers) != is_number:
            raise ValueError(
                "the target needs classes (two at least), or center and scale for a number"
            )
        if self.classes and (self.unit or {self.center, self.scale, self.low, self.high} != {None}):
            raise ValueError(
                "center, scale, low, high and unit are of a number, and a class has none"
            )
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if low >= high or (self.center is not None and not low <= self.center <= high):
            raise ValueError("low must be below high, and the center of a target between them")
        _check_words(self.classes)
        check_same(self.classes, self.same)


def _check_words(words: tuple[Word, ...]) -> None:
    same = alike(words)
    if same:
        hint = "" if same[0] == same[1] else f": {same[0]} and {same[1]} are read as one"
        raise ValueError(f"a category is named twice{hint}")


@config
class SchemaConfig:
    """A schema file, or the section `task.schema` of a config."""

    target: TargetConfig
    columns: Annotated[dict[str, ColumnConfig], Range(min_length=1)]
    client: Name | None = None  # the column that says whose a row is; null: one file a client
    # Columns that decide the split of a client's rows; one at most.
    group: Name | None = None  # rows of one word stay together
    split: Name | None = None  # the part of each row: train, validation or test
    time: Name | None = None  # the earliest rows train, the latest test
    delimiter: Text = ","
    decimal: Literal[".", ","] = "."
    encoding: Text = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "NaN", "?")
    # The mark between groups of three digits; null: there is none.
    thousands: Literal[",", ".", " ", "'"] | None = None
    line_breaks: bool = False  # whether a quoted cell may hold lines that could be rows

    def __post_init__(self) -> None:
        """Raise ValueError where a column has two roles, or a sign two meanings."""
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError(
                'the delimiter is one sign, and no quotation mark or line end; a tab is "\\t" in double '
                "quotes"
            )
        if not (self.encoding.isascii() and self.encoding.isprintable()):
            raise ValueError("there is no such encoding; utf-8 is the common one")
        if self.thousands == self.decimal:
            raise ValueError("thousands and decimal are one mark: no number could be read")
        inputs = {one_form(name) for name in self.columns}
        if len(inputs) < len(self.columns):
            raise ValueError("a column is named twice, with blanks around it or without")
        if {one_form(self.target.name), one_form(self.client or "")} & inputs:
            raise ValueError("the target or the client column is an input column too")
        if self.target.name == self.client:
            raise ValueError("the target is the client column too")
        self._check_split()
        named = {name: (*column.categories, *column.same) for name, column in self.columns.items()}
        answers = (*self.target.classes, *self.target.same)
        for name, words in (named | {self.target.name: answers}).items():
            lost = [w for w in words if any(Places([w]).of(m) == 0 for m in self.missing)]
            if lost:
                raise ValueError(
                    f"{show_word(lost[0])!r} is a category of {name} and stands under the schema's missing: "
                    "no row could have it"
                )

    @property
    def deciding(self) -> dict[str, str]:
        """The column that decides the split of a client's rows, by its key; empty where chance does."""
        named = {"group": self.group, "split": self.split, "time": self.time}
        return {key: column for key, column in named.items() if column is not None}

    def _check_split(self) -> None:
        named = self.deciding
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(named)} would each decide which part a row goes into: name one"
            )
        for key, column in named.items():
            if column in (self.target.name, self.client):
                raise ValueError(f"{key} names {column}, which is the target or the client column")
            if key == "split" and column in self.columns:
                raise ValueError(f"split names {column}, which is an input column too")


def fields_of(schema: SchemaConfig) -> list[Field]:
    """The input columns as a file has them."""
    return [Field(name, c.categories, c.same, c.unit) for name, c in schema.columns.items()]


def unit_of(schema: SchemaConfig, name: str | None) -> str:
    """The unit of an input column; "" of another one."""
    return schema.columns[name].unit if name is not None and name in schema.columns else ""


def column_of(name: str, cfg: ColumnConfig) -> Column:
    """An input column as tasks describe it: its categories are their places among its words."""
    return Column(
        name=name,
        kind=cfg.kind,
        categories=tuple(float(i) for i in range(len(cfg.categories))),
        missing_codes=cfg.missing,
        may_be_missing=cfg.may_be_missing,
        low=cfg.low,
        high=cfg.high,
        unit=cfg.unit,
        unknown=cfg.unknown or "other",
        words=tuple(map(show_word, cfg.categories)),
    )


def dialect_of(schema: SchemaConfig) -> Dialect:
    """How the files are written, as the schema says."""
    return Dialect(
        schema.delimiter,
        schema.decimal,
        schema.encoding,
        schema.missing,
        schema.thousands,
        schema.line_breaks,
    )


def read_schema(path: object) -> dict[str, Any]:
    """A schema's YAML file as JSON values, its words as they are written. Raises ConfigError."""
    if not isinstance(path, str):
        raise ConfigError(
            "task=csv needs task.data_dir, a folder of yours; or, for `calyx submit`, task.schema, the "
            "file that lies beside each site's rows."
        )
    tree = assign_types(read_tree(Path(path), "docs/bring-your-own.md"), SchemaConfig, Path(path))
    values: dict[str, Any] = _in_one_form(tree, path)
    return values


def read_config_schema(schema: dict[Any, Any]) -> dict[str, Any]:
    """A schema that stands in Hydra's config, as JSON values. Raises ConfigError.

    Hydra has read it: whether its 8 was written 8 or 010 cannot be seen any more, so that a word
    must stand in quotes.
    """
    _check_composed(schema, members(SchemaConfig), "task.schema")
    values: dict[str, Any] = _in_one_form(schema, "task.schema")
    return values


def _check_composed(value: object, kinds: Types, where: str) -> None:
    advice = "put it in quotes, or the schema in a file of its own"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{where} has a key that Hydra reads as {key!r}: {advice}.")
            _check_composed(inner, below(kinds, key), f"{where}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_composed(inner, below(kinds, i), where)
    elif (
        str in kinds and not isinstance(value, str) and not (value is None and type(None) in kinds)
    ):
        raise ConfigError(
            f"{where} has a word that Hydra reads as {json.dumps(value)}, however it is written: "
            f"{advice}."
        )


def _in_one_form(value: Any, where: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        renamed = {one_form(k): _in_one_form(v, where) for k, v in value.items()}
        if len(renamed) < len(value):
            raise ConfigError(
                f"{where} names a key twice, with blanks around it or in two ways of writing an accent."
            )
        return renamed
    if isinstance(value, list):
        return [_in_one_form(item, where) for item in value]
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value
