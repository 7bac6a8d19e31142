"""The last step of an answer: bound → quantise → one vector; it is masked in stage 2 of the protocol.

No other code makes vectors, whatever the question (decision 0065). Pure.

Shapes: D elements of a vector, P parameters.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calyx.machine.spans import span
from calyx.model.metrics import CAPPED, CLIPPED
from calyx.privacy.section import PrivacyConfig
from calyx.seeding import rng
from calyx.vector.contribution import Contribution, Layout, encode
from calyx.vector.quantise import Residues, draw_dither
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.gate.assignment import Assignment

Answer = tuple[Contribution, ...]  # one for each segment of the vector, in their order


def contribute(assignments: Sequence[Assignment], answers: Sequence[Answer]) -> list[Residues]:
    """Encode each client's answer as its vector [D].

    Raises ClientFailure for an update that is not finite, and ValueError for counts without a model that
    are outside their range.
    """
    with span("encode"):
        return [_contribute(*pair) for pair in zip(assignments, answers, strict=True)]


def _contribute(assignment: Assignment, answer: Answer) -> Residues:
    order, privacy = assignment.order, assignment.sections.privacy
    # Public by design: rounding hides nothing, and all engines must round alike.
    dither = rng(order.terms.seed, f"dither-{order.kind}", order.round, assignment.site.name)
    vector, start = np.empty(assignment.segments.length, dtype=np.uint32), 0
    try:
        for part, segment in zip(answer, assignment.segments.layouts, strict=True):
            out, start = vector[start : start + segment.length], start + segment.length
            drawn = draw_dither(dither, segment.parameters)
            encode(bound(part, segment, privacy), segment, drawn, out)
    except ValueError as error:
        if assignment.model is None:
            raise
        raise ClientFailure(FailureCode.NON_FINITE_UPDATE, str(error)) from None
    return vector


def bound(part: Contribution, segment: Layout, privacy: PrivacyConfig) -> Contribution:
    """Count what the segment will cut of a contribution; a segment without such counts cuts nothing.

    It cuts coordinates beyond ±clip, which are added to those that the strategy has cut itself, and
    the weight of a client that has more than `w_max` rows.
    """
    if CAPPED not in segment.counts:
        return part
    beyond = sum(_count_beyond(array, segment.fixed.clip) for array in part.update.values())
    cut = {
        CLIPPED.name: part.counts[CLIPPED.name] + beyond,
        CAPPED.name: np.array([int(privacy.is_capped(part.num_examples, segment.w_max))]),
    }
    return replace(part, counts={**part.counts, **cut})


def _count_beyond(array: NDArray[np.float32], clip: float) -> int:
    """How many coordinates are beyond ±clip; mostly none, which two readings show."""
    if array.size == 0 or (array.max() <= clip and array.min() >= -clip):
        return 0
    return int((np.abs(array) > clip).sum())
