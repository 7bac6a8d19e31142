"""What a client looks at in the parts of its own rows: what stops it, and what makes figures too good.

Pure. A finding is for this client's own eyes; no sentence holds a value of a row.
"""

from collections.abc import Mapping

import numpy as np

from calyx.data.schema import Schema, Table, join
from calyx.errors import printable
from calyx.inspection.finding import LocalFinding
from calyx.inspection.near_copies import near_copies
from calyx.inspection.repeating_column import alike_neighbours, are_alike
from calyx.wire.messages import FailureCode
from calyx.words.sentences import say_rows
from client.failures import ClientFailure
from client.rows.checks import of_equal_rows
from client.rows.cuts import TOLERATED
from client.rows.splitting import PartName

INFLATING = (
    "repeating-column",
    "alike-neighbours",
    "near-copies",
)  # checks of what makes figures too good
_WANTED: dict[PartName, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
_TOGETHER = "say so by `group` in a csv task's schema, or by `blocks` of a task's table"


def check_parts(parts: Mapping[PartName, Table]) -> list[LocalFinding]:
    """Findings about a split. Raises ClientFailure if the training part is empty."""
    if len(parts["train"]) == 0:
        raise ClientFailure(FailureCode.NO_ROWS, "The training part has no rows.")
    findings = [
        LocalFinding("empty-part", "warning", None, 0, f"The {name} part has no rows.")
        for name, part in parts.items()
        if len(part) == 0
    ]
    distinct = [np.unique(part.hashes) for part in parts.values()]
    # A row of one part that equals a row of another is seen once less in the union.
    shared = sum(map(len, distinct)) - len(np.unique(np.concatenate(distinct)))
    if shared:
        stand = say_rows(shared, "stands", "stand")
        message = f"{stand} in more than one of the training, validation and test parts."
        findings.append(
            LocalFinding("shared-rows", of_equal_rows(parts["train"]), None, shared, message)
        )
    return findings


def check_split(
    table: Table, parts: Mapping[PartName, Table], schema: Schema
) -> list[LocalFinding]:
    """Findings about the split of a training, which has no folds: what should be together and is not."""
    beside = []
    if not _is_said(table):  # a column that repeats says what is alike, and the order says it again
        beside = _repeating(table, schema) or _neighbours(table, schema)
    return [*_few_groups(parts), *beside, *_near(parts, schema)]


def _is_said(table: Table) -> bool:
    """Whether something but chance decides the split already."""
    return any(of is not None for of in (table.blocks, table.parts, table.times))


def _few_groups(parts: Mapping[PartName, Table]) -> list[LocalFinding]:
    """Where whole groups, or rows of one time, do not come near 60, 20 and 20 % of the rows."""
    whole = join(list(parts.values()))
    together = whole.blocks if whole.blocks is not None else whole.times
    if together is None:
        return []
    shares = {name: len(parts[name]) / len(whole) for name in _WANTED}
    missed = np.sqrt(sum((shares[name] - _WANTED[name]) ** 2 for name in _WANTED))
    count = len(np.unique(together))
    if missed <= TOLERATED:
        return []
    told = ", ".join(f"{shares[name]:.0%} {name}" for name in _WANTED)
    kind = "groups of rows" if whole.blocks is not None else "times"
    if count == 1:
        kind = kind.replace("groups", "group").replace("times", "time")
    message = f"{count} {kind} of such sizes make parts of {told}: none may be divided."
    return [LocalFinding("few-groups", "warning", None, count, message)]


def _near(parts: Mapping[PartName, Table], schema: Schema) -> list[LocalFinding]:
    judged = join([parts["validation"], parts["test"]])
    near = near_copies(parts["train"], judged, schema)
    if near is None:
        return []
    message = (
        f"{near.count} of {near.looked_at} validation and test rows are nearly a training row (the "
        f"nearest at {near.nearest:.2g} of the distance to its 20th), so that their figures may be "
        f"too good. If these rows belong together, {_TOGETHER}."
    )
    return [LocalFinding("near-copies", "warning", None, near.count, message)]


def _repeating(table: Table, schema: Schema) -> list[LocalFinding]:
    findings = []
    for column in table.repeating:
        if not are_alike(table, schema, column.words):
            continue
        known = column.words[column.words >= 0]
        name, count = printable(column.name, 40), len(known)
        each = f"{count / len(np.unique(known)):.2g}"
        message = (
            f"{name} repeats, {each} rows a word, and rows of one word are alike: if they belong "
            f"together, say `group: {name}` in the schema, or they are both trained on and tested."
        )
        findings.append(LocalFinding("repeating-column", "warning", name, count, message))
    return findings


def _neighbours(table: Table, schema: Schema) -> list[LocalFinding]:
    ratio = alike_neighbours(table, schema)
    if ratio is None:
        return []
    message = (
        f"A row differs little from the one before it ({ratio:.0%} of what it would in any order). If "
        "rows were taken one after the other, say which column is their `time` in a csv task's schema "
        "(`times` of a task's table); if they belong together, say their `group` (`blocks`)."
    )
    return [LocalFinding("alike-neighbours", "warning", None, len(table), message)]
