"""What a client looks at in its own rows before it trains: what stops it, and what is only odd.

Pure. A failure names the column and never a row's content; oddities are findings, for this
client's own eyes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Alike, Column, Schema, Table, Target, is_inside, without_codes
from calyx.inspection.finding import LocalFinding, Severity
from calyx.preprocessing.absence import stand_in, unread, unread_sentence
from calyx.preprocessing.fitted import Fitted
from calyx.wire.messages import FailureCode
from calyx.words.digits import outside
from calyx.words.sentences import list_first, say_rows
from client.failures import ClientFailure

Values = NDArray[np.float64]

UNLABELLED = "unlabelled"  # the check of rows that have no label
MOSTLY_MISSING = 0.5  # share of rows above which a column says little
SHOWN = 4  # names in one sentence
_FIRST_ROWS = 1000


def check_table(table: Table, schema: Schema) -> list[LocalFinding]:
    """Findings about all rows. Raises ClientFailure for rows that cannot be trained on."""
    _refuse(table, schema)
    findings = [*_unread(table), *_unlabelled(table), *_columns(table, schema)]
    duplicates = len(table) - len(np.unique(table.hashes))
    if duplicates:
        findings.append(
            LocalFinding(
                "duplicates",
                of_equal_rows(table),
                None,
                duplicates,
                f"{say_rows(duplicates, 'stands', 'stand')} twice.",
            )
        )
    if schema.target is not None:
        return findings + _outside_of_target(table, schema.target)
    labels = np.bincount(table.y, minlength=len(schema.classes))
    empty = [schema.classes[i] for i in np.flatnonzero(labels == 0)]
    if empty:
        message = f"There are no rows of {_names(empty, 'class', 'classes')}."
        findings.append(LocalFinding("classes", "info", None, len(empty), message))
    return findings


def with_stand_ins(
    findings: Sequence[LocalFinding], fitted: Fitted, parts: Mapping[str, Table]
) -> tuple[LocalFinding, ...]:
    """The findings about raw rows; those of missing values say what stands in their place.

    And one of each column whose values the model is not told.
    """
    places = {column.name: i for i, column in enumerate(fitted.schema.columns)}
    told = []
    for finding in findings:
        if finding.check == "missing" and finding.column in places:
            what = stand_in(fitted, places[finding.column], parts["train"])
            if what is not None:
                message = f"{finding.message.removesuffix('.')}; they are coded as {what}."
                finding = replace(finding, message=message)
        told.append(finding)
    counts: Counter[str] = Counter()
    for part in parts.values():
        counts.update({column.name: count for column, count in unread(fitted, part.x)})
    for name in sorted(counts, key=places.__getitem__):
        message = unread_sentence(fitted.schema.columns[places[name]], counts[name])
        told.append(LocalFinding("unread-values", "warning", name, counts[name], message))
    return tuple(told)


def _unread(table: Table) -> list[LocalFinding]:
    count = len(table.unread)
    if count == 0:
        return []
    if count == 1:
        name = table.unread[0]
        message = f"{name} is a column that the schema does not name; it is left alone."
    else:
        name = None
        names = _names(list(table.unread), "column", "columns")
        message = f"The schema does not name {names}; they are left alone."
    return [LocalFinding("extra-column", "info", name, count, message)]


def _unlabelled(table: Table) -> list[LocalFinding]:
    count, number = table.unlabelled, len(table) + table.unlabelled
    if count == 0:
        return []
    severity: Severity = "warning" if count > MOSTLY_MISSING * number else "info"
    has = "has" if count == 1 else "have"
    message = (
        f"{count} of {number} rows {has} no label and {'is' if count == 1 else 'are'} left out."
    )
    return [LocalFinding(UNLABELLED, severity, None, count, message)]


def of_equal_rows(table: Table) -> Severity:
    """How bad it is that rows are equal."""
    # Rows out of blocks may well be equal: two speeches with the same words are no mistake.
    return "warning" if table.blocks is None else "info"


def _refuse(table: Table, schema: Schema) -> None:
    # Shapes, types and labels are those of the schema: `client/rows/loading.py` lets no others through.
    if len(table) == 0:
        left = table.unlabelled
        why = f": {say_rows(left, 'has', 'have')} no label and {'is' if left == 1 else 'are'} left out"
        raise ClientFailure(FailureCode.NO_ROWS, f"There are no rows{why if left else ''}.")
    infinite = np.flatnonzero(np.isinf(table.x).any(axis=0))
    if len(infinite):
        names = _names([schema.columns[i].name for i in infinite], "column", "columns")
        raise ClientFailure(FailureCode.INFINITE_VALUES, f"There are infinite values in {names}.")
    if schema.target is not None and not np.isfinite(table.y).all():
        raise ClientFailure(
            FailureCode.INFINITE_VALUES,
            f"The target {schema.target.name} is missing or infinite in some rows.",
        )


def _columns(table: Table, schema: Schema) -> list[LocalFinding]:
    missing, odd = np.zeros((2, len(schema.columns)), dtype=np.int64)
    is_constant = np.zeros(len(schema.columns), dtype=np.bool_)
    for group in schema.blocks(len(table)):
        places = group.places
        block = without_codes(table.x[:, places], group.first)
        missing[places] = np.isnan(block).sum(axis=0)
        odd[places] = _is_odd(block, group, schema).sum(axis=0)
        is_constant[places] = _is_constant(block)
    findings: list[LocalFinding] = []
    for i in np.flatnonzero((missing > 0) | (odd > 0)).tolist():
        findings += _missing(schema.columns[i], int(missing[i]), len(table))
        findings += _out_of_schema(schema.columns[i], int(odd[i]), table)
    constant = [schema.columns[i].name for i in np.flatnonzero(is_constant)]
    if constant:
        names = _names(constant, "column", "columns")
        message = f"Only one value stands in {names}."
        only = constant[0] if len(constant) == 1 else None
        findings.append(LocalFinding("constant", "info", only, len(constant), message))
    return findings


def _is_odd(block: Values, group: Alike, schema: Schema) -> NDArray[np.bool_]:
    """Which values of a group's columns [N, k] the schema does not declare; NaN is none."""
    if group.first.categories:
        return ~np.isin(block, group.first.categories) & ~np.isnan(block)
    return (block < schema.low[group.places]) | (block > schema.high[group.places])


def _is_constant(block: Values) -> NDArray[np.bool_]:
    """Which columns of `block` [N > 0, k] have one value alone; NaN is none."""
    first = block[:_FIRST_ROWS]  # which mostly tell
    is_one = np.asarray(~(np.fmin.reduce(first, axis=0) < np.fmax.reduce(first, axis=0)))
    own = block[:, is_one]
    is_one[is_one] = np.fmin.reduce(own, axis=0) == np.fmax.reduce(own, axis=0)
    return is_one  # not where both are NaN


def _missing(column: Column, missing: int, rows: int) -> list[LocalFinding]:
    if missing == 0:
        return []
    much = missing > MOSTLY_MISSING * rows
    message = f"The column {column.name} is missing in {missing} of {rows} rows"
    if not column.may_be_missing:
        message += ", though the schema says that it is complete"
    severe = much or not column.may_be_missing
    return [
        LocalFinding(
            "missing", "warning" if severe else "info", column.name, missing, f"{message}."
        )
    ]


def _out_of_schema(column: Column, count: int, table: Table) -> list[LocalFinding]:
    if count == 0:
        return []
    words: list[str] = []
    if column.categories:
        if column.unknown == "refuse":
            raise ClientFailure(
                FailureCode.WRONG_SCHEMA,
                f"The column {column.name} holds a category that the schema does not declare.",
            )
        verbs, check = ("has", "have"), "unknown-category"
        what = "an unknown category in the column"
        words = [word for name, word in table.strange if name == column.name][:SHOWN]
    else:
        verbs, check = ("lies", "lie"), "range"
        what = f"{outside(column.low, column.high)} in the column"
    such = f", such as {', '.join(words)}" if words else ""
    message = f"{say_rows(count, *verbs)} {what} {column.name}{such}."
    return [LocalFinding(check, "warning", column.name, count, message)]


def _outside_of_target(table: Table, target: Target) -> list[LocalFinding]:
    count = int((~is_inside(table.y, target)).sum())
    if count == 0:
        return []
    where = outside(target.low, target.high)
    message = f"{say_rows(count, 'lies', 'lie')} {where} in the target {target.name}."
    return [LocalFinding("range", "warning", target.name, count, message)]


def _names(names: list[str], one: str, many: str) -> str:
    shown = list_first(names, SHOWN)
    return f"the {one} {shown}" if len(names) == 1 else f"{len(names)} {many}: {shown}"
