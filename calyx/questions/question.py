"""What a server may ask of clients, as one object that both sides read. See decision 0064.

A question is one file: its module makes a `Question`, and an entry point of the group
`calyx.questions`, whose name is the question's kind, names it. Whoever installs no such package can
neither ask it nor answer it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from calyx.data.schema import Part, Schema, Table
from calyx.questions.segments import Contents, Inquiry, Segments
from calyx.run.order import KIND
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures

if TYPE_CHECKING:
    from torch import nn

# Which model an order brings: the one that its round begins with, its round's, those of all folds
# of a cross-validation, or none.
AboutModel = Literal["before", "after", "folds", "none"]
# Which rows of a client it is about.
RowsPart = Literal["train", "validation", "test", "all"]
# What the ledger counts (docs/secagg.md §10): trainings go forward (A6); no more models are evaluated
# than were trained (A7); scores are taken once for each number of `rounds` (A8); what is of no model,
# once a version of the rows (A10).
Counted = Literal["trainings", "evaluations", "scores", "versions"]
# As Flower dispatches them: what has no action has the action `default`.
_MESSAGE = re.compile(r"(train|evaluate|query)(\.(?!default$)[a-z][a-z0-9_]*)?")
# Doors that every client has beside those of questions (calyx/wire/messages.py).
_TAKEN = re.compile(r"query\.(name|share|mask|consent|reveal|abandon)")


@dataclass(frozen=True)
class Basis:
    """What a client answers from: its rows of the question's part, and the model that it is asked of."""

    schema: Schema
    table: Table  # before preprocessing
    part: Part | None  # after it; None where the question is of no model
    model: "nn.Module | None"  # on `part`'s task, in evaluation mode; None likewise
    min_cell: int  # rows that a cell stands for at least, by the site's policy


Count = Callable[[Basis], Mapping[str, Cells]]  # cells by the names of the segment `counts`
# What a client computes: one of the answers that `client.learning` has, or a pure function of its
# rows and the model, whose counts are the segment `counts`.
# `withstand` judges on rows that are moved against the model, as the terms say.
# `combine` judges several models, each alone and all together.
Own = Literal["learn", "judge", "withstand", "combine", "measure"]
Answer = Own | Count
Say = Callable[[Contents, Mapping[str, Cells]], Figures]


@dataclass(frozen=True)
class Question:
    """A question to the clients of a cohort, which each of them answers by one vector."""

    kind: str  # in orders, ledgers and journals; the name of its entry point
    message_type: str  # of Flower's message that carries an order of it
    shown: str  # on a screen, while clients work on it
    noun: str  # of one order in a sentence: "the training of round 3"
    model: AboutModel
    part: RowsPart
    answer: Answer
    counted: Counted
    segments: Callable[[Inquiry], Segments]
    # The figures of a sum's counts. None: a training's sum makes a model, which is a strategy's to
    # do, and statistics are read by `calyx.findings`.
    say: Say | None = None
    follows: str = ""  # the kind of a question that must have come before, of the very same models

    def __post_init__(self) -> None:
        """Raise ValueError for a question that no client could answer, or its ledger not count."""
        if re.fullmatch(KIND, self.kind) is None:
            raise ValueError(f"the kind {self.kind!r} is no word of small letters")
        if _MESSAGE.fullmatch(self.message_type) is None:
            raise ValueError(f"{self.message_type!r} is no type of Flower's messages")
        if _TAKEN.fullmatch(self.message_type):
            raise ValueError(
                f"{self.message_type!r} is a stage's type of message, and no question's"
            )
        self._check_words()
        if (self.counted == "versions") != (self.model == "none"):
            raise ValueError(
                "of no model are questions that are counted by versions, and no others"
            )
        is_training = {self.answer == "learn", self.model == "before", self.counted == "trainings"}
        if len(is_training) > 1:
            raise ValueError("what learns begins with the model before, and is counted as training")
        if self.answer in ("judge", "withstand", "combine") and self.part not in (
            "validation",
            "test",
        ):
            raise ValueError("a model is judged on the validation or the test rows")
        if self.answer == "combine" and self.model != "folds":
            raise ValueError("what is combined are the models of folds")
        if self.model == "folds" and self.answer not in ("judge", "combine"):
            raise ValueError(
                "the models of folds are judged, each on the rows that it has not seen"
            )
        if self.counted == "evaluations" and self.model != "after":
            raise ValueError("evaluations are of the model of a round")

    def _check_words(self) -> None:
        """Raise ValueError for a value that is none of its field's, which no checker of types has seen."""
        for field, kind in (("model", AboutModel), ("part", RowsPart), ("counted", Counted)):
            value, allowed = getattr(self, field), get_args(kind)
            if value not in allowed:
                raise ValueError(f"{field} is {value!r:.80}, which is none of {', '.join(allowed)}")
        own = get_args(Own)
        if not callable(self.answer) and self.answer not in own:
            words = ", ".join(own)
            raise ValueError(
                f"answer is {self.answer!r:.80}, which is no function and none of {words}"
            )
        if not callable(self.segments):
            raise ValueError(f"segments is {self.segments!r:.80}, and no function")
        if not (self.say is None or callable(self.say)):
            raise ValueError(f"say is {self.say!r:.80}, and no function")

    @property
    def trains(self) -> bool:
        """Whether its sum makes a new model."""
        return self.answer == "learn"

    @property
    def is_of_round(self) -> bool:
        """Whether it is of one model, which has a number in its run."""
        return self.model in ("before", "after")

    @property
    def names_sums(self) -> bool:
        """Whether its orders name the sums that made the model (A3, A4)."""
        return self.counted in ("trainings", "evaluations")

    @property
    def needs_version(self) -> bool:
        """Whether the ledger keeps the version of the rows that it was answered from (A10)."""
        return self.model in ("folds", "none")

    def number(self, round: int) -> int | None:
        """Of the model that an order of `round` is about; None where it is not of one model."""
        return round - (self.model == "before") if self.is_of_round else None
