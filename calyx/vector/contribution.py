"""A client's contribution as one vector, and a sum of vectors as one mean. `calyx-secagg/1`, "Vector".

Layout: [e | z of all tensors | metrics · e | counts], residues modulo 2^M, where e is the client's
weight in examples and z = e/w_max · clip(update). Only sums of these vectors are ever decoded.

Metrics and counts are exact whatever their size: each has as many limbs as its greatest value needs.
Shapes: D elements, P parameters.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from calyx.vector.exact import FLOAT_STEPS, steps
from calyx.vector.quantise import (
    CHUNK,
    FixedPoint,
    Residues,
    decode_unsigned,
    encode_unsigned,
    quantise,
    signed,
)

COUNT_MAX = 2**24 - 1  # rows that one client may count in one cell
_NARROW = 2**53  # a client's counts below it are int64, and so are their sums

Update = Mapping[str, NDArray[np.float32]]
Cells = NDArray[Any]  # [size] int64, or Python's integers (dtype object) of a wide count


@dataclass(frozen=True)
class Metric:
    """A real number in [low, high], averaged over clients by their weight, to 2^-149 a client."""

    name: str
    low: float
    high: float

    @cached_property
    def maximum(self) -> int:
        """The greatest value above `low`, in steps of 2^-149."""
        return steps(Fraction(self.high) - Fraction(self.low), FLOAT_STEPS)

    def steps_of(self, value: float) -> int:
        """`value` above `low`, in steps. Raises ValueError outside the range: nothing is cut."""
        if not self.low <= value <= self.high:  # nor is NaN
            raise ValueError(f"the metric {self.name} is {value}, outside {self.low} … {self.high}")
        return steps(Fraction(value) - Fraction(self.low), FLOAT_STEPS)

    def mean_of(self, total: int, weight: int) -> float:
        """The mean of a sum of weighted steps. Raises ValueError where no such sum can be."""
        if total > self.maximum * weight:
            raise ValueError(f"the sum of the metric {self.name} is outside its range")
        return float(Fraction(self.low) + Fraction(total, weight << FLOAT_STEPS))


@dataclass(frozen=True)
class Count:
    """`size` non-negative integers, summed over clients; each at most `maximum` a client."""

    name: str
    size: int
    maximum: int = COUNT_MAX

    @property
    def is_wide(self) -> bool:
        """Whether its cells are Python's integers, since int64 would not hold their sums."""
        return self.maximum >= _NARROW


def make_zeros(counts: Iterable[Count]) -> dict[str, Cells]:
    """Zeros in the cells of these counts, by name: what a client adds that has nothing to count."""
    return {count.name: np.zeros(count.size, dtype=object) for count in counts}


@dataclass(frozen=True)
class Layout:
    """What stands where in the vector; server and client derive it from the same order.

    `tensors` are (name, shape) in order; `w_max` bounds a client's weight.
    """

    fixed: FixedPoint
    w_max: int
    tensors: tuple[tuple[str, tuple[int, ...]], ...]
    metrics: tuple[Metric, ...]
    counts: tuple[Count, ...]

    @property
    def parameters(self) -> int:
        """P, the number of elements of all tensors."""
        return sum(math.prod(shape) for _, shape in self.tensors)

    @cached_property
    def ends(self) -> tuple[int, int, int, int]:
        """Ends of the four parts e, z, metrics and counts; the last is D."""
        e = self.fixed.limbs(self.w_max)
        z = e + self.parameters
        metrics = z + sum(self.fixed.limbs(m.maximum * self.w_max) for m in self.metrics)
        return (
            e,
            z,
            metrics,
            metrics + sum(c.size * self.fixed.limbs(c.maximum) for c in self.counts),
        )

    @property
    def length(self) -> int:
        """D."""
        return self.ends[-1]


@dataclass(frozen=True)
class Contribution:
    """What one client adds: its rows, its update (none when it only evaluates), metrics and counts."""

    num_examples: int
    update: Update
    metrics: Mapping[str, float]
    counts: Mapping[str, Cells]


@dataclass(frozen=True)
class Aggregate:
    """What a sum over clients says. `weight` is Σe; `update` the weighted mean, float64."""

    weight: int
    update: Mapping[str, NDArray[np.float64]]
    metrics: dict[str, float]
    counts: dict[str, Cells]


def encode(
    part: Contribution, layout: Layout, dither: NDArray[np.float32], out: Residues | None = None
) -> Residues:
    """The vector [D] of one client, in `out` where there is one; `dither` [P] is public, uniform in [0, 1).

    Raises ValueError for an update that is not finite or not of the layout's shapes, and for
    counts out of range.
    """
    e = min(part.num_examples, layout.w_max)
    shapes = tuple((name, tensor.shape) for name, tensor in part.update.items())
    if shapes != layout.tensors:
        raise ValueError("the update's tensors are not those of the model")
    fixed, (e_end, z_end, _, end) = layout.fixed, layout.ends
    vector = np.empty(end, dtype=np.uint32) if out is None else out
    vector[:e_end] = encode_unsigned(np.array([e]), layout.w_max, fixed)
    if part.update:
        x = np.concatenate([tensor.reshape(-1) for tensor in part.update.values()])
        quantise(x, e / layout.w_max, dither, fixed, vector[e_end:z_end])
    limbs = []
    for m in layout.metrics:
        total = np.array([m.steps_of(part.metrics[m.name]) * e], dtype=object)
        limbs.append(encode_unsigned(total, m.maximum * layout.w_max, fixed))
    limbs += [
        encode_unsigned(part.counts[c.name].reshape(-1), c.maximum, fixed) for c in layout.counts
    ]
    if limbs:
        np.concatenate(limbs, out=vector[z_end:])
    return vector


def decode(total: Residues, clients: int, layout: Layout, margin: int = 0) -> Aggregate:
    """The aggregate of a sum [D] over `clients` vectors; mean = Σz/Σe · w_max.

    Raises ValueError for a sum that honest clients cannot have made: Σe below 1 or above w_max a
    client, a coordinate beyond what their weights allow (§13, C1; `margin` steps more are left for
    noise), a metric outside its range, a count above its maximum.
    """
    e_end, z_end, m_end, _ = layout.ends
    weight = decode_unsigned(total[:e_end], layout.w_max, layout.fixed)[0]
    if not clients <= weight <= clients * layout.w_max:
        raise ValueError(
            f"the sum of weights is {weight}, outside {clients} … {clients * layout.w_max}"
        )
    means = _Means(total[e_end:z_end], layout, layout.w_max / weight)
    _check_coordinates(means.most_steps(), (weight, clients + margin), layout)
    metrics = _metrics(total[z_end:m_end], weight, layout)
    return Aggregate(
        weight=weight,
        update=means,
        metrics=metrics,
        counts=_counts(total[m_end:], clients, layout),
    )


class _Means(Mapping[str, NDArray[np.float64]]):
    """Weighted means by tensor, of a sum [P]. A tensor is decoded when it is asked for, and not kept:

    of many groups' sums, only what is looked at takes the room of float64.
    """

    def __init__(self, total: Residues, layout: Layout, factor: float) -> None:
        """A mean is a sum's steps · Δ · `factor`."""
        self._total, self._fixed, self._factor = total, layout.fixed, factor
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}
        start = 0
        for name, shape in layout.tensors:
            self._places[name] = start, shape
            start += math.prod(shape)

    @override
    def __getitem__(self, name: str) -> NDArray[np.float64]:
        start, shape = self._places[name]
        mean = np.empty(math.prod(shape))
        for at in range(0, len(mean), CHUNK):
            part = mean[at : at + CHUNK]
            steps_of_part = self._total[start + at : start + at + len(part)]
            np.multiply(signed(steps_of_part, self._fixed), self._fixed.step, out=part)
            part *= self._factor
        return mean.reshape(shape)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    @override
    def __len__(self) -> int:
        return len(self._places)

    def most_steps(self) -> int:
        """Of a coordinate, up or down."""
        most = 0
        for at in range(0, len(self._total), CHUNK):
            q = signed(self._total[at : at + CHUNK], self._fixed)
            most = max(most, int(q.max()), -int(q.min()))
        return most


def _check_coordinates(largest: int, room: tuple[int, int], layout: Layout) -> None:
    """|Σq_j| ≤ clip·Σe/(w_max·Δ)·(1 + 2^-23) + one step a client, for the `largest` |Σq_j|.

    A client's |z| is at most float32(e/w_max · clip), which the factor bounds: without it honest sums
    fail where b > 25. Its rounding adds less than a step.
    """
    weight, steps_more = room
    fixed = layout.fixed
    exact = Fraction(fixed.clip) * weight / (layout.w_max * Fraction(fixed.step))
    most = int(exact * (1 + Fraction(1, 2**23))) + steps_more
    if largest > most:
        raise ValueError(
            f"a coordinate of the sum has {largest} steps, and honest clients of this weight have {most} "
            "at most: a member sent what no honest client can"
        )


def _metrics(total: Residues, weight: int, layout: Layout) -> dict[str, float]:
    metrics, start = {}, 0
    for metric in layout.metrics:
        maximum = metric.maximum * layout.w_max
        end = start + layout.fixed.limbs(maximum)
        value = decode_unsigned(total[start:end], maximum, layout.fixed)[0]
        metrics[metric.name] = metric.mean_of(value, weight)
        start = end
    return metrics


def _counts(total: Residues, clients: int, layout: Layout) -> dict[str, Cells]:
    counts, start = {}, 0
    for count in layout.counts:
        end = start + count.size * layout.fixed.limbs(count.maximum)
        values = decode_unsigned(total[start:end], count.maximum, layout.fixed)
        if values and max(values) > clients * count.maximum:
            raise ValueError(f"a count of {count.name} is above its maximum")
        counts[count.name] = np.array(values, dtype=object if count.is_wide else np.int64)
        start = end
    return counts
