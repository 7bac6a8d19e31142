"""What this client's preprocessing made of values that are missing, or that it cannot read, as findings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calyx.data.schema import Table
from calyx.inspection.finding import LocalFinding
from calyx.preprocessing.absence import stand_in, unread, unread_sentence
from calyx.preprocessing.fitting import Fitted


def with_stand_ins(
    findings: Sequence[LocalFinding], fitted: Fitted, parts: Mapping[str, Table]
) -> tuple[LocalFinding, ...]:
    """The findings about raw rows; those of missing values say what stands in their place.

    And one of each column whose values the model is not told.
    """
    columns = enumerate(fitted.schema.columns)
    instead = {column.name: stand_in(fitted, i, parts["train"]) for i, column in columns}
    told = []
    for finding in findings:
        what = instead.get(finding.column or "")
        if finding.check == "missing" and what is not None:
            message = f"{finding.message.removesuffix('.')}; they are coded as {what}."
            finding = replace(finding, message=message)
        told.append(finding)
    counts: dict[str, int] = {}
    for part in parts.values():
        for column, count in unread(fitted, part.x):
            counts[column.name] = counts.get(column.name, 0) + count
    for column in fitted.schema.columns:
        if rows := counts.get(column.name):
            message = unread_sentence(column, rows)
            told.append(LocalFinding("unread-values", "warning", column.name, rows, message))
    return tuple(told)
