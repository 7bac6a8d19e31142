"""An audit on the terminal: findings by severity, then the columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def print_audit(audit: Mapping[str, Any], folder: Path) -> None:
    """Print what was found; `folder` is the run's."""
    for finding in audit["findings"]:
        print(f"{finding['severity']:8} {finding['message']} {finding['advice']}")
    print(f"audit   {folder / 'audit.json'}")
