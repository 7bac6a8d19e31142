"""Columns of a CSV file that the schema does not name and whose words repeat, as a patient's id does."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from calyx.data.csv.folder import rows_by_client
from calyx.data.csv.rows import Dialect
from calyx.data.csv.schema import SchemaConfig
from calyx.data.csv.words import find_labelled
from calyx.data.schema import Repeating
from calyx.data.tables import Chunk, read_chunks, read_header

MOST_COLUMNS = 50  # looked at
MOST_REPEATING = 8  # kept of one client


def find_repeating(
    path: Path, used: Sequence[str], schema: SchemaConfig, dialect: Dialect
) -> dict[str | None, tuple[Repeating, ...]]:
    """Columns that are not `used` and whose words repeat, by client, from the first piece of a file.

    Without a client column all rows are under None. Raises DataError.
    """
    header = read_header(path, dialect)
    counts, names_used = Counter(header), set(used)
    free = [name for name in header if name and counts[name] == 1 and name not in names_used]
    names = free[:MOST_COLUMNS]
    if not names:
        return {}
    client, target = schema.client, schema.target
    wanted = [*names, target.name] if client is None else [*names, target.name, client]
    by_client = dict[str | None, tuple[Repeating, ...]]()
    for piece in islice(read_chunks(path, wanted, dialect), 1):
        chunk = piece.take(np.flatnonzero(find_labelled(piece, target)))
        for name, rows in rows_by_client(path, chunk, client).items():
            columns = (_column(chunk, column, rows) for column in names)
            kept = (column for column in columns if column is not None)
            by_client[name] = tuple(islice(kept, MOST_REPEATING))
    return by_client


def _column(chunk: Chunk, name: str, rows: Sequence[int]) -> Repeating | None:
    """The column, if two of its words are one, and others differ."""
    numbers, cells = dict[str, int](), chunk.cells[name]
    words = [cells[row] for row in rows]
    places = [-1 if word is None else numbers.setdefault(word, len(numbers)) for word in words]
    if not 1 < len(numbers) < sum(number >= 0 for number in places):
        return None
    return Repeating(name, np.array(places, dtype=np.int64))
