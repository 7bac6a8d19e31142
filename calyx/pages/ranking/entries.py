"""A run as far as it is compared: its setting and seed, its figure, and of which rows that is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calyx.model.populations import Population, is_same_population
from calyx.words.digits import number_texts

Figures = Mapping[str, Any]  # summary.json
PERSONAL = "personal_"


@dataclass(frozen=True)
class Kind:
    """What a figure is: of two kinds neither is the better one."""

    task: str
    figure: str  # its name; the same for common and for own models, which answer for the same rows
    over: str = "rows"  # what it is a mean over
    classes: tuple[str, ...] = ()
    is_smaller_better: bool = True

    @property
    def sign(self) -> int:
        """1 where the smallest value leads, −1 where the largest does."""
        return 1 if self.is_smaller_better else -1


@dataclass(frozen=True)
class Entry:
    """One run. `value` is None where there is no figure, and `why` says so in a clause."""

    name: str  # its job's number, or its folder
    settings: tuple[tuple[str, str], ...]  # what sets it apart from others, but for the seed
    seed: str
    value: float | None = None
    why: str = "it is not finished"
    figure: str = ""  # the full name of what `value` is
    kind: Kind | None = None
    rows: Population | None = None  # of whom the figure is: `validated_on` or `tested_on`
    model: str | None = None  # SHA-256


def figure_of(figures: Figures, objective: str) -> str:
    """The figure by which jobs are compared, without its `best_`; `objective` where they do not say.

    A regression's loss is in units of its target's scale, which a schema may choose; two are
    compared by their error in the target's own unit, which has the same order on the same rows.
    """
    name = str(figures.get("objective") or objective)
    is_regression = figures.get("metric", "accuracy") != "accuracy"
    return f"{name.removesuffix('loss')}rmse" if is_regression and name.endswith("loss") else name


def is_smaller_better(figure: str) -> bool:
    """Whether less of it is better, which its name says: of a loss and an error, not of a score."""
    return not figure.endswith(("accuracy", "r2"))


def number_of(figures: Figures, name: str) -> float | None:
    """A figure that is a finite number; None for all else."""
    value = figures.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def why_absent(figures: Figures, name: str) -> str:
    """Why a summary has no such figure, as a clause."""
    reasons = figures.get("absent")
    said = reasons.get(name) if isinstance(reasons, Mapping) else None
    return str(said) if said else f"its summary.json has no {name}"


def model_of(figures: Figures) -> str | None:
    """The SHA-256 of the model of a summary; None if it tells none."""
    value = figures.get("model_sha256")
    return value if isinstance(value, str) else None


def kind_of(figures: Figures, figure: str) -> Kind:
    """What `figure` of a summary is."""
    classes = figures.get("classes")
    rows = rows_of(figures, figure)
    over = rows.get("over", "rows") if isinstance(rows, Mapping) else "rows"
    # Own models answer for the same rows as the common one: of these two either may be the better.
    plain = f"test_{figure}" if figure.startswith(PERSONAL) else figure
    plain = plain.replace(PERSONAL, "", 1)
    return Kind(
        task=str(figures.get("task", "")),
        figure=plain,
        over=str(over),
        classes=tuple(map(str, classes)) if isinstance(classes, list | tuple) else (),
        is_smaller_better=is_smaller_better(plain),
    )


def rows_of(figures: Figures, figure: str) -> object:
    """Of whom `figure` is, as a file says: own models beside a common one may be of fewer clients."""
    key = "validated_on" if "val_" in figure else "tested_on"
    own = figures.get(f"{PERSONAL}{key}") if PERSONAL in figure else None
    return figures.get(key) if own is None else own


def is_same_rows(one: Population | None, other: Population | None) -> bool:
    """Whether two figures are of the same rows, as far as what was summed over them tells.

    What two runs of an earlier version have not written down is taken for the same.
    """
    return (one is None and other is None) or is_same_population(one, other)


def rows_text(rows: Population) -> str:
    """Of whom a figure is, in words: 1,200 rows of 20 clients."""
    whose = f"{rows.clients} client{'' if rows.clients == 1 else 's'}"
    of = whose if rows.rows is None else f"{rows.rows:,} rows of {whose}"
    if rows.target_mean is None or rows.target_sd is None:
        return of
    mean, deviation = number_texts([rows.target_mean, rows.target_sd])
    return f"{of}, whose target is {mean} ± {deviation}"
