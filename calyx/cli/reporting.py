"""`calyx report RUN` writes a run's report again; `calyx report RUN RUN…` compares them on one page."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.outputs import add_output, claim, rows_of
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
        out = claim(options, *_read_by(folders), usual=Path("comparison.html"))
        if out is not None:
            out.write(compare_runs(folders, out.path))
            print(out.path)
        return 0
    if options.out is not None or options.replace:
        raise UserError("--out is for comparisons; a run's report lies in its folder.")
    print(write_report(folders[0]))
    return 0


def _read_by(runs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The files and the folders of rows of runs, as far as they say."""
    files, folders = [*runs], []
    for run in runs:
        with suppress(UserError):  # a damaged run is said on the page
            named = rows_of(RunFolder(run).read_config())
            files += named[0]
            folders += named[1]
    return files, folders
