"""What models are judged by: counts and exact sums over rows, which add up over clients.

A classifier is judged by its loss and the rows that it gets right, a regression by four sums. Nothing is
rounded, bounded or divided before all clients are in the sum, so that a figure is that of the pooled
rows. A regression works on the target in units of its scale; its figures, but for the loss, are in the
target's own unit.

With `privacy.weighting=equal` numbers of rows are confidential: each client adds the means of its own
rows, and a figure is one over clients.

Shapes: K classes.

See docs/decisions/0028.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np

from calyx.data.schema import Schema
from calyx.vector.contribution import Cells, Count, Metric, make_zeros
from calyx.vector.exact import (
    FLOAT_MAX,
    FLOAT_STEPS,
    SQUARE_MAX,
    SQUARE_STEPS,
    round_to,
    scatter_of,
    to_cell,
    told,
)
from calyx.vector.figures import IMPOSSIBLE, Figures, none_of

Over = Literal["rows", "clients"]  # what a figure is a mean over

# Mean loss of a training: cross-entropy in nats, or squared error in units of the target's scale.
LOSS = Metric("loss", 0.0, 2.0**129)  # twice the greatest float32, in which it is computed
CLIPPED = Count("clipped", 1)  # coordinates of an update that were cut to ±clip
CAPPED = Count("capped", 1, 1)  # clients that count as fewer training rows than they have
ROWS_MAX = 2**40  # of one client
SHARE_STEPS = 30  # a share 0 … 1 is sent in steps of 2^-30: in finer ones it would tell of how many
PERSONAL = "personal_"  # how the names begin of what a client's own model is judged by
ROBUST = "robust_"  # and of what a model is judged by on rows that are moved against it
_UPWARDS, _DOWNWARDS = {"loss", "square_error"}, {"absolute_error"}  # how sums are rounded

Counts = Mapping[str, Cells]
Monitor = Literal[  # a figure of a round's validation
    "val_loss",
    "val_accuracy",
    "val_r2",
    "val_rmse",
    "val_mae",
    "val_personal_loss",
    "val_personal_accuracy",
    "val_personal_r2",
    "val_personal_rmse",
    "val_personal_mae",
]
Mode = Literal["min", "max"]  # what is better of a figure: the smaller value, or the larger


def evaluation_terms(schema: Schema, over: Over, prefix: str = "") -> tuple[Count, ...]:
    """What an evaluation of one model sends, each name with `prefix`."""
    return _terms(len(schema.classes), schema.target is not None, over, prefix)


@cache  # a client needs them several times a round
def _terms(classes: int, is_regression: bool, over: Over, prefix: str) -> tuple[Count, ...]:
    rows = ROWS_MAX if over == "rows" else 1
    terms = [
        Count("clients", 1, 1),  # that have rows
        Count("untrained", 1, 1),  # clients that have no such model, and whose rows do not count
        Count(
            "not_finite", 1, rows
        ),  # rows without a finite output, or clients that have such rows
    ]
    if over == "rows":
        terms.append(Count("rows", 1, ROWS_MAX))
    if is_regression:
        terms += [
            Count("square_error", 1, SQUARE_MAX * rows),
            Count("absolute_error", 1, FLOAT_MAX * rows),
            Count("target", 2, FLOAT_MAX * rows),  # its positive and its negative part
            Count("target_square", 1, SQUARE_MAX * rows),
        ]
    else:
        share = ROWS_MAX if over == "rows" else 1 << SHARE_STEPS
        terms += [
            Count("loss", 1, FLOAT_MAX * rows),
            Count("labels", classes, share),
            Count("hits", 1, share),  # rows whose class was predicted
        ]
    return tuple(Count(f"{prefix}{t.name}", t.size, t.maximum) for t in terms)


def metric_name(schema: Schema) -> Literal["accuracy", "r2"]:
    """The figure by which models of a task are compared; larger is better."""
    return "accuracy" if schema.target is None else "r2"


def figure_names(schema: Schema) -> tuple[str, ...]:
    """All figures of an evaluation."""
    return ("loss", "accuracy") if schema.target is None else ("loss", "r2", "rmse", "mae")


@dataclass(frozen=True)
class Evaluation:
    """A model on one client's rows: exact sums, by the names of `evaluation_terms`.

    Those of losses and errors are over the rows with a finite output; the others over all.
    """

    num_examples: int
    not_finite: int  # rows whose output, or target, is beyond a float32
    sums: dict[str, Cells]
    beside: dict[str, Cells] = field(
        default_factory=dict
    )  # of a test: `detail_terms`, `conformal_terms`

    @property
    def loss(self) -> float | None:
        """The mean loss; None where it cannot be told."""
        if self.num_examples == 0 or self.not_finite:
            return None
        if "loss" in self.sums:
            return _mean(self.sums["loss"][0], self.num_examples, FLOAT_STEPS)
        return _mean(self.sums["square_error"][0], self.num_examples, SQUARE_STEPS)

    @property
    def score(self) -> float | None:
        """Accuracy, or R²; None where it cannot be told."""
        if self.num_examples == 0 or self.not_finite:
            return None
        if "loss" in self.sums:
            return int(self.sums["hits"][0]) / self.num_examples
        return _r2(self.sums, self.num_examples)


def better_is(monitor: str) -> Mode:
    """Whether the smaller or the larger of two values of this figure is the better one."""
    return "max" if monitor.endswith(("_accuracy", "_r2")) else "min"


def counts_of(
    evaluation: Evaluation | None, schema: Schema, over: Over, prefix: str = ""
) -> dict[str, Cells]:
    """One client's counts of `evaluation_terms`; None is a client that has no such model."""
    terms = evaluation_terms(schema, over)
    counts = make_zeros(terms)
    if evaluation is None:
        counts["untrained"][0] = 1
    else:
        rows, bad = evaluation.num_examples, evaluation.not_finite
        counts["clients"][0] = int(rows > 0)
        counts["not_finite"][0] = bad if over == "rows" else int(bad > 0)
        if over == "rows":
            counts |= _round_sums(evaluation.sums, rows) | {"rows": np.array([rows], dtype=object)}
        elif rows > bad:
            counts |= _means(evaluation.sums, rows, rows - bad)
    return {f"{prefix}{t.name}": counts[t.name] for t in terms}


def _round_sums(sums: Counts, rows: int) -> dict[str, Cells]:
    """Round a client's sums: mean and deviation of its targets to 2^-40 of that deviation.

    Sums of squares are rounded up, and sums of absolute errors down, so that some rows can have them.
    """
    rounded = dict(sums)
    for name in _UPWARDS | _DOWNWARDS:
        if name in sums:
            size = told(int(sums[name][0]), is_up=name in _UPWARDS)
            rounded[name] = np.array([size], dtype=object)
    if "target" in sums:
        total = int(sums["target"][0]) - int(sums["target"][1])
        total, square = scatter_of(rows, total, int(sums["target_square"][0])).sums
        rounded["target"] = np.array(to_cell(total), dtype=object)
        rounded["target_square"] = np.array([square], dtype=object)
    return rounded


def _means(sums: Counts, rows: int, good: int) -> dict[str, Cells]:
    """The means over a client's own rows, rounded; those of errors over its `good` rows.

    They are rounded after the division: the digits of an exact mean tell the number of rows.
    """

    def mean(name: str, over: int, steps: int = 0) -> Cells:
        means = [round(Fraction(int(v) << steps, over)) for v in sums[name]]
        return np.array(means, dtype=object)

    if "loss" in sums:
        shares = {"labels": mean("labels", rows, SHARE_STEPS)}
        shares["hits"] = mean("hits", good, SHARE_STEPS)
        return _round_sums({"loss": mean("loss", good)}, 1) | shares
    errors = _round_sums({n: mean(n, good) for n in ("square_error", "absolute_error")}, 1)
    total = int(sums["target"][0]) - int(sums["target"][1])
    known = scatter_of(rows, total, int(sums["target_square"][0]))
    deviation = math.isqrt(known.scatter // rows)
    center = round_to(Fraction(total, rows), deviation)
    square = center**2 + told(known.scatter // rows, is_up=True)
    targets = {"target": to_cell(center), "target_square": (square,)}
    return errors | {name: np.array(cells, dtype=object) for name, cells in targets.items()}


def figures(
    schema: Schema, counts: Counts, prefix: str = "", empty: str = "there are no rows"
) -> Figures:
    """What is reported of an evaluation, by name without `prefix`.

    Each is a mean over rows, or over clients where `counts` has no rows. `empty` is the reason why
    nothing is told where there are none.
    """
    own = {k.removeprefix(prefix): v for k, v in counts.items() if k.startswith(prefix)}
    is_rows = "rows" in own
    n, word = int(own["rows" if is_rows else "clients"][0]), "row" if is_rows else "client"
    if n == 0:
        untrained = int(own["untrained"][0])
        reason = "no client has trained a model of its own" if untrained else empty
        return none_of(figure_names(schema), reason)
    if bad := int(own["not_finite"][0]):
        what = "an output" if is_rows else "rows with an output"
        reason = f"{bad} of {n} {word}s {'has' if bad == 1 else 'have'} {what} that is not finite"
        return none_of(figure_names(schema), reason)
    if not _is_possible(own, n):
        return none_of(figure_names(schema), IMPOSSIBLE)
    if schema.target is None:
        loss = _mean(own["loss"][0], n, FLOAT_STEPS)
        accuracy = _mean(own["hits"][0], n, 0 if is_rows else SHARE_STEPS)
        return _drop_infinite({"loss": loss, "accuracy": accuracy})
    return _of_regression(own, n, schema.target.scale, word)


def _is_possible(own: Counts, n: int) -> bool:
    """Whether rows, or means of clients' rows, can have these sums: no share is above 1."""
    if "hits" in own:
        whole, slack = (n, 0) if "rows" in own else (n << SHARE_STEPS, n * len(own["labels"]))
        labels = sum(int(v) for v in own["labels"])
        return int(own["hits"][0]) <= whole and abs(labels - whole) <= slack
    # Σe² ≥ (Σ|e|)² / n, and so of the target; means are rounded by half a step each.
    total = int(own["target"][0]) - int(own["target"][1])
    pairs = [("square_error", int(own["absolute_error"][0])), ("target_square", abs(total))]
    return all(n * (int(own[name][0]) + n) >= max(0, by - n) ** 2 for name, by in pairs)


def _of_regression(own: Counts, n: int, scale: float, word: str) -> Figures:
    loss = _mean(own["square_error"][0], n, SQUARE_STEPS)
    r2 = _r2(own, n)
    values = {
        "loss": loss,
        "r2": r2,
        "rmse": math.sqrt(loss) * scale,
        "mae": _mean(own["absolute_error"][0], n, FLOAT_STEPS) * scale,
    }
    if r2 is not None:
        return _drop_infinite(values)
    of_one = "a single row has no spread that R² could be measured by"
    of_all = "all targets are equal, so that there is no spread that R² could be measured by"
    return _drop_infinite(values, {"r2": of_one if n == 1 and word == "row" else of_all})


def _drop_infinite(
    values: dict[str, float | None], absent: dict[str, str] | None = None
) -> Figures:
    """The figures, without those that are beyond a float64: these are absent, with that reason."""
    reasons = dict(absent or {})
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            reasons[name] = "it is too large for a number of 64 bits"
    return Figures({k: None if k in reasons else v for k, v in values.items()}, reasons)


def _mean(total: Any, n: int, steps: int) -> float:  # noqa: ANN401 - an integer of any width
    return float(Fraction(int(total), n << steps))


def _r2(sums: Counts, n: int) -> float | None:
    """1 - Σe² / (Σt² - (Σt)²/n), in exact integers; None where all targets are equal."""
    total = int(sums["target"][0]) - int(sums["target"][1])
    spread = n * int(sums["target_square"][0]) - total**2
    if spread <= 0:  # below 0 by rounding of clients' means alone
        return None
    return float(1 - Fraction(n * int(sums["square_error"][0]), spread))
