"""The lines of a run folder's files, and of what their values are; `summary.json` is in `summary`.

Figures are named in the files as people ask for them, and by task and strategy: `val_accuracy`,
`val_personal_r2`. A figure that is null has its reason under `absent`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population, read_population
from calyx.run.json_rows import entries, optional, row
from calyx.words import digits

_AT_MOST_1 = (
    "accuracy",
    "r2",
    "client_mean",
    "worst_decile",
    "majority",
    "calibration_error",
    "error_margin",
)
_AT_LEAST_0 = ("client_sd", "majority", "calibration_error", "error_margin")


def _check_ranges(figures: dict[str, float | None]) -> dict[str, float | None]:
    for name, value in figures.items():
        if value is not None and value > 1 and name.endswith(_AT_MOST_1):
            raise ValueError(f"{name} is above 1")
        if value is not None and value < 0 and name.endswith(_AT_LEAST_0):
            raise ValueError(f"{name} is below 0")
    return figures


Count = Annotated[int, Field(ge=0, lt=2**63)]
Score = Annotated[float, Field(ge=-1e300, le=1)]
"""Accuracy of a classifier, or R² of a regression, which has no lower end; drawings begin at 0."""
Number = Annotated[float, Field(ge=-1e300, le=1e300)]  # so that differences of two stay finite
Spread = Annotated[float, Field(ge=0, le=1e300)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Names = tuple[str, ...]
Figures = Annotated[dict[str, Number | None], AfterValidator(_check_ranges)]
Scores = dict[str, Score | None]  # by client
Absent = dict[str, str]  # why a figure is null, by its name: a clause without a full stop
Whose = dict[str, Annotated[Population | None, PlainValidator(read_population)]]
"""Of whom figures are: of the common model, and under `personal_…` of models beside it. None where it is
damaged, or no such figure is told."""
Severity = Literal["info", "warning", "error"]
Models = Literal["common", "own", "both"]
"""Of whom a run's figures are: all of one model; test_* of the clients' own models; test_* of one
model and personal_* of the clients' own. Own models are judged each on its client's own rows."""


def whose_of(whose: Whose, name: str) -> Population | None:
    """Of whom the figure `name` is: own models beside a common one may be of fewer clients."""
    key = "validated_on" if "val_" in name else "tested_on"
    own = whose.get(f"{PERSONAL}{key}") if PERSONAL in name else None
    return own or whose.get(key)


def score_of(figures: Mapping[str, float | None], name: str) -> float | None:
    """The accuracy, or the R², whose name begins with `name`."""
    of_classes = figures.get(f"{name}accuracy")
    return figures.get(f"{name}r2") if of_classes is None else of_classes


@row
class RoundRow:
    """One line of `rounds.jsonl`. Figures are over the rows of the clients in the round's sums."""

    round: Count  # from 1
    train_loss: Number | None  # mean over rows, in units of the task's loss
    # val_loss; val_accuracy, or val_r2 and, in the target's own unit, val_rmse and val_mae; of clients'
    # own models val_personal_loss and so on. Empty while the model is not validated yet.
    figures: Figures = entries("val_")
    capped_clients: Count = 0  # that count as fewer rows than they have
    cohort: Names  # who was asked
    replies: Count  # clients in the sums
    dropped: Names  # who is in no sum, sorted
    bytes_up: Count  # clients to server, for training and validation
    bytes_down: Count
    seconds: Seconds
    absent: Absent = optional(dict)
    validated_on: Whose = entries("validated_on", "personal_validated_on")
    best_round: Count | None = None  # so far; null where none is called best

    def figure(self, name: str) -> float | None:
        """`train_loss` or a figure of the validation; None where it is not told."""
        return self.train_loss if name == "train_loss" else self.figures.get(name)

    def score(self, whose: str = "") -> float | None:
        """Accuracy or R² on validation rows; of clients' own models with `personal_`."""
        return score_of(self.figures, f"val_{whose}")


@row
class Split:
    """How many rows a client has in each part."""

    train: Count
    validation: Count
    test: Count


@row
class ClientRow:
    """One line of `clients.jsonl`: what a simulation's observer saw of one client; absent elsewhere."""

    kind: str  # "data" before round 1, or the kind of the question that was answered
    round: Count = 0
    client: str
    rows: Split | None = optional()  # of the kind "data", as the next
    label_counts: tuple[Count, ...] = optional(tuple)  # rows of each class, all parts
    fold: Count | None = optional()  # whose model is scored, from 0
    # train_loss; val_loss and so on as in a round's row; test_loss, test_accuracy or test_r2 …
    figures: Figures = entries("train_loss", "val_", "test_")
    absent: Absent = optional(dict)
    details: dict[str, Any] = entries("")  # whatever else
    seconds: Seconds = 0.0

    def score(self, name: str) -> float | None:
        """Accuracy or R², of which `name` says how the figure begins: val_, test_personal_ …"""
        return score_of(self.figures, name)


@row
class Event:
    """One line of `events.jsonl`."""

    time: str  # ISO 8601, UTC
    event: str  # its kind, such as "client-dropped"
    severity: Severity
    round: Count | None = None
    client: str | None = None
    details: dict[str, Any] = entries("")  # JSON values
    message: str  # one sentence


def make_event(
    event: str,
    severity: Severity,
    message: str,
    *,
    round: int | None = None,
    client: str | None = None,
    **details: Any,  # noqa: ANN401 - JSON values
) -> Event:
    """What has just happened; `details` are JSON values such as a reason."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Event(
        time=now,
        event=event,
        severity=severity,
        round=round,
        client=client,
        details=details,
        message=message,
    )


def round_line(row: RoundRow, rounds: int | None = None) -> str:
    """A round's figures for a terminal, of a run of so many `rounds`, where that is known."""
    names = ["train_loss", *row.figures]
    figures = "  ".join(f"{name} {figure_text(name, row.figure(name))}" for name in names)
    of = "" if rounds is None else f"/{rounds}"
    clients = f"clients {row.replies}/{len(row.cohort)}"
    return f"round {row.round}{of}  {figures}  {clients}  {row.seconds:.2f} s"


def figure_text(name: str, value: float | None) -> str:
    """A figure by its name: a score in four decimals at least, all else in four to six digits."""
    if value is None:
        return digits.ABSENT
    if name.endswith(("accuracy", "r2")):
        return digits.share(value, least=4)
    if abs(value) < 1:
        return digits.format_fixed(value, max(4, digits.decimals_of(value, 4)))
    return digits.format_fixed(value, min(4, digits.decimals_of(value, 6)))
