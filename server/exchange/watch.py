"""What looks wrong in sums and models that a member could have made, and honest ones hardly do.

`calyx-secagg/1` §13, C3: warnings, not refusals. A member within all ranges can wreck a model; nobody can
tell who of a sum it was, and a person should look. It remembers since this server was started.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from calyx.model.weights import Weights
from calyx.vector.contribution import Aggregate

JUMP = 4.0  # times the median norm of the last steps
STEPS = 5  # of which the median is taken
LOSS_NATS, LOSS_FACTOR = 0.5, 2.0  # by which a validation loss rises from one round to the next
NEAR, MANY = 0.9, 0.01  # of ±clip, and of all coordinates
ONE_WAY, ENOUGH = 0.03, 100  # of clip, the median of so many coordinates (honest: 0.01 at most)
MORE = 10  # times as many rows are judged as were trained on
Names = Sequence[str]


@dataclass
class Watch:
    """What came before: lengths of steps, the last validation loss, rows by who was in a sum."""

    norms: deque[float] = field(default_factory=lambda: deque(maxlen=STEPS))
    loss: float | None = None
    totals: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)  # by `_set_of`
    trained: dict[int, int] = field(default_factory=dict)  # rows, where all of them count
    capped: set[tuple[int, int]] = field(default_factory=set)  # how many of how many, as was said

    def of_training(self, names: Names, total: Aggregate, clip: float) -> list[str]:
        """Sentences about the sum of a training over the clients `names`."""
        sentences = self._constant("training rows", names, (total.weight,))
        if "capped" in total.counts and not any(total.counts["capped"]):
            self.trained[_set_of(names)] = total.weight
        number, near, above, below = 0, 0, 0, 0
        for mean in total.update.values():
            number += mean.size
            near += sum(_count_beyond(NEAR * clip, mean))
            up, down = _count_beyond(ONE_WAY * clip, mean)
            above, below = above + up, below + down
        if near > MANY * number:
            sentences.append(
                f"{near} of {number} coordinates of its mean update are near ±privacy.clip={clip:g}: hardly "
                "any honest client's are"
            )
        # Half of all coordinates lie beyond what their median lies beyond; only then it is worth a sort.
        is_possible = number >= ENOUGH and 2 * max(above, below) >= number
        way = _median(total.update.values()) if is_possible else 0.0
        if abs(way) > ONE_WAY * clip:
            sentences.append(
                f"half of the {number} coordinates of its mean update move by {way:+.2g} or more: a "
                f"client that sends {np.sign(way) * clip:+g} everywhere does that"
            )
        return sentences

    def of_evaluation(self, part: str, names: Names, total: Aggregate) -> list[str]:
        """Sentences about the sum of an evaluation on the clients' validation or test rows (`part`)."""
        counts: Mapping[str, Iterable[int]] = total.counts
        if "rows" not in counts or any(counts["untrained"]):
            return []  # confidential, or of those only who have a model of their own by now
        rows = tuple(int(n) for n in (*counts["rows"], *counts.get("labels", ())))
        sentences = self._constant(f"{part} rows and their labels", names, rows)
        trained = self.trained.get(_set_of(names))
        if trained is not None and rows[0] > MORE * trained:
            sentences.append(
                f"{rows[0]} {part} rows are counted, and the same clients train on {trained}"
            )
        return sentences

    def of_step(self, before: Weights, after: Weights) -> list[str]:
        """Sentences about the step from one round's model to the next."""
        step = [np.subtract(after[name], before[name], dtype=np.float64) for name in after]
        norm = float(np.sqrt(sum(float(np.square(part, out=part).sum()) for part in step)))
        usual = median(self.norms) if len(self.norms) == STEPS else None
        self.norms.append(norm)
        if usual is None or norm <= JUMP * usual:
            return []
        return [f"the model moved by {norm:.3g}, and by {usual:.3g} in the rounds before"]

    def of_loss(self, loss: float | None) -> list[str]:
        """Sentences about a round's validation loss."""
        before, self.loss = self.loss, loss if loss is not None else self.loss
        if before is None or loss is None:
            return []
        if loss - before <= LOSS_NATS or loss <= LOSS_FACTOR * before:
            return []
        return [f"the validation loss rose from {before:.3g} to {loss:.3g}"]

    def _constant(self, what: str, names: Names, now: tuple[int, ...]) -> list[str]:
        key = (what, _set_of(names))
        if self.totals.setdefault(key, now) == now:
            return []
        return [f"the {what} of the same {len(names)} clients are others than before"]


def _set_of(names: Names) -> int:
    """These clients in whatever order; a number, since there may be another cohort each round."""
    return hash(frozenset(names))


def _count_beyond(bound: float, mean: NDArray[np.float64]) -> tuple[int, int]:
    """Coordinates above `bound`, and below −`bound`."""
    return int(np.count_nonzero(mean > bound)), int(np.count_nonzero(mean < -bound))


def _median(means: Iterable[NDArray[np.float64]]) -> float:
    """Of all coordinates."""
    return float(np.median(np.concatenate([mean.reshape(-1) for mean in means])))
