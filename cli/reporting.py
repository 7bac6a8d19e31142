"""`calyx report RUN` writes a run's report again; `calyx report RUN RUN…` compares them on one page."""

from collections.abc import Sequence
from pathlib import Path

from calyx.errors import UserError
from cli.arguments import Parser
from cli.report.comparison import write_comparison
from cli.report.page import write_report


def main(arguments: Sequence[str]) -> int:
    """Write the page and print its path. Raises UserError."""
    parser = Parser(prog="calyx report", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="the folder of a run, or several")
    parser.add_argument("--out", type=Path, help="the comparison's file (comparison.html)")
    options = parser.parse_args(arguments)
    folders = list({run.resolve(): run for run in reversed(options.run)}.values())[::-1]
    if len(folders) == 1 < len(options.run):
        raise UserError(
            f"The run {folders[0]} is named {len(options.run)} times, and a comparison is of different "
            "ones; name another run too, or this one once."
        )
    if len(folders) > 1:
        print(write_comparison(folders, options.out or Path("comparison.html")))
        return 0
    if options.out is not None:
        raise UserError("--out is for comparisons; a run's report lies in its folder.")
    print(write_report(folders[0]))
    return 0
