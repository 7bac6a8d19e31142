"""Rows of a request's body in CSV: by the one reader of CSV, cell for cell as strictly as JSON.

The first line names the columns, all of them in any order, and no others. An empty cell, NA, NaN and ? are
missing. Shapes: N rows, C columns of the schema.
"""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np

from calyx.data.csv.numbers import numbers
from calyx.data.csv.rows import Dialect, read_text_rows
from calyx.data.words import one_form
from calyx.errors import DataError, printable
from calyx.serving.cells import Found, refuse_cells, refuse_problems, say_kind
from calyx.serving.refusals import MOST_PROBLEMS, Problem, Refused
from calyx.serving.rows import RowReader, Values

_BODY = Path("The body")
_DIALECT = Dialect()
_LONGEST = 60  # characters of a name that a caller has written


def read_csv(reader: RowReader, body: bytes) -> Values:
    """The rows [N, C] of a body, N ≥ 1, NaN for missing. Raises Refused, 400, 413 or 422."""
    try:
        lines = read_text_rows(_BODY, body.decode(), _DIALECT)
        _, header = next(lines)
        rows = [row for _, row in islice(lines, reader.batch_rows + 1)]
    except UnicodeDecodeError:
        raise Refused(400, "No CSV", "The body is no text in UTF-8.") from None
    except DataError as error:  # a sentence about the body, in the house's own words
        raise Refused(400, "No CSV", printable(str(error))) from None
    if len(rows) > reader.batch_rows:
        detail = f"A request has at most {reader.batch_rows} rows; send them in several."
        raise Refused(413, "Too many rows", detail)
    places = _read_header(reader, [one_form(name) for name in header])
    if not rows:
        raise Refused(422, "No rows", "The body holds no row below the line of names.")
    values = np.empty((len(rows), len(reader.schema.columns)))
    found: list[Found] = []
    for place, column in enumerate(reader.schema.columns):
        cells = [row[places[column.name]].strip() for row in rows]
        told = [None if cell in _DIALECT.missing else cell for cell in cells]
        words = reader.words.get(column.name)
        if words is not None:
            values[:, place] = [words.code(cell) for cell in told]
            continue
        values[:, place] = numbers(told, _DIALECT)
        wrong = np.flatnonzero(np.isinf(values[:, place]))
        if len(wrong):
            found.append(Found(place, wrong, say_kind(column)))
    if found:
        raise refuse_cells(reader.schema.columns, found)
    reader.checks.check(values)
    return values


def _read_header(reader: RowReader, header: list[str]) -> dict[str, int]:
    """Where each of the schema's columns stands. Raises Refused, 400 or 422."""
    known = {one_form(column.name): column.name for column in reader.schema.columns}
    name, count = Counter(header).most_common(1)[0]
    if count > 1:
        said = printable(name, _LONGEST)
        raise Refused(400, "A name twice", f"The first line names {said} twice; name it once.")
    strange = [name for name in header if name not in known]
    absent = [known[name] for name in known if name not in header]
    problems = [
        Problem(None, printable(name, _LONGEST), "there is no such column; /docs lists them")
        for name in strange
    ]
    problems += [Problem(None, name, "it is not in the first line") for name in absent]
    if problems:
        raise refuse_problems(problems[:MOST_PROBLEMS], max(0, len(problems) - MOST_PROBLEMS))
    return {known[name]: place for place, name in enumerate(header)}
