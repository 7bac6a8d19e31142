"""A sweep that is started again compares the rows of today with those that its jobs began with.

Figures over other rows are no other seed of a setting, and a job that goes on would lose the clients
whose rows have changed. A sweep in which nothing is left to do reads no rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calyx.cli.changed_rows import describe_changed, find_changed
from calyx.cli.sweep.folders import Todo
from calyx.cli.sweep.outcomes import find_outcomes
from calyx.composing.defaults import fill_in_defaults
from calyx.config.section import canonical_json
from calyx.errors import UserError
from calyx.run.folder import RunFolder
from calyx.run.order import Terms, terms_of
from server.checkpoints import load_newest
from server.config import RunConfig, read_run


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
