"""`calyx doctor site`, of the policy: where it allows nothing, or more than its task's template."""

from collections.abc import Iterator
from dataclasses import replace

from calyx.cli.checks import Check
from calyx.cli.site_file import task_template
from calyx.errors import CalyxError
from calyx.words.sentences import say_count
from client.gate.admission import Closed, closed
from client.gate.bounds import bound_of
from client.gate.looseness import Looser, looser
from client.gate.policy import PolicyConfig
from client.gate.templates import Template

COMMON = "csv"  # whose template is held against a policy that names no task
DRAWN = " --drawn"


def policy_checks(policy: PolicyConfig, roster: int | None) -> Iterator[Check]:
    """What the policy says, a row for each value that refuses every order, and for each that is looser.

    `roster` is the number of its sites, None where it is not known.
    """
    tasks, is_drawn = _tasks(policy), _admits_drawn(policy)
    yield from (
        Check("policy", "problem", one.sentence, one.cure) for one in _find_closed(policy, roster)
    )
    said = f"privacy={policy.privacy}, sums of at least {policy.n_min}"
    said += ", drawn cohorts too" if is_drawn else ""
    try:
        templates = [task_template(task, is_drawn) for task in tasks or [COMMON]]
    except CalyxError as error:
        yield Check("policy", "note", f"{said}; not compared with a template: {error}")
        return
    loose = _in_all([looser(policy, template, roster) for template in templates])
    if policy.privacy == "none":  # nothing that it bounds would keep an update hidden
        loose = [one for one in loose if one.key == "privacy"]
    against = f"the template of task={', '.join(tasks or [COMMON])}{DRAWN if is_drawn else ''}"
    if not loose:
        yield Check("policy", "ok", f"{said}; nothing is looser than in {against}")
        return
    count = say_count(len(loose), "value")
    verb = "is" if len(loose) == 1 else "are"
    mend = f"calyx keys site NAME --task {tasks[0] if tasks else 'TASK'}{DRAWN if is_drawn else ''}"
    mend += " in another folder writes that template"
    yield Check("policy", "note", f"{said}; {count} {verb} looser than in {against}", mend)
    yield from (Check("", "note", one.sentence, one.risk) for one in loose)


def _find_closed(policy: PolicyConfig, roster: int | None) -> list[Closed]:
    """Values with which no order of any task that it allows is answered."""
    by_template = [
        list(closed(policy, template, roster)) for template in _templates(_tasks(policy))
    ]
    return by_template[0] if all(by_template) else []


def _templates(tasks: list[str]) -> list[Template]:
    """Templates of the tasks; a common one without a task's keys where any is allowed, or one has none."""
    try:
        return [task_template(task) for task in tasks] or [_taskless()]
    except CalyxError:
        return [_taskless()]


def _taskless() -> Template:
    usual = task_template(COMMON)
    keys = [key for key in usual.keys if key == "task.name" or not key.startswith("task.")]
    return replace(usual, keys=tuple(keys))


def _admits_drawn(policy: PolicyConfig) -> bool:
    """Whether it has a bound for `cohort_size`, and that allows more than everybody."""
    bound = bound_of("cohort_size", policy.bounds or {})
    return bound is not None and bound != [None]


def _tasks(policy: PolicyConfig) -> list[str]:
    """The tasks that the policy names; none where it allows any."""
    bound = (policy.bounds or {}).get("task.name")
    return [str(name) for name in bound] if isinstance(bound, list) else []


def _in_all(several: list[list[Looser]]) -> list[Looser]:
    """What is looser than in the template of each task: another task's default is no fault."""
    keys = [{one.key for one in one_template} for one_template in several]
    return [one for one in several[0] if all(one.key in names for names in keys)]
