"""What an audit finds: one scale of severity for all that is found, which `audit.fail_on` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_SHOWN = 4  # names in one sentence


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong, of all sites together."""

    check: str
    severity: Severity
    column: str | None
    count: int | None  # rows, or sites
    message: str  # what is wrong
    advice: str  # what to do


def names_of(names: Sequence[str]) -> str:
    """Columns in a sentence: "a, b, c, d and 3 more"."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def sites_of(count: int) -> str:
    """ "1 site", "3 sites"."""
    return "1 site" if count == 1 else f"{count} sites"
