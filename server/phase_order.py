"""Which phases there are, and what each needs before it; without loading any."""

from collections.abc import Sequence

from calyx.errors import ConfigError

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


def list_questions(phases: Sequence[str], *, has_folds: bool) -> list[str]:
    """The kinds of all questions that a run of these phases asks its clients."""
    return [kind for name in phases for kind in ASKS.get(name, ())] + ["cv"] * has_folds


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
