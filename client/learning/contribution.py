"""The last step of an answer: bound → quantise → one vector; it is masked in stage 2 of the protocol.

No other code makes vectors, whatever the question (decision 0065). Pure.

Shapes: D elements of a vector, P parameters.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calyx.model.metrics import CAPPED, CLIPPED
from calyx.privacy.section import PrivacyConfig
from calyx.seeding import rng
from calyx.vector.contribution import Contribution, Layout, encode
from calyx.vector.quantise import Residues
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.gate.assignment import Assignment

Answer = tuple[Contribution, ...]  # one for each segment of the vector, in their order


def contribute(assignments: Sequence[Assignment], answers: Sequence[Answer]) -> list[Residues]:
    """Encode each client's answer as its vector [D].

    Raises ClientFailure for an update that is not finite, and ValueError for counts without a model that
    are outside their range.
    """
    return [_contribute(*pair) for pair in zip(assignments, answers, strict=True)]


def _contribute(assignment: Assignment, answer: Answer) -> Residues:
    order, privacy = assignment.order, assignment.sections.privacy
    # Public by design: rounding hides nothing, and all engines must round alike.
    dither = rng(order.terms.seed, f"dither-{order.kind}", order.round, assignment.site.name)
    try:
        return np.concatenate(
            [
                encode(
                    bound(part, segment, privacy),
                    segment,
                    dither.random(segment.parameters, dtype=np.float32),
                )
                for part, segment in zip(answer, assignment.segments.layouts, strict=True)
            ]
        )
    except ValueError as error:
        if assignment.model is None:
            raise
        raise ClientFailure(FailureCode.NON_FINITE_UPDATE, str(error)) from None


def bound(part: Contribution, segment: Layout, privacy: PrivacyConfig) -> Contribution:
    """Count what the segment will cut of a contribution; a segment without such counts cuts nothing.

    It cuts coordinates beyond ±clip, which are added to those that the strategy has cut itself, and
    the weight of a client that has more than `w_max` rows.
    """
    if CAPPED not in segment.counts:
        return part
    beyond = sum(int((np.abs(v) > segment.fixed.clip).sum()) for v in part.update.values())
    cut = {
        CLIPPED.name: part.counts[CLIPPED.name] + beyond,
        CAPPED.name: np.array([int(privacy.is_capped(part.num_examples, segment.w_max))]),
    }
    return replace(part, counts={**part.counts, **cut})
