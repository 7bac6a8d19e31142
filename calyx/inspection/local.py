"""What a site can find in its own rows, before it trains: for its own eyes, and never sent.

Beside the checks of the schema (missing, range, unknown categories, constant columns), which are the
client's. What it cannot find, and how often it finds what it can: `python -m benchmarks.faults`.
"""

from collections.abc import Iterator

from calyx.data.schema import Schema, Table, present_values
from calyx.inspection.columns import column_findings
from calyx.inspection.finding import LocalFinding
from calyx.inspection.labels import label_findings
from calyx.inspection.references import Reference, find_swapped_by_range, version_findings
from calyx.inspection.repeats import repeat_findings


def local_findings(
    table: Table, schema: Schema, previous: Reference | None = None
) -> list[LocalFinding]:
    """All findings about a table that passed the client's checks of types and shapes.

    `previous` is the site's own last version, against which more is found. The same finding by two
    ways is told once. Deterministic.
    """
    return [
        *findings_in_columns(table, schema, previous),
        *repeat_findings(table),
        *label_findings(table, schema),
    ]


def findings_in_columns(
    table: Table, schema: Schema, previous: Reference | None = None
) -> list[LocalFinding]:
    """The findings about columns: `local_findings` without those about whole rows or labels."""
    findings = [
        *_columns(table, schema),
        *find_swapped_by_range(table, schema),
        *(version_findings(table, schema, previous) if previous is not None else ()),
    ]
    first = {(f.check, f.severity, f.column): f for f in reversed(findings)}
    return [f for f in findings if first[f.check, f.severity, f.column] is f]


def _columns(table: Table, schema: Schema) -> Iterator[LocalFinding]:
    for i, column in enumerate(schema.columns):
        if column.kind in ("numeric", "image"):
            yield from column_findings(present_values(table.x[:, i], column), column)
