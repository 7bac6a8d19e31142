"""What a site finds in its own rows, and how rows are counted in a sentence. It is for the site alone."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning"]


@dataclass(frozen=True)
class LocalFinding:
    """Something odd in a site's data: what, how much, and a sentence for a person.

    No sentence holds a value of a row, but for the well-known codes of `columns.CODES`.
    """

    check: str
    severity: Severity
    column: str | None  # None: of the whole table
    count: int  # rows or columns
    message: str
