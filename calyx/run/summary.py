"""`summary.json`: what a run came to, and what of it is kept elsewhere before, in checkpoints and folds."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from calyx.model.combining import Combine
from calyx.model.populations import Population
from calyx.run.json_rows import entries, optional, row
from calyx.run.rows import (
    Absent,
    Count,
    Figures,
    Models,
    Names,
    Number,
    Score,
    Scores,
    Seconds,
    Spread,
    Whose,
    score_of,
    whose_of,
)

_Confusion = tuple[tuple[Count, ...], ...] | None  # [K, K], true class by said one


@row
class ModelTest:
    """What a test on everybody's test rows came to; kept in checkpoints, and part of a summary."""

    # test_loss, test_accuracy …; test_client_mean, _sd and _worst_decile over clients; test_majority;
    # of a classifier test_calibration_error and its _margin. personal_* of models beside the common one.
    figures: Figures = entries("test_", "personal_")
    test_confusion: _Confusion = optional()
    # Rows by how the true answer scores, in the cells of `calyx.model.conformal`; null with its reason.
    test_conformal: tuple[Count, ...] | None = optional()
    test_clients_scored: Count
    test_clients_unscored: Count  # that have no test rows, or no model
    tested_on: Whose = entries("tested_on", "personal_tested_on")
    absent: Absent


@row
class BaselineScores:
    """Scores to compare with. The first four are on the union of all test parts.

    The others are on each client's own test part, all rows together: `personal` of the clients' own
    federated models, `local_own` of those trained alone, `pooled_own` of one model; all three over
    the same clients, which are those that have a model of their own.
    """

    local_mean: Score | None = None
    local_worst: Score | None = None
    federated: Score | None = None
    pooled: Score | None = None
    local_own: Score | None = None
    pooled_own: Score | None = None
    personal: Score | None = optional()
    own_clients: Count | None = None
    own_rows: Count | None = None  # null where numbers of rows are confidential
    local: Scores = field(default_factory=dict)  # each alone, on the union of all test parts
    local_own_by_client: Scores = field(default_factory=dict)
    absent: Absent = field(default_factory=dict)


@row
class EnsembleTest:
    """What the folds' models came to together, on test rows that none of them has trained on."""

    combine: Combine
    figures: Figures  # score, best_member, mean_member, gain (over the best) and gain_over_mean
    tested_on: Population | None  # whose rows
    models: tuple[str, ...] = ()  # SHA-256 of each member's file, folds/0/model.safetensors …
    absent: Absent = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for other figures than these five, or one without value and reason."""
        if set(self.figures) != {"score", "best_member", "mean_member", "gain", "gain_over_mean"}:
            raise ValueError("a combination has other figures than a run writes")
        if {name for name, value in self.figures.items() if value is None} != set(self.absent):
            raise ValueError("a figure that is not told needs a reason, and no other has one")


@row
class CrossValidation:
    """`folds/cv.json`, and `cv` of a summary: the scores of models on rows that they have not seen."""

    k: Count | Literal["clients"]
    metric: Literal["accuracy", "r2"] = "accuracy"
    mean: Score | None
    sd: Spread | None
    all_rows: Score | None = optional()  # of k=clients: over rows, not over clients
    clients: Names = optional(tuple)  # who is left out of each fold, where k=clients
    folds: tuple[Score | None, ...] | None = None
    scored: Count | None = None  # folds, or clients, that the mean is over
    unscored: Count = 0  # those of which the score cannot be told
    absent: Absent = field(default_factory=dict)
    ensemble: EnsembleTest | None = optional()  # with cv.combine
    capped_clients: Count | None = optional()  # as a round's; most of any fold
    rounds: Count | None = optional()  # in cv.json only: of each fold's training
    models: str | None = optional()  # in cv.json only: SHA-256 of the folds' models


@row
class Absentee:
    """A client that was not in the sums of every round that it was asked in."""

    took_part: Count  # rounds
    asked: Annotated[int, Field(ge=1, lt=2**63)]  # rounds
    why: str  # the last time


@row
class LeftOut:
    """A client that is out of the rest of a run, because its rows have changed."""

    client: str
    since_round: Annotated[int, Field(ge=1)]  # the first without it
    why: str  # what is different about its rows


@row
class Summary:
    """`summary.json` of a finished run. Of an audit's, which is an `AuditSummary`, this is a view."""

    task: str
    strategy: str = ""
    seed: Count
    stopped_because: str  # a clause
    rounds: Count = 0
    monitor: str = ""  # the figure of a validation by which the best round is chosen
    mode: str = ""  # "min" or "max"
    objective: str | None = None  # by which runs are compared
    best_round: Count | None = None
    released_round: Count | None = None
    best: Figures = entries("best_val_")
    validated_on: Whose = entries("validated_on", "personal_validated_on")  # the best round's
    final_train_loss: Number | None = None
    capped_clients: Count | None = None  # most in one round
    final: Figures = entries("final_val_")  # of the last round
    bytes_up: Count | None = None  # of all rounds
    bytes_down: Count | None = None
    seconds: Seconds | None = None
    tested: Figures = entries("test_", "personal_")  # as in `ModelTest`
    test_confusion: _Confusion = optional()
    test_conformal: tuple[Count, ...] | None = optional()  # as in `ModelTest`
    test_clients_scored: Count | None = None
    test_clients_unscored: Count | None = None
    tested_on: Whose = entries("tested_on", "personal_tested_on")
    num_clients: Count | None = None  # that might take part
    left_out_changed: tuple[LeftOut, ...] = ()
    classes: Names = ()  # none of a regression
    metric: Literal["accuracy", "r2"] = "accuracy"
    models: Models = "common"
    model_sha256: str | None = None  # of model.safetensors
    privacy: str | None = None  # names of sections, as the next and `engine`
    preprocessing: str | None = None  # that was used: the config may leave the choice to the run
    training: dict[str, Any] | None = None  # how it was trained: epochs, lr, rounds, patience …
    w_max: Count | None = None  # the most rows that a client counts as
    engine: str | None = None
    run: str | None = None  # Calyx's own id
    versions: Mapping[str, str | None] = field(default_factory=dict)
    cv: CrossValidation | None = None
    baselines: BaselineScores | None = None  # of a simulation
    absent: Absent = field(default_factory=dict)
    # Why it is not the one that would be chosen first.
    preprocessing_why: str | None = optional()
    absentees: dict[str, Absentee] = optional(dict)
    phases: Names = optional(tuple)  # of an audit's

    def __post_init__(self) -> None:
        """Raise ValueError for an accuracy below 0: only an R² has no lower end."""
        if self.metric == "accuracy" and any(score < 0 for score in self._scores()):
            raise ValueError("an accuracy is below 0")

    @property
    def figures(self) -> dict[str, float | None]:
        """All figures of models, by their names in the file."""
        return self.best | self.final | self.tested

    def figure(self, name: str) -> float | None:
        """A figure of a model by its name in the file, or `rounds` or `seconds`; None if it is not told."""
        costs = {"rounds": self.rounds, "seconds": self.seconds}
        return (self.figures | costs).get(name)

    def whose(self, figure: str) -> Population | None:
        """Of whom a figure is; None where that is not known."""
        return whose_of(self.validated_on | self.tested_on, figure)

    @property
    def testers(self) -> str:
        """Whose test rows the test's figures are of: of those whom `census_size` left, or everybody's."""
        of = self.tested_on.get("tested_on")
        if of is None or self.num_clients is None or of.asked >= self.num_clients:
            return "everybody's"
        return f"{of.asked} of {self.num_clients} clients'"

    def score(self, whose: str = "test_") -> float | None:
        """Accuracy or R² on everybody's test rows; of models beside the common one with `personal_`."""
        return score_of(self.tested, whose)

    def _scores(self) -> list[float]:
        names = ("accuracy", "client_mean", "worst_decile")
        values: list[object] = [v for name, v in self.figures.items() if name.endswith(names)]
        if self.cv is not None:
            values += [self.cv.mean, *(self.cv.folds or ())]
        for one in vars(self.baselines).values() if self.baselines else ():
            values += one.values() if isinstance(one, dict) else [one]
        return [value for value in values if isinstance(value, float)]


@row
class AuditSummary:
    """`summary.json` of a run that trains nothing."""

    task: str
    seed: Count
    phases: Names
    num_clients: Count
    engine: str
    privacy: str
    run: str
    stopped_because: str
    findings: dict[str, Count]  # by severity
    absent: Absent = field(default_factory=dict)
    versions: dict[str, str]
