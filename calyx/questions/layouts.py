"""Which vector a client sends, and which rules its sum obeys: derived alike on both sides."""

from dataclasses import dataclass, replace
from typing import Literal

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.model.details import detail_terms
from calyx.model.metrics import CAPPED, CLIPPED, LOSS, PERSONAL, Over, evaluation_terms
from calyx.model.spread import spread_terms
from calyx.model.weights import Shapes
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Cv, Kind, Terms
from calyx.secagg.encoding import hash_of
from calyx.secagg.rules import Rules
from calyx.survey.blocks import ALL, TRAIN, StatisticsConfig, Survey, fold_name
from calyx.tasks.task import Task
from calyx.vector.contribution import Layout, Metric
from calyx.vector.weighing import UNKNOWN_W_MAX, check_w_max

PRG_KEY_BYTES = {"aes-128": 16, "aes-256": 32}


@dataclass(frozen=True)
class Parts:
    """The vector of an exchange: what a training adds up, then evaluations, or else statistics."""

    train: Layout | None = None
    evaluations: tuple[Layout, ...] = ()  # several of a cross-validation: one a fold
    statistics: Layout | None = None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Those that are there, in the order in which they stand in the vector."""
        parts = (self.train, *self.evaluations, self.statistics)
        return tuple(part for part in parts if part is not None)

    @property
    def length(self) -> int:
        """Elements of the whole vector."""
        return sum(layout.length for layout in self.layouts)


@dataclass(frozen=True)
class Contents:
    """What the clients of a run add up, whatever the exchange."""

    task: Task
    tensors: Shapes  # that are sent, in the order of the vector
    metrics: tuple[Metric, ...] = ()  # of a training, beside its loss
    has_personal: bool = False  # whether each client evaluates a model of its own, too
    is_localised: bool = False  # whether each client's evaluation is of the model as it has it
    w_max: int = UNKNOWN_W_MAX  # largest weight of a client, in training rows

    @property
    def models(self) -> Literal["common", "own", "both"]:
        """Of whom figures are: one model; each client's own; one model, and each client's own."""
        if self.is_localised:
            return "own"
        return "both" if self.has_personal else "common"


def weighed(contents: Contents, terms: Terms) -> Contents:
    """With the weight that the task names, or else the terms. Raises ConfigError where these differ."""
    own, theirs = contents.task.w_max, terms.w_max
    if own is not None and theirs not in (None, own):
        raise ConfigError(f"The order weighs clients by w_max={theirs}, and its task by {own}.")
    try:
        check_w_max(theirs)
    except ValueError as error:
        raise ConfigError(f"The order cannot be used: {error}.") from None
    return replace(contents, w_max=own or theirs or UNKNOWN_W_MAX)


def parts_of(
    kind: Kind, is_validated: bool, privacy: PrivacyConfig, contents: Contents, cv: Cv | None = None
) -> Parts:
    """Training sends the update, its loss and what was cut; evaluation counts.

    What was cut are coordinates of the update, and the rows of a client that has more than `w_max`.

    With `is_validated`, a training also sends what an evaluation of its incoming weights would.
    In an evaluation Σe is the number of clients, so that one of nobody's rows is a sum like others.
    """
    fixed, task, over = privacy.fixed_point(), contents.task, over_of(privacy)
    counts = evaluation_terms(task.schema, over)
    if contents.has_personal:
        counts += evaluation_terms(task.schema, over, PERSONAL)
    if kind in ("test", "cv"):
        counts += spread_terms(task.schema)
    if kind == "test":
        counts += detail_terms(task.schema, over)
    evaluation = Layout(fixed, 1, (), (), counts)
    if kind != "train":
        folds = cv.k if kind == "cv" and cv is not None and isinstance(cv.k, int) else 1
        return Parts(evaluations=(evaluation,) * folds)
    sent = (LOSS, *contents.metrics)
    train = Layout(fixed, privacy.w_max(contents.w_max), contents.tensors, sent, (CLIPPED, CAPPED))
    return Parts(train, (evaluation,) if is_validated else ())


def over_of(privacy: PrivacyConfig) -> Over:
    """What figures are means over: clients where all weigh the same, and rows are confidential."""
    return "rows" if privacy.weighting == "examples" else "clients"


def statistics_parts(privacy: PrivacyConfig, survey: Survey) -> Parts:
    """Statistics are counts, and every client weighs the same."""
    layout = Layout(privacy.fixed_point(), 1, (), (), survey.counts())
    return Parts(statistics=layout)


def survey_of(task: Task, terms: Terms) -> Survey:
    """What the clients of a run measure of their rows: all of them, and those that models see.

    The folds are in the same vector, since a client gives statistics once. How many rows the clients
    train on is asked where their weights follow from it.
    """
    weighting = parse(PrivacyConfig, terms.privacy, "privacy").weighting
    is_weighed = task.w_max is None and weighting == "examples"
    bins = parse(StatisticsConfig, terms.statistics, "statistics").bins
    folds = terms.cv.k if terms.cv is not None and isinstance(terms.cv.k, int) else 0
    return Survey(task.schema, bins, (ALL, TRAIN, *map(fold_name, range(folds))), is_weighed)


def rules_of(privacy: PrivacyConfig, parts: Parts, roster: int, groups: tuple[int, int]) -> Rules:
    """The rules of one group's sum; `groups` is how many there are, and how many clients it has."""
    count, size = groups
    first = parts.layouts[0]
    return Rules(
        n_min=privacy.n_min,
        h_min=privacy.h_min,
        colluders=privacy.colluders(roster, size),
        n_max=privacy.n_max,
        modulus_bits=privacy.bits,
        bits=first.fixed.bits,
        length=parts.length,
        layout=hash_of("layout", *[repr(layout) for layout in parts.layouts]),
        clip=privacy.clip,
        mask_key_bytes=PRG_KEY_BYTES[privacy.prg],
        w_max=first.w_max,
        groups=count,
    )
