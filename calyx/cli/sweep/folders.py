"""A sweep that is started again: what is left to do in each job's folder, and whether its rows are the same.

The rows of today are compared with those that the jobs began with: figures over other rows are no
other seed of a setting, and a job that goes on would lose the clients whose rows have changed. A sweep
in which nothing is left to do reads no rows.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from calyx.cli.changed_rows import describe_changed, find_changed
from calyx.cli.sweep.outcomes import FILE, find_outcomes
from calyx.composing.defaults import fill_in_defaults
from calyx.config.section import canonical_json
from calyx.errors import ConfigError, UserError
from calyx.files.foreign import check_own, check_plain
from calyx.files.plain import read_plain
from calyx.run.folder import RunFolder
from calyx.run.order import Terms, run_digest, terms_of
from calyx.simulation.planning import Plan
from server.checkpoints import load_newest
from server.config import RunConfig, read_run

Todo = Literal["nothing", "resume", "begin"]


def what_to_do(folder: RunFolder, wanted: RunConfig, config: dict[str, Any]) -> Todo:
    """Compare what a job's folder holds with what is wanted, parsed and raw; nothing is written.

    Raises UserError if the folder holds another run, or more rounds than are wanted.
    """
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"{folder.path} is a file; choose another hydra.sweep.dir.")
    if not folder.holds_run:
        folder.refuse_if_used()
        return "begin"
    old = folder.read_config()
    try:
        run = read_run(old)
    except ConfigError as error:
        raise UserError(
            f"The folder {folder.path} holds a run of another version of Calyx ({error}) Go on with the "
            "version that began it, or choose another hydra.sweep.dir."
        ) from None
    if run_digest(old) != run_digest(config):
        raise UserError(
            f"The folder {folder.path} holds a run of another config; give the sweep the overrides "
            "that it was begun with, or another hydra.sweep.dir."
        )
    if run.rounds > wanted.rounds:
        raise UserError(
            f"The run in {folder.path} was begun with rounds={run.rounds}; ask for as many or more, "
            "or choose another hydra.sweep.dir."
        )
    if folder.summary.exists() and folder.report.exists() and run.rounds == wanted.rounds:
        return "nothing"
    return "resume" if any(folder.checkpoints.glob("round-*")) else "begin"


def make_ready(folder: RunFolder, plan: Plan) -> Todo:
    """`what_to_do`, and then the folder is ready for it. Raises UserError."""
    todo = what_to_do(folder, plan.run, plan.config)
    if todo == "resume":
        state, _ = load_newest(folder.checkpoints)
        if state.config != run_digest(plan.config):
            raise UserError(
                f"The checkpoints in {folder.path} are of another run than its config.yaml; remove "
                "the folder, and the job begins anew."
            )
    if todo == "begin":
        # Killed before its first checkpoint: there is nothing to go on with.
        # The config goes last: what lies in a folder without it is somebody else's.
        for file in (folder.events, folder.clients, folder.config):
            if folder.holds_run:
                file.unlink(missing_ok=True)
    return todo


def refuse_foreign_files(folder: Path) -> None:
    """Raise UserError for a file that a sweep would write over, in a folder of no sweep."""
    ours = ("sweep.csv", "report.html", "multirun.yaml")
    there = [folder / name for name in ours if os.path.lexists(folder / name)]
    for path in (*there, folder / "study.journal"):
        check_plain(path)  # Hydra and Optuna follow links
    if there:
        check_own(folder, there[0].name)
    if not there or any(folder.rglob(FILE)):
        return
    if there[0].name == ours[-1] and b"\nhydra:" in b"\n" + read_plain(there[0]):
        return  # Hydra's own, of a sweep that was stopped before its first job
    raise UserError(
        f"{there[0]} is there already, of no sweep, and would be written over; choose another "
        "hydra.sweep.dir."
    )


@dataclass(frozen=True)
class BegunJob:
    """What a job's folder holds, and what is still to be done there."""

    folder: RunFolder
    run: RunConfig
    terms: Terms
    todo: Todo


def trials_below(folder: Path) -> list[BegunJob]:
    """The finished trials of a search, which repeats none."""
    done = [RunFolder(one.folder) for one in find_outcomes(folder) if one.status == "finished"]
    configs = [fill_in_defaults(one.read_config()) for one in done]
    return [
        BegunJob(one, read_run(config), terms_of(config), "nothing")
        for one, config in zip(done, configs, strict=True)
    ]


def check_rows(jobs: Sequence[BegunJob]) -> None:
    """Raise UserError where a job that goes on, or the first finished one on its data, had other rows."""
    seen = set[str]()  # finished jobs on the same data began with the same rows: one is enough
    for job in jobs:
        if job.todo == "begin":
            continue
        if job.todo == "nothing":
            source = canonical_json({"task": job.run.task, "client": job.run.client})
            run_id = str(job.folder.read_summary().run)
            if source in seen:
                continue
            seen.add(source)
        else:
            run_id = load_newest(job.folder.checkpoints)[0].run
        changed = find_changed(job.folder, job.run, job.terms, run_id)
        if changed:
            raise UserError(
                f"{describe_changed(changed, f'the job in {job.folder.path}')}. Put them back, or "
                "choose another hydra.sweep.dir for a new sweep."
            )
