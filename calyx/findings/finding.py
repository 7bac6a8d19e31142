"""What an audit finds: one scale of severity for all that is found, which `audit.fail_on` reads."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
SHOWN = 4  # names in one sentence


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong, of all sites together."""

    check: str
    severity: Severity
    column: str | None
    count: int | None  # rows, or sites
    message: str  # what is wrong
    advice: str  # what to do
