"""`calyx report RUN [RUN…]`: write the report of finished or unfinished runs again."""

from collections.abc import Sequence
from pathlib import Path

from calyx.errors import UserError
from cli.report.page import write_report


def main(arguments: Sequence[str]) -> int:
    """Write report.html into each folder and print its path. Raises UserError."""
    if not arguments or any(a.startswith("-") for a in arguments):
        raise UserError("Give the folder of a run: calyx report RUN [RUN…].")
    for folder in arguments:
        print(write_report(Path(folder)))
    return 0
