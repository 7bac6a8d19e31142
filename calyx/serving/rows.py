"""Rows of a request's body, which a stranger has written: checked in one pass, before anything is computed.

The body is parsed and checked at once by what pydantic makes of the schema's columns: a column that is
unknown or absent, a number in quotes, true for 1, NaN and what is beyond all numbers are refused, and
so is a name that stands twice in an object, of which parsers keep one and say nothing.

Shapes: N rows, C columns of the schema.
"""

import json
from collections import Counter
from itertools import chain
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from calyx.data.schema import Schema
from calyx.errors import printable
from calyx.serving.cells import Checks, Words, refuse_problems, say_kind
from calyx.serving.refusals import MOST_PROBLEMS, Problem, Refused

Values = NDArray[np.float64]
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_SHAPE = 'Send {"rows": [{COLUMN: VALUE, …}, …]} with every column; /docs lists them.'
_LONGEST = 60  # characters of a name that a caller has written
_MOST_NAMES = 4  # times as many names and words as a request can need: no list of faults is longer


class RowReader:
    """Reads requests by one schema, of at most `batch_rows` rows. Made once, as it compiles the schema."""

    def __init__(self, schema: Schema, batch_rows: int) -> None:
        self.schema, self.batch_rows = schema, batch_rows
        self.words = {c.name: Words(c) for c in schema.columns if c.words}
        self.checks = Checks(schema)
        self._places = {column.name: i for i, column in enumerate(schema.columns)}
        self._adapter = _adapter(schema, batch_rows)
        self._most_quotes = 2 * _MOST_NAMES * (batch_rows * len(schema.columns) + 1)

    def read_json(self, body: bytes) -> Values:
        """The rows [N, C] of `{"rows": […]}`, N ≥ 1, NaN for missing. Raises Refused, 400, 413 or 422."""
        quotes = body.count(b'"')
        if quotes > self._most_quotes:
            raise Refused(
                413,
                "Too many values",
                f"The body holds more names than {self.batch_rows} rows of {len(self._places)} columns.",
            )
        try:
            rows: list[dict[str, Any]] = self._adapter.validate_json(body)["rows"]
        except ValidationError as error:
            raise self._explain(error) from None
        self._check_names(body, quotes, rows)
        if not rows:
            raise Refused(422, "No rows", f"The body holds no row. {_SHAPE}")
        for name, words in self.words.items():
            for row in rows:
                row[name] = words.code(row[name])
        cells = chain.from_iterable(map(dict.values, rows))
        count = len(rows) * len(self._places)
        values = np.fromiter(cells, dtype=np.float64, count=count).reshape(len(rows), -1)
        self.checks.check(values)
        return values

    def _check_names(self, body: bytes, quotes: int, rows: list[dict[str, Any]]) -> None:
        """Raise Refused, 400, where an object names something twice.

        What was parsed has each name once. A body without escapes that has no more quotation marks than
        that takes has none twice; only of another one every object is looked at.
        """
        names = 1 + len(rows) * len(self._places)
        texts = sum(isinstance(row[name], str) for name in self.words for row in rows)
        if b"\\" not in body and quotes == 2 * (names + texts):
            return
        json.loads(body, object_pairs_hook=_refuse_twice)

    def _explain(self, error: ValidationError) -> Refused:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        first = faults[0]
        if first["type"] == "json_invalid":
            return Refused(400, "No JSON", f"The body is no JSON, or too deep. {_SHAPE}")
        long = next((one for one in faults if one["type"] == "too_long"), None)
        if long is not None:
            detail = f"A request has at most {self.batch_rows} rows; send them in several."
            return Refused(413, "Too many rows", detail)
        # A value that may be of two kinds is told of twice.
        told = list({tuple(one["loc"][:3]): self._problem(one) for one in faults}.values())
        return refuse_problems(told[:MOST_PROBLEMS], max(0, len(told) - MOST_PROBLEMS))

    def _problem(self, fault: ErrorDetails) -> Problem:
        place = fault["loc"]
        if len(place) < 2 or place[0] != "rows":
            return Problem(None, None, _SHAPE.rstrip("."))
        row = int(place[1])
        if len(place) < 3:
            return Problem(row, None, "a row must be an object of columns and values")
        name = str(place[2])
        at = self._places.get(name)
        if at is None:
            what = "there is no such column; /docs lists them"
            return Problem(row, printable(name, _LONGEST), what)
        column = self.schema.columns[at]
        absent = "it is not in the row: " if fault["type"] == "missing" else ""
        return Problem(row, column.name, absent + say_kind(column))


def _adapter(schema: Schema, batch_rows: int) -> TypeAdapter[Any]:
    """What reads a body. The names of columns are keys of a dictionary, and may be any text."""
    number, word = float | None, str | float | None
    row: Any = _object("Row", {c.name: word if c.words else number for c in schema.columns})
    return TypeAdapter(
        _object("Body", {"rows": Annotated[list[row], Field(max_length=batch_rows)]})
    )


def _object(name: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - a type that is made of values
    """The type of a JSON object with these keys, all of them and no others."""
    make: Any = TypedDict  # type checkers take it as a statement
    kind = make(name, fields)
    kind.__pydantic_config__ = _STRICT
    return kind


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        said = printable(twice, _LONGEST)
        raise Refused(400, "A name twice", f"An object names {said} twice; name it once.")
    return names
