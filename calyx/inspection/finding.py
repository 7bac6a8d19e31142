"""What a site finds in its own rows, and how rows are counted in a sentence. It is for the site alone."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning"]


@dataclass(frozen=True)
class LocalFinding:
    """Something odd in a site's rows: which check found it, how many rows it is of, and a sentence.

    A sentence holds no value of a row, but for the well-known codes of `columns.CODES`.
    """

    check: str
    severity: Severity
    column: str | None  # None: of the whole table
    count: int  # rows or columns
    message: str
