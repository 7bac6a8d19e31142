"""What `calyx submit` and `resume` say of a run that sites with their task's template would refuse.

A warning, and no error: what a site's policy allows is its own to say, and nobody else knows it.
"""

from calyx.cli.site_file import task_template
from calyx.errors import ConfigError
from calyx.run.order import Terms
from calyx.simulation.planning import asked_of
from calyx.tasks.task import Task
from client.gate.bounds import ANY, is_within
from client.gate.policy import all_beyond, below
from server.config import RunConfig


def outside_template(run: RunConfig, terms: Terms, task: Task) -> list[str]:
    """A sentence that names every key outside the template of the run's task; none where all are within."""
    try:
        policy = task_template(task.name).policy
    except ConfigError:
        return []  # a package without defaults has no template that a site could have written
    if not run.privacy.is_encrypted:
        return [
            f"Sites with the policy that `calyx keys site NAME --task {task.name}` writes refuse "
            "privacy=none."
        ]
    outside = [
        *below(run.privacy, policy),
        *all_beyond(asked_of(run, terms), (run.rounds, run.deadline_s), policy),
    ]
    if not outside:
        return []
    is_drawn = not is_within(run.cohort_size, (policy.bounds or {}).get("cohort_size", ANY))
    drawn = " With --drawn, that command writes one that allows cohort_size." if is_drawn else ""
    return [
        f"Sites with the policy that `calyx keys site NAME --task {task.name}` writes refuse this run: "
        f"{'; '.join(outside)}. Ask the sites what they allow, or change these keys.{drawn}"
    ]


def a_days_runs(run: RunConfig, task: Task, sites: int) -> list[str]:
    """A sentence where a cross-validation leaves a site with its template no other run in a day.

    It is a run itself, and so are each of its folds, of which with cv.k=clients a site has no part in
    its own, and the scores of all: docs/secagg.md §11.
    """
    k = run.cv.k
    if k is None or "validate" not in run.phases:
        return []
    try:
        most = task_template(task.name).policy.runs_a_day
    except ConfigError:
        return []
    folds = sites - 1 if k == "clients" else k
    if most is None or folds + 2 < most:
        return []
    return [
        f"cv.k={k} is {folds + 2} runs of a site: one, {folds} folds, and their scores; and the policy that "
        f"`calyx keys site NAME --task {task.name}` writes answers {most} in a day. What is beyond that is "
        "refused (daily-limit), and `calyx resume` goes on with it a day later."
    ]
