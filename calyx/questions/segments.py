"""The vector that answers a question, segment by segment, and the rules that its sum obeys.

Server and clients derive both from the same order. Which segments a question has is said in its own
file; here is what they are made of.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from calyx.errors import ConfigError
from calyx.model.metrics import Over
from calyx.model.weights import Shapes
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Terms
from calyx.secagg.encoding import hash_of
from calyx.secagg.rules import Rules
from calyx.tasks.task import Task
from calyx.vector.contribution import Count, Layout, Metric
from calyx.vector.weighing import UNKNOWN_W_MAX, check_w_max

PRG_KEY_BYTES = {"aes-128": 16, "aes-256": 32}


@dataclass(frozen=True)
class Segments:
    """The vector of an exchange: what a training adds up, then evaluations, or else counts."""

    train: Layout | None = None
    evaluations: tuple[Layout, ...] = ()  # several where a question is of several models
    counts: Layout | None = None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Those that are there, in the order in which they stand in the vector."""
        every = (self.train, *self.evaluations, self.counts)
        return tuple(one for one in every if one is not None)

    @property
    def length(self) -> int:
        """Elements of the whole vector."""
        return sum(layout.length for layout in self.layouts)


@dataclass(frozen=True)
class Contents:
    """What the clients of a run add up, whatever the exchange."""

    task: Task
    tensors: Shapes = ()  # that are sent, in the order of the vector
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


@dataclass(frozen=True)
class Inquiry:
    """A question in the terms of a run: what its segments follow from, beside the question itself."""

    contents: Contents
    privacy: PrivacyConfig
    terms: Terms
    is_validated: bool = False  # a training that also validates the weights that it begins with


def weigh(contents: Contents, terms: Terms) -> Contents:
    """With the weight that the task names, or else the terms. Raises ConfigError where these differ."""
    own, theirs = contents.task.w_max, terms.w_max
    if own is not None and theirs not in (None, own):
        raise ConfigError(f"The order weighs clients by w_max={theirs}, and its task by {own}.")
    try:
        check_w_max(theirs)
    except ValueError as error:
        raise ConfigError(f"The order cannot be used: {error}.") from None
    return replace(contents, w_max=own or theirs or UNKNOWN_W_MAX)


def count_alike(privacy: PrivacyConfig, counts: Iterable[Count]) -> Layout:
    """A segment of counts, in which every client weighs the same.

    Its Σe is the number of clients, so that one of nobody's rows is a sum like others.
    """
    return Layout(privacy.fixed_point(), 1, (), (), tuple(counts))


def over_of(privacy: PrivacyConfig) -> Over:
    """What figures are means over: clients where all weigh the same, and rows are confidential."""
    return "rows" if privacy.weighting == "examples" else "clients"


def rules_of(
    privacy: PrivacyConfig, segments: Segments, roster: int, groups: int, size: int
) -> Rules:
    """The rules of the sum of one of `groups` groups, which has `size` clients; `roster` is everybody."""
    first = segments.layouts[0]
    return Rules(
        n_min=privacy.n_min,
        h_min=privacy.h_min,
        colluders=privacy.colluders(roster, size),
        n_max=privacy.n_max,
        modulus_bits=privacy.bits,
        bits=first.fixed.bits,
        length=segments.length,
        layout=hash_of("layout", *[repr(layout) for layout in segments.layouts]),
        clip=privacy.clip,
        mask_key_bytes=PRG_KEY_BYTES[privacy.prg],
        w_max=first.w_max,
        groups=groups,
    )
