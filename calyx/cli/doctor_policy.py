"""`calyx doctor site`, of the policy: where it allows more than its task's template, and what that risks."""

from collections.abc import Iterator

from calyx.cli.checks import Check
from calyx.cli.site_file import task_template
from calyx.errors import CalyxError
from client.gate.looseness import Looser, looser
from client.gate.policy import PolicyConfig
from client.gate.templates import Template

COMMON = "csv"  # whose template is held against a policy that names no task


def policy_checks(policy: PolicyConfig, roster: int | None) -> Iterator[Check]:
    """What the policy says, and a row for each value that is looser than the template's.

    `roster` is the number of its sites, None where it is not known.
    """
    said = f"privacy={policy.privacy}, sums of at least {policy.n_min}"
    tasks = _tasks(policy)
    templates: list[Template] = []
    for task in tasks or [COMMON]:
        try:
            templates.append(task_template(task))
        except CalyxError as error:
            yield Check("policy", "note", f"{said}; not compared with a template: {error}")
            return
    found = _in_all([looser(policy, template, roster) for template in templates])
    if policy.privacy == "none":  # nothing that it bounds would keep an update hidden
        found = [one for one in found if one.key == "privacy"]
    against = f"the template of task={', '.join(tasks or [COMMON])}"
    if not found:
        yield Check("policy", "ok", f"{said}; nothing is looser than in {against}")
        return
    count = f"{len(found)} value{'' if len(found) == 1 else 's'}"
    verb = "is" if len(found) == 1 else "are"
    yield Check("policy", "note", f"{said}; {count} {verb} looser than in {against}", _mend(tasks))
    yield from (Check("", "note", one.sentence, one.risk) for one in found)


def _mend(tasks: list[str]) -> str:
    name = tasks[0] if tasks else "TASK"
    return f"calyx keys site NAME --task {name} in another folder writes that template"


def _tasks(policy: PolicyConfig) -> list[str]:
    """The tasks that the policy names; none where it allows any."""
    bound = (policy.bounds or {}).get("task.name")
    return [str(name) for name in bound] if isinstance(bound, list) else []


def _in_all(several: list[list[Looser]]) -> list[Looser]:
    """What is looser than in the template of each task: another task's default is no fault."""
    keys = [{one.key for one in found} for found in several]
    return [one for one in several[0] if all(one.key in names for names in keys)]
