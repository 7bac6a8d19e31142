"""A run is a row of phases, chosen and ordered by `phases`; each can be replaced alone.

audit → preprocess → train → validate → release. A phase that was done before a run was stopped
finds its result in the run folder and goes on from there.
"""

from collections.abc import Callable

from server.phases import audit, preprocess, release, train, validate
from server.run_context import RunContext

Phase = Callable[[RunContext], RunContext]
PHASES: dict[str, Phase] = {
    "audit": audit.run,
    "preprocess": preprocess.run,
    "train": train.run,
    "validate": validate.run,
    "release": release.run,
}


def run_phases(context: RunContext) -> RunContext:
    """Run all phases of the config, in order. Raises CalyxError."""
    for name in context.run.phases:
        context = PHASES[name](context)
    if "release" not in context.run.phases:
        release.close_audit(context)
    return context
