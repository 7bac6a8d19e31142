"""What `calyx submit` says of a run that sites with their task's template would refuse.

A warning, and no error: what a site's policy allows is its own to say, and nobody else knows it.
"""

from calyx.cli.site_file import task_template
from calyx.config.section import RunConfig, parse
from calyx.errors import ConfigError
from calyx.privacy.section import PrivacyConfig
from calyx.simulation.planning import asked_of
from client.gate.policy import all_beyond, below


def outside_template(run: RunConfig) -> list[str]:
    """A sentence that names every key outside the template of the run's task; none where all are within."""
    task = str(run.task["name"])
    try:
        policy = task_template(task).policy
    except ConfigError:
        return []  # a package without defaults has no template that a site could have written
    privacy = parse(PrivacyConfig, run.privacy, "privacy")
    if not privacy.is_encrypted:
        return [
            f"Sites with the policy that `calyx keys site NAME --task {task}` writes refuse privacy=none."
        ]
    found = [
        *below(privacy, policy),
        *all_beyond(asked_of(run), (run.rounds, run.deadline_s), policy),
    ]
    if not found:
        return []
    return [
        f"Sites with the policy that `calyx keys site NAME --task {task}` writes refuse this run: "
        f"{'; '.join(found)}. Ask the sites what they allow, or change these keys."
    ]
