"""A run is a row of phases, chosen and ordered by `phases`; each can be replaced alone.

audit → preprocess → train → validate → release. A phase that was done before a run was stopped
finds its result in the run folder and goes on from there.
"""

from collections.abc import Callable, Sequence

from calyx.errors import ConfigError
from server.phases import audit, preprocess, release, train, validate
from server.work import Work

Phase = Callable[[Work], Work]
PHASES: dict[str, Phase] = {
    "audit": audit.run,
    "preprocess": preprocess.run,
    "train": train.run,
    "validate": validate.run,
    "release": release.run,
}
NEEDS = {
    "train": ("preprocess",),
    "validate": ("train",),
    "release": ("validate",),
}


def run_phases(work: Work) -> Work:
    """Run all phases of the config, in order. Raises CalyxError."""
    for name in work.run.phases:
        work = PHASES[name](work)
    return work


def check_phases(phases: Sequence[str], preprocessing: str) -> None:
    """Refuse an order in which a phase would lack what it needs. Raises ConfigError."""
    if not phases or len(set(phases)) < len(phases):
        raise ConfigError("phases must name each phase once, and one at least.")
    for i, name in enumerate(phases):
        if name not in PHASES:
            raise ConfigError(f"There is no phase {name!r}; there are {', '.join(PHASES)}.")
        needs = NEEDS.get(name, ())
        if name == "preprocess" and preprocessing == "federated":
            needs = ("audit",)
        for needed in needs:
            if needed not in phases[:i]:
                raise ConfigError(f"The phase {name} needs {needed} before it; see phases.")
