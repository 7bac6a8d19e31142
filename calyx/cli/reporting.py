"""`calyx report RUN` writes a run's report again; `calyx report RUN RUN…` compares them on one page."""

from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.outputs import Read, add_output, claim, read_by
from calyx.errors import UserError
from calyx.pages.comparison import compare_runs
from calyx.pages.page import write_report
from calyx.run.folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Write the page and print its path. Raises UserError."""
    parser = Parser(prog="calyx report", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="the folder of a run, or several")
    add_output(parser, "the comparison's file (comparison.html)")
    options = parser.parse_intermixed_args(arguments)  # options stand anywhere
    folders = list({run.resolve(): run for run in reversed(options.run)}.values())[::-1]
    if len(folders) == 1 < len(options.run):
        raise UserError(
            f"The run {folders[0]} is named {len(options.run)} times, and a comparison is of different "
            "ones; name another run too, or this one once."
        )
    if len(folders) > 1:
        rows = [one for run in folders for one in _rows_of(run)]
        files = [*folders, *(path for one in rows for path in one.files)]
        data = [path for one in rows for path in one.folders]
        out = claim(options, files, data, usual=Path("comparison.html"))
        if out is not None:
            out.write(compare_runs(folders, out.path))
            print(out.path)
        return 0
    if options.out is not None or options.replace:
        raise UserError("--out is for comparisons; a run's report lies in its folder.")
    print(write_report(folders[0]))
    return 0


def _rows_of(run: Path) -> list[Read]:
    """What a run has read; nothing of one that is damaged, which the page says."""
    try:
        return [read_by(RunFolder(run).read_config())]
    except UserError:
        return []
