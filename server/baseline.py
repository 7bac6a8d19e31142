"""The run that `audit.baseline` names: its audit, if its figures can be compared with this run's.

It is read before anything runs, and loads no PyTorch.
"""

from pathlib import Path

from calyx.errors import CalyxError, UserError
from calyx.findings.figures import Figures, read_sums
from calyx.findings.figures_json import declare
from calyx.run.audit import Audit, read_audit
from calyx.run.folder import RunFolder
from calyx.survey.blocks import ALL, Survey
from calyx.survey.variables import variables
from calyx.tasks.task import Task
from server.counted import holds, read_counted


def read_baseline(baseline: str, task: Task, bins: int) -> Figures:
    """The figures of an earlier run's audit. Raises UserError where there are none to compare with."""
    folder, named = RunFolder(Path(baseline)), f"audit.baseline={baseline}"
    if not folder.path.is_dir():
        raise UserError(f"{named} is no folder; name the folder of an earlier run of this task.")
    folder.check()
    if not folder.audit.is_file() or not folder.statistics.is_file():
        raise UserError(f"{named} holds no audit; name the folder of a run whose phases have one.")
    try:
        counted = read_counted(folder.statistics)
        other = _misfit(read_audit(folder.audit), task, bins)
    except (OSError, ValueError, UserError):
        raise UserError(f"{named} has a damaged audit; name the folder of another run.") from None
    survey = Survey(task.schema, bins, (ALL,))
    if other is None and not holds(counted.sums, survey):
        other = "of other cells than this run's audit; name a run of the same version of Calyx"
    if other is not None:
        raise UserError(f"{named} is {other}.")
    try:
        return read_sums(counted.sums, survey, counted.sites)
    except CalyxError as error:
        raise UserError(f"{named} is damaged: {error}. Name the folder of another run.") from None


def _misfit(audit: Audit, task: Task, bins: int) -> str | None:
    """Why this run's figures cannot be compared with those of an earlier audit, if they cannot."""
    if audit.task != task.name:
        return f"of the task {audit.task}, and this run's is {task.name}; name another run"
    if audit.bins != bins:
        return f"counted in {audit.bins} bins; set audit.bins={audit.bins}, or name another run"
    theirs = {name: list(column.declared or ()) for name, column in audit.columns.items()}
    ours = {v.name: declare(v) or [] for v in variables(task.schema)}
    reach = {v.name: v.bounds for v in variables(task.schema) if v.target and v.bounds}
    different = [n for n in (ours | theirs) if n not in ours or ours[n] != theirs.get(n)]
    different += [n for n, ends in reach.items() if n in theirs and audit.columns[n].range != ends]
    if different or audit.classes != task.schema.classes:
        what = f"the column {different[0]}" if different else "the classes"
        return f"of another schema: {what} is declared otherwise; name a run of the same schema"
    return None
