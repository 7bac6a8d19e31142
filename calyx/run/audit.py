"""`audit.json` as it is read: what sums over sites say of their rows, and what is wrong with them.

It is written from `calyx/findings`, and has more than is read here.
"""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from calyx.errors import UserError
from calyx.files.foreign import read_object
from calyx.run.json_rows import damaged, parse_row, row
from calyx.run.rows import Absent, Count, Names, Number, Severity

Share = Annotated[float, Field(ge=0, le=1)]


@row
class SiteSpread:
    """Mean and standard deviation of a figure over sites."""

    mean: Number
    sd: Number


@row
class FindingRow:
    """One finding of audit.json."""

    check: str
    severity: Severity
    column: str | None
    message: str
    advice: str


@row
class ColumnRow:
    """One column; what its kind does not have is None."""

    unit: str
    role: Literal["column", "image", "target"] = "column"
    declared: tuple[Number | str | None, ...] | None = None
    missing: Count | None
    missing_share: Share | None
    coded_missing: Count | None
    missing_spread: SiteSpread | None = None
    hidden_at: Count | None = 0
    association: Share | None = None
    association_chance: Share | None = None
    mark_association: Share | None = None
    mark_chance: Share | None = None
    hidden_rows: Count | None = None
    absent: Absent = field(default_factory=dict)
    margins: dict[str, Number] = field(default_factory=dict)
    mean: Number | None = None
    sd: Number | None = None
    median: Number | None = None
    range: tuple[Number, Number] | None = None
    outside: Count | None = None
    outlier_share: Share | None = None
    histogram: tuple[Count, ...] | None = None
    categories: dict[str, Count] | None = None
    unknown: Count | None = None


@row
class DriftRow:
    """How far one column has drifted from the baseline, in audit.json."""

    name: str
    psi: Number | None
    ks: Number | None
    severity: str
    role: Literal["column", "image", "target", "label"] = "column"
    psi_chance: Number | None = None
    absent: Absent = field(default_factory=dict)


@row
class Audit:
    """The file audit.json, as far as it is shown, or compared with a later one."""

    task: str = ""
    bins: Count = 0  # of numbers' histograms
    sites: Count
    rows: Count | None
    duplicates: Count | None
    duplicates_share: Share | None = 0.0
    margins: dict[str, Number] = field(default_factory=dict)
    labels: tuple[Count, ...] | None
    classes: Names = ()
    label_spread: tuple[SiteSpread | None, ...]
    columns: dict[str, ColumnRow]
    findings: tuple[FindingRow, ...]
    drift: tuple[DriftRow, ...] | None = None


def read_audit(path: Path) -> Audit:
    """The audit of a run. Raises UserError for a file that is missing or damaged."""
    try:
        return parse_row(Audit, read_object(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise damaged(path, "", str(error)) from None
