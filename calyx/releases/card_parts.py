"""What the parts of a release's card say: each a frozen row of JSON, read strictly.

A figure that is not told is null, and `absent` says why. Names are the schema's, and so a stranger's text.
Shapes: K classes, J categories.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from calyx.config.section import NonNegativeInt, PositiveInt, Section, config
from calyx.data.schema import Kind, Unknown
from calyx.findings.finding import Severity
from calyx.releases.baseline import Finite

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Reasons = dict[str, str]  # why something is absent, by its name: a clause without a full stop


def check_absent(values: dict[str, object], absent: Reasons) -> None:
    """Raise ValueError unless exactly what is None has a reason."""
    for name, value in values.items():
        if (value is None) != (name in absent):
            raise ValueError(f"{name} has {'no ' if value is None else 'a value and a '}reason")
    if strange := absent.keys() - values.keys():
        raise ValueError(f"{min(strange)} has a reason, and there is nothing of that name")


@config
class Identity:
    """Which release it is, of the chain of that name."""

    name: str
    version: PositiveInt
    parent: Sha256 | None  # of the manifest.json of the release before; None of a chain's first


@config
class CategoryPart:
    """One category: its code in rows, and what a person calls it."""

    code: Finite
    word: str


@config
class ColumnPart:
    """One input, as callers send it."""

    name: str
    kind: Kind
    unit: str = ""
    low: Finite | None = None  # ends included; None is unbounded
    high: Finite | None = None
    categories: tuple[CategoryPart, ...] = ()
    missing_codes: tuple[Finite, ...] = ()
    may_be_missing: bool = False
    unknown: Unknown = "other"  # what an undeclared category is


@config
class TargetPart:
    """What a regression predicts."""

    name: str
    center: Finite
    scale: Finite
    low: Finite | None = None
    high: Finite | None = None


@config
class SchemaPart:
    """What goes in and what comes out: K classes, or a target."""

    columns: tuple[ColumnPart, ...]
    classes: tuple[str, ...] = ()
    target: TargetPart | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where there are classes and a target, or neither."""
        if bool(self.classes) == (self.target is not None):
            raise ValueError("a schema has classes or a target")


@config
class PackagePart:
    """The distribution that a task of somebody else is in."""

    distribution: str
    version: str
    modules: tuple[str, ...]  # its packages in imports, whose files are hashed
    sha256: Sha256  # over names and hashes of all its files, as calyx/trust/measured.py takes it


@config
class TaskPart:
    """What the model does, and whose code reads its rows and makes its network."""

    name: str
    metric: Literal["accuracy", "r2"]
    package: PackagePart | None = None  # None: Calyx's own


@config
class ModelPart:
    """The model's file, and how it was trained."""

    sha256: Sha256  # of model.safetensors
    parameters: PositiveInt  # numbers in its tensors
    whose: Literal["common", "client"]  # of all clients, or fitted for one of them
    client: str | None = None  # its name, where whose is client
    strategy: str
    preprocessing: Section  # what is done to a row before the network sees it, without constants
    training: Section  # epochs, lr, rounds …
    rounds: NonNegativeInt
    released_round: NonNegativeInt | None
    seed: NonNegativeInt
    stopped_because: str
    left_out: NonNegativeInt = 0  # clients that are not in it, because their rows changed


@config
class RowsPart:
    """Whose rows figures are of; numbers of rows may be confidential."""

    over: Literal["rows", "clients"]  # what a figure is a mean over
    clients: NonNegativeInt  # that have rows in it
    asked: NonNegativeInt
    rows: NonNegativeInt | None
    labels: tuple[Finite, ...] = ()  # rows of each class, or mean shares where over is clients
    target_mean: Finite | None = None
    target_sd: Finite | None = None


@config
class FiguresPart:
    """Figures of models on rows, by the names of summary.json; a null one has its reason."""

    of: str  # of which model, and on whose rows, in words
    figures: dict[str, Finite | None]  # accuracy, loss, client_mean, calibration_error …
    absent: Reasons
    rows: RowsPart | None  # None where it is not told
    score: str | None = None  # the one by which the model is compared, as far as it is among them

    def __post_init__(self) -> None:
        """Raise ValueError where a figure is null without a reason, or has both."""
        check_absent(dict(self.figures), self.absent)
        if self.score is not None and self.score not in self.figures:
            raise ValueError(f"the score {self.score} is not among the figures")


@config
class FindingPart:
    """One sentence of the audit."""

    check: str
    severity: Severity
    column: str | None
    message: str
    advice: str


@config
class AuditPart:
    """What the audit of the training's rows found, over all sites."""

    sites: NonNegativeInt
    rows: NonNegativeInt | None
    by_severity: dict[Severity, NonNegativeInt]
    findings: tuple[FindingPart, ...]  # the gravest first


@config
class PrivacyPart:
    """How updates were summed, and what that promises."""

    mode: Literal["secagg", "none"]
    guarantee: tuple[str, ...]  # in sentences
    not_protected: tuple[str, ...]  # what it does not give, in sentences
    clients: NonNegativeInt | None  # that might take part; never who
    sums: NonNegativeInt | None  # a round
    epsilon: Finite | None = None  # of differential privacy; None: there is none
    delta: Finite | None = None


@config
class LockPart:
    """The packages that were installed where it was released, and one hash over them."""

    sha256: Sha256  # over the lines NAME==VERSION, sorted
    packages: dict[str, str]  # name, normalised → version


@config
class Conformal:
    """Test rows by how their true answer scores, in cells from the best score to the worst.

    Prediction sets and intervals of any coverage follow from it: see calyx/model/conformal.py. A cell holds
    the scores between the end before it and its own, which is its worst score.
    """

    score: Literal[
        "probability", "absolute_error"
    ]  # of the true class; in units of the target's scale
    ends: tuple[Finite, ...]  # [S], or [S - 1] where the last cell has none, as of errors
    counts: tuple[NonNegativeInt, ...]  # [S] rows

    def __post_init__(self) -> None:
        """Raise ValueError for cells that are not in order, or of no rows."""
        steps = list(zip(self.ends, self.ends[1:], strict=False))
        is_probability = self.score == "probability"
        if not all(a > b if is_probability else a < b for a, b in steps):
            raise ValueError("the ends of conformal cells are not in order")
        if len(self.counts) != len(self.ends) + (not is_probability) or not sum(self.counts):
            raise ValueError("there are other counts than conformal cells, or no rows in them")
        if any(not 0 <= end <= 1 for end in self.ends if is_probability) or min(self.ends) < 0:
            raise ValueError("an end of a conformal cell is no score")
        if is_probability and self.ends[-1] != 0:
            raise ValueError("the last conformal cell ends above probability 0")


@config
class Ensemble:
    """What combining models gained on everybody's test rows."""

    combine: Literal["mean", "vote"]
    members: tuple[Sha256, ...]  # hashes of the models' files
    figures: FiguresPart  # score, best_member, mean_member, gain


@config
class Robust:
    """Accuracy on rows that an attacker moved by at most epsilon, of the scaled inputs."""

    attack: str  # fgsm, pgd
    epsilon: Finite
    steps: PositiveInt
    figures: FiguresPart  # robust_accuracy, accuracy


@config
class OnnxPart:
    """The same model as model.onnx, and how far its outputs were off before it was written."""

    sha256: Sha256
    opset: PositiveInt
    rows: PositiveInt  # compared, drawn from the schema's ranges
    tolerance: Finite  # most that an output may differ
    greatest: Finite  # most that one did
