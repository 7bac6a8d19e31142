"""One run with its display, its report and the table at the end; for `simulate` and `resume`."""

import errno
from pathlib import Path

from calyx.cli.display import Display
from calyx.errors import CalyxError, quote_command
from calyx.run.folder import RunFolder
from calyx.run.summary import Summary
from calyx.simulation.planning import Plan

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a user's share of it, a file's limit


def run_plan(plan: Plan, folder: Path, *, resume: bool) -> Summary:
    """Run a plan in `folder` and show it, with its figures at the end; returns the summary.

    Raises CalyxError, or KeyboardInterrupt with a sentence that says how to go on.
    """
    summary, report = run_shown(plan, folder, Display(plan), resume=resume)
    show(summary, folder, report)
    return summary


def show(summary: Summary, folder: Path, report: Path | None) -> None:
    """Print the figures of a finished run: of its model, or of its audit where it has none."""
    from calyx.cli.audit_table import print_audit
    from calyx.cli.results import print_results
    from calyx.run.audit import read_audit

    if summary.model_sha256 is not None:
        print_results(summary, folder, report, _conclusions(folder))
    else:
        print_audit(read_audit(RunFolder(folder).audit), folder)


def _conclusions(folder: Path) -> list[str]:
    """What the report says of the run; nothing of a folder that it cannot be made of."""
    from calyx.pages.conclusions import conclude, terminal_lines
    from calyx.pages.folder import read_run

    try:
        return terminal_lines(conclude(read_run(folder)), folder)
    except CalyxError:
        return []


def run_shown(
    plan: Plan, folder: Path, display: Display, *, resume: bool
) -> tuple[Summary, Path | None]:
    """Run a plan in `folder` under a display; returns the summary, and the report if there is one.

    Raises as `run_plan` does.
    """
    from calyx.simulation.run import simulate  # late: who only shows a run needs no PyTorch

    try:
        with display:
            simulate(plan, folder, resume=resume, progress=display.progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(folder)) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise CalyxError(_how_to_make_room(folder, error)) from error
    from calyx.cli.tracking import track  # late, as what shows a run: no round waits for it
    from calyx.pages.page import write_report

    summary = RunFolder(folder).read_summary()
    try:
        report: Path | None = write_report(folder)
    except CalyxError as error:
        RunFolder(folder).event("report-failed", "warning", str(error))
        report = None
    track(plan.run, RunFolder(folder))
    return summary, report


def _how_to_make_room(folder: Path, error: OSError) -> str:
    what = f"{error.filename or folder} cannot be written: {error.strerror}. Make room there"
    if not any(folder.glob("checkpoints/round-*")):
        return f"{what}, and start the run again in another folder."
    return f"{what}; then go on with `{quote_command('calyx', 'resume', folder)}`."


def _how_to_go_on(folder: Path) -> str:
    if not any(folder.glob("checkpoints/round-*")):
        return "Stopped before the run began; start it again."
    again = quote_command("calyx", "resume", folder)
    return f"Stopped; nothing that was finished is lost. Go on with `{again}`."
