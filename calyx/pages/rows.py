"""What the lines and files of a run folder hold, typed; a reader's view, so unknown keys pass."""

from typing import Annotated, Literal

from pydantic import AliasChoices, ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]


def _either(*names: str) -> AliasChoices:
    return AliasChoices(*names)


Score = Annotated[float, Field(ge=-1e300, le=1)]
"""Accuracy of a classifier, or R² of a regression, which has no lower end; drawings begin at 0."""
Spread = Annotated[float, Field(ge=0, le=1e300)]
Loss = Annotated[float, Field(ge=-1e300, le=1e300)]  # so that differences of two stay finite
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Severity = Literal["info", "warning", "error"]
Models = Literal["common", "own", "both"]
"""Of whom a run's figures are: all of one model; test_* of the clients' own models; test_* of one
model and personal_* of the clients' own. Own models are judged each on its client's own rows."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class Round:
    """One line of `rounds.jsonl`."""

    round: Count
    train_loss: Loss | None
    val_loss: Loss | None
    val_accuracy: Score | None = Field(validation_alias=_either("val_accuracy", "val_r2"))
    val_rmse: Loss | None = None  # of a regression, in its target's own unit
    val_personal_loss: Loss | None = None  # of clients' own models, and so on
    val_personal_rmse: Loss | None = None
    val_personal_accuracy: Score | None = Field(
        None, validation_alias=_either("val_personal_accuracy", "val_personal_r2")
    )
    cohort: tuple[str, ...]
    replies: Count
    dropped: tuple[str, ...]
    bytes_up: Count
    bytes_down: Count
    seconds: Seconds
    best_round: Count | None = None  # so far; null where none is called best


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class Split:
    """How many rows a client has in each part."""

    train: Count
    validation: Count
    test: Count

    @property
    def total(self) -> int:
        """All rows of the client."""
        return self.train + self.validation + self.test


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class DataRow:
    """What a simulated client's data look like."""

    kind: Literal["data"]
    client: str
    rows: Split
    label_counts: tuple[Count, ...]


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TrainRow:
    """A client's local training in one round."""

    kind: Literal["train"]
    round: Count
    client: str
    train_loss: Loss | None
    val_loss: Loss | None


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class EvaluateRow:
    """The round's model on one client's validation rows."""

    kind: Literal["evaluate"]
    round: Count
    client: str
    val_loss: Loss | None
    val_accuracy: Score | None = Field(validation_alias=_either("val_accuracy", "val_r2"))


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TestRow:
    """The best model on one client's own test rows."""

    __test__ = False  # not a class of tests, whatever pytest makes of its name
    kind: Literal["test"]
    round: Count
    client: str
    test_loss: Loss | None
    test_accuracy: Score | None = Field(validation_alias=_either("test_accuracy", "test_r2"))
    personal: Score | None = Field(
        None, validation_alias=_either("test_personal_accuracy", "test_personal_r2")
    )


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class CvRow:
    """A fold's model on rows of one client that it has not seen."""

    kind: Literal["cv"]
    client: str
    fold: Count
    test_accuracy: Score | None = Field(validation_alias=_either("test_accuracy", "test_r2"))


ClientRow = Annotated[
    DataRow | TrainRow | EvaluateRow | TestRow | CvRow, Field(discriminator="kind")
]


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class Event:
    """One line of `events.jsonl`."""

    time: str
    event: str
    severity: Severity
    message: str
    round: Count | None = None
    client: str | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Baselines:
    """Scores to compare with. The first five are on the union of all test parts.

    The others are on each client's own test part, all rows together: `personal` of the clients' own
    federated models, `local_own` of those trained alone, `pooled_own` of one model; all three over
    the same clients, which are those that have a model of their own.
    """

    local_mean: Score | None = None
    local_worst: Score | None = None
    federated: Score | None = None
    pooled: Score | None = None
    local: dict[str, Score | None] = Field(default_factory=dict)
    personal: Score | None = None
    local_own: Score | None = None
    pooled_own: Score | None = None
    own_rows: Count | None = None
    own_clients: Count | None = None
    local_own_by_client: dict[str, Score | None] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CrossValidation:
    """Of a run with `cv.k`; `folds` are scores where they are known."""

    k: Count | Literal["clients"]
    mean: Score | None
    sd: Spread | None
    folds: tuple[Score | None, ...] | None = None
    clients: tuple[str, ...] = ()
    scored: Count | None = None  # folds, or clients, that the mean is over
    unscored: Count = 0  # those of which the score cannot be told
    absent: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Missing:
    """A client that was not in the sums of every round that it was asked in."""

    took_part: Count
    asked: Annotated[int, Field(ge=1, lt=2**63)]
    why: str


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Summary:
    """`summary.json`; a figure that a run did not measure is null or absent.

    An audit has `phases` in place of a strategy and rounds.
    """

    task: str
    strategy: str = ""
    seed: Count
    rounds: Count = 0
    stopped_because: str
    phases: tuple[str, ...] = ()
    cv: CrossValidation | None = None
    test_client_mean: Score | None = None
    test_client_sd: Spread | None = None
    test_client_worst_decile: Score | None = None
    test_calibration_error: Share | None = None
    test_calibration_error_margin: Share | None = None  # None in runs of before
    test_confusion: tuple[tuple[Count, ...], ...] | None = None  # [K, K], true class by said one
    best_round: Count | None = None  # null where none is called best; see `absent`
    released_round: Count | None = None
    absent: dict[str, str] = Field(default_factory=dict)  # why a figure is null, by its name
    absentees: dict[str, Missing] = Field(default_factory=dict)  # clients that missed rounds
    best_val_loss: Loss | None = None
    best_val_accuracy: Score | None = Field(
        None, validation_alias=_either("best_val_accuracy", "best_val_r2")
    )
    test_loss: Loss | None = None
    test_majority: Share | None = None
    personal_majority: Share | None = None
    test_accuracy: Score | None = Field(None, validation_alias=_either("test_accuracy", "test_r2"))
    personal: Score | None = Field(
        None, validation_alias=_either("personal_accuracy", "personal_r2")
    )
    preprocessing: str | None = None  # what was used, where the config leaves the choice to the run
    preprocessing_why: str | None = (
        None  # in a sentence, where it is not what would be chosen first
    )
    models: Models = "common"
    metric: Literal["accuracy", "r2"] = "accuracy"
    num_clients: Count | None = None
    capped_clients: Count | None = None
    w_max: Count | None = None
    device: str | None = None
    baselines: Baselines | None = None
    model_sha256: str | None = None
    privacy: str | None = None
    engine: str | None = None
    bytes_up: Count | None = None
    bytes_down: Count | None = None
    seconds: Seconds | None = None
    versions: dict[str, str | None] = Field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for an accuracy below 0: only an R² has no lower end."""
        if self.metric == "accuracy" and any(score < 0 for score in self._scores()):
            raise ValueError("an accuracy is below 0")

    def _scores(self) -> list[float]:
        values: list[object] = [self.test_client_mean, self.test_client_worst_decile]
        values += [self.best_val_accuracy, self.test_accuracy, self.personal]
        if self.cv is not None:
            values += [self.cv.mean, *(self.cv.folds or ())]
        for one in vars(self.baselines).values() if self.baselines else ():
            values += one.values() if isinstance(one, dict) else [one]
        return [value for value in values if isinstance(value, float)]
