"""What this client's preprocessing made of values that are missing, or that it cannot read, as findings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calyx.preprocessing.absence import stand_in, unread, unread_sentence
from calyx.preprocessing.fitting import Fitted
from calyx.tasks.base import Table
from client.checks import Finding


def with_stand_ins(
    findings: Sequence[Finding], fitted: Fitted, parts: Mapping[str, Table]
) -> tuple[Finding, ...]:
    """The findings about raw rows; those of missing values say what stands in their place.

    And one of each column whose values the model is not told.
    """
    places = {column.name: i for i, column in enumerate(fitted.schema.columns)}
    found = []
    for finding in findings:
        known = finding.check == "missing" and finding.column in places
        place = places[finding.column] if known and finding.column is not None else None
        instead = None if place is None else stand_in(fitted, place, parts["train"])
        if instead is not None:
            message = f"{finding.message.removesuffix('.')}; in their place stands {instead}."
            finding = replace(finding, message=message)
        found.append(finding)
    counts: dict[str, int] = {}
    for part in parts.values():
        for column, count in unread(fitted, part):
            counts[column.name] = counts.get(column.name, 0) + count
    for column in fitted.schema.columns:
        if count := counts.get(column.name):
            message = unread_sentence(column, count)
            found.append(Finding("unread-values", "warning", column.name, count, message))
    return tuple(found)
