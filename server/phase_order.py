"""A run is a row of phases, chosen and ordered by `phases`; each can be replaced alone.

audit → preprocess → train → validate → release, each a file of its name in `server/phases`. One that
was done before a run was stopped finds its result in the run folder and goes on from there.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from calyx.errors import ConfigError

if TYPE_CHECKING:
    from server.run_context import RunContext

NEEDS: dict[str, tuple[str, ...]] = {
    "audit": (),
    "preprocess": (),
    "train": ("preprocess",),
    "validate": ("train",),
    "release": ("validate",),
}

ASKS: dict[str, tuple[str, ...]] = {  # kinds of questions to clients
    "audit": ("statistics",),
    "train": ("train", "evaluate"),
    "validate": ("test",),
}


def list_questions(
    phases: Sequence[str], *, has_folds: bool, is_attacked: bool = False
) -> list[str]:
    """The kinds of all questions that a run of these phases asks its clients."""
    own = [kind for name in phases for kind in ASKS.get(name, ())]
    return own + ["robust"] * (is_attacked and "train" in phases) + ["cv"] * has_folds


def run_phases(context: "RunContext") -> None:
    """Run all phases of the config, in order. Raises CalyxError."""
    # By name and late: whoever only checks an order of phases needs nothing of what they load.
    for name in context.run.phases:
        context = import_module(f"server.phases.{name}").run(context)
    if "release" not in context.run.phases:
        import_module("server.phases.release").close_audit(context)


def check_phases(phases: Sequence[str], preprocessing: str) -> None:
    """Refuse an order in which a phase would lack what it needs. Raises ConfigError."""
    if not phases or len(set(phases)) < len(phases):
        raise ConfigError("phases must name each phase once, and one at least.")
    for i, name in enumerate(phases):
        if name not in NEEDS:
            raise ConfigError(f"There is no phase {name!r}; there are {', '.join(NEEDS)}.")
        needs = NEEDS[name]
        if name == "preprocess" and preprocessing == "federated":
            needs = ("audit",)
        for needed in needs:
            if needed not in phases[:i]:
                raise ConfigError(f"The phase {name} needs {needed} before it; see phases.")
    if "train" in phases and "release" not in phases:
        raise ConfigError(
            "A run that trains ends with validate and release; without train it may be only an audit."
        )
    if "train" not in phases and "audit" not in phases:
        raise ConfigError("phases must name audit, or all of preprocess, train, validate, release.")
