"""`calyx simulate -m`: plan, let Hydra run the jobs, and say how they compare, whatever happened."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from calyx.cli.facts import print_warnings, say
from calyx.cli.hydra_program import run_hydra
from calyx.cli.sweep.job import run_job
from calyx.cli.sweep.leaderboard import print_leaderboard, rank_settings
from calyx.cli.sweep.outcomes import Outcome, entries_of, find_outcomes, read_outcome
from calyx.cli.sweep.plan import Sweep, plan_sweep
from calyx.cli.sweep.table import write_table
from calyx.errors import CalyxError, quote_command
from calyx.pages.comparison import write_comparison
from calyx.pages.ranking.standings import standings
from calyx.run.folder import RunFolder

MOST_COMPARED = 100  # runs that one page can show


def run_sweep(options: Namespace, flags: Sequence[str]) -> int:
    """Run all jobs; returns the exit code.

    Raises UserError before anything is on disk, CalyxError if a job failed after all have had
    their turn, KeyboardInterrupt with a sentence that says how to go on.
    """
    with plan_sweep(options) as sweep:
        if sweep.jobs is not None:
            print(f"a sweep of {len(sweep.jobs)} jobs in {sweep.folder}", flush=True)
        print_warnings(sweep.idle)
        if sweep.sweeper == "optuna":
            from calyx.cli.sweep.optuna_sweeper import register

            register()
        with RunFolder(sweep.folder).alone():
            return _run(sweep, [*flags, *options.overrides, *sweep.settling])


def _run(sweep: Sweep, words: Sequence[str]) -> int:
    again = f"Go on with the same command and {_here(sweep)}."
    try:
        run_hydra(words, run_job)
    except KeyboardInterrupt:
        _conclude(sweep)
        raise KeyboardInterrupt(f"Stopped; nothing that was finished is lost. {again}") from None
    except CalyxError:
        _conclude(sweep)
        raise
    except Exception as error:
        _conclude(sweep)
        first = next(iter(str(error).strip().splitlines()), "no message")
        raise CalyxError(
            f"The sweep ended early: {type(error).__name__}: {first.rstrip('.')}. {again}"
        ) from error
    return _verdict(_conclude(sweep), sweep)


def _conclude(sweep: Sweep) -> list[Outcome]:
    """Table, comparison and leaderboard of what there is; the outcomes."""
    if sweep.jobs is None:
        outcomes = find_outcomes(sweep.folder)
    else:
        outcomes = [read_outcome(job.folder, job.number, job.overrides) for job in sweep.jobs]
    if not outcomes:
        return []
    table = write_table(sweep.folder, outcomes)
    report = _compare(sweep, outcomes)
    print_leaderboard(outcomes, sweep.objective)
    print(f"table   {table}")
    if report:
        print(f"report  {report}", flush=True)
    return outcomes


def _compare(sweep: Sweep, outcomes: Sequence[Outcome]) -> Path | None:
    """The comparing report; None if there is nothing to compare, or this version cannot."""
    jobs = {str(job.job): job for job in outcomes}
    lines = (line for group in rank_settings(outcomes, sweep.objective) for line in group.lines)
    first = [jobs[entry.name] for line in lines for entry in line.standing.entries]
    ordered = [*first, *(job for job in outcomes if job not in first)]
    folders = [job.folder for job in ordered if RunFolder(job.folder).holds_run]
    if len(folders) < 2:
        return None
    target, left = sweep.folder / "report.html", len(folders) - MOST_COMPARED
    if left > 0:
        say(f"the report shows {MOST_COMPARED} runs; {left} more are in sweep.csv", "yellow")
    try:
        return write_comparison(folders[:MOST_COMPARED], target, _find_lost(sweep, outcomes))
    except CalyxError as error:
        say(f"warning: there is no comparing report: {error}", "yellow")
        return None


def _find_lost(sweep: Sweep, outcomes: Sequence[Outcome]) -> dict[Path, tuple[str, ...]]:
    """Seeds of jobs that failed before they left a run, by the folder of a run of their setting."""
    jobs = {str(job.job): job for job in outcomes}
    lost = {}
    for one in standings(entries_of(outcomes, sweep.objective)):
        folders = [jobs[e.name].folder for e in one.entries]
        held = [folder for folder in folders if RunFolder(folder).holds_run]
        left = {e.seed for e in one.entries if jobs[e.name].folder in held}
        if held and left < set(one.seeds):
            lost[held[0]] = tuple(seed for seed in one.seeds if seed not in left)
    return lost


def _here(sweep: Sweep) -> str:
    return quote_command(f"hydra.sweep.dir={sweep.folder}")


def _verdict(outcomes: Sequence[Outcome], sweep: Sweep) -> int:
    left = [str(one.job) for one in outcomes if one.status not in ("finished", "pruned")]
    if not left:
        return 0
    raise CalyxError(
        f"{len(left)} of {len(outcomes)} jobs did not finish ({', '.join(left)}): see why above, or in "
        f"sweep.csv; try them again with the same command and {_here(sweep)}."
    )
