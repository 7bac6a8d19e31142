"""hits: of how many test rows the model of a round names the class. A question of another package."""

from collections.abc import Mapping

import numpy as np
import torch

from calyx.questions.question import Basis, Question
from calyx.questions.segments import Contents, Inquiry, Segments, count_alike
from calyx.vector.contribution import Cells, Count
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """The rows, and those of which the model names the class."""
    return Segments(counts=count_alike(inquiry.privacy, [Count("rows", 1), Count("hits", 1)]))


def count_hits(basis: Basis) -> Mapping[str, Cells]:
    """Both of one client."""
    with torch.no_grad():
        classes = basis.model(torch.tensor(basis.part.x)).argmax(1).numpy()
    return {
        "rows": np.array([len(basis.part.y)]),
        "hits": np.array([(classes == basis.part.y).sum()]),
    }


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """The share of hits."""
    return Figures({"accuracy": float(counts["hits"][0] / counts["rows"][0])})


QUESTION = Question(
    kind="hits",
    message_type="query.hits",
    shown="counting hits",
    noun="counting of hits",
    model="after",
    part="test",
    answer=count_hits,
    counted="scores",
    segments=segments,
    say=say,
)
