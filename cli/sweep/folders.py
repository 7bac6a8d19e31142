"""A job's folder when its sweep is started again: done, to go on with, or to begin."""

from typing import Any, Literal

from calyx.config import RunConfig, parse
from calyx.errors import ConfigError, UserError
from calyx.order import run_digest
from engines.planning import Plan
from server.checkpoints import load_newest
from server.folder import RunFolder

Todo = Literal["nothing", "resume", "begin"]


def what_to_do(folder: RunFolder, wanted: RunConfig, config: dict[str, Any]) -> Todo:
    """Compare what a job's folder holds with what is wanted, parsed and raw; nothing is written.

    Raises UserError if the folder holds another run, or more rounds than are wanted.
    """
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"{folder.path} is a file; choose another hydra.sweep.dir.")
    if not folder.holds_run:
        return "begin"
    found = folder.read_config()
    try:
        run = parse(RunConfig, found, "")
    except ConfigError as error:
        raise UserError(
            f"The folder {folder.path} holds a run of another version of Calyx ({error}) Go on with the "
            "version that began it, or choose another hydra.sweep.dir."
        ) from None
    if run_digest(run, found) != run_digest(wanted, config):
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
        if state.config != run_digest(plan.run, plan.config):
            raise UserError(
                f"The checkpoints in {folder.path} are of another run than its config.yaml; remove "
                "the folder, and the job begins anew."
            )
    if todo == "begin":
        # Killed before its first checkpoint: there is nothing to go on with.
        for file in (folder.config, folder.events, folder.clients):
            file.unlink(missing_ok=True)
    return todo
