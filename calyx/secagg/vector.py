"""A client's contribution as one vector, and a sum of vectors as one mean. `calyx-secagg/1`, "Vector".

Layout: [e | z of all tensors | metrics · e | counts], residues modulo 2^M, where e is the client's
weight in examples and z = e/w_max · clip(update). Only sums of these vectors are ever decoded.

Shapes: D elements, P parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calyx.secagg.quantise import (
    FixedPoint,
    Residues,
    decode_unsigned,
    dequantise,
    encode_unsigned,
    quantise,
)

METRIC_MAX = 2**32 - 1  # steps that a metric's range is divided into
COUNT_MAX = 2**24 - 1  # rows that one client may count in one cell

Update = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Metric:
    """A real number in [low, high], averaged over clients by their weight; cut to its range."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Count:
    """`size` non-negative integers, summed over clients; each at most `maximum` (< 2^55) a client."""

    name: str
    size: int
    maximum: int = COUNT_MAX


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
        return sum(int(np.prod(shape)) for _, shape in self.tensors)

    @cached_property
    def ends(self) -> tuple[int, int, int, int]:
        """Ends of the four parts e, z, metrics and counts; the last is D."""
        e = self.fixed.limbs(self.w_max)
        z = e + self.parameters
        metrics = z + len(self.metrics) * self.fixed.limbs(METRIC_MAX * self.w_max)
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
    counts: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Aggregate:
    """What a sum over clients says. `weight` is Σe; `update` the weighted mean, float64."""

    weight: int
    update: dict[str, NDArray[np.float64]]
    metrics: dict[str, float]
    counts: dict[str, NDArray[np.int64]]


def encode(part: Contribution, layout: Layout, dither: NDArray[np.float32]) -> Residues:
    """The vector [D] of one client; `dither` [P] is public, uniform in [0, 1).

    Raises ValueError for an update that is not finite or not of the layout's shapes, and for
    counts out of range.
    """
    e = min(part.num_examples, layout.w_max)
    shapes = tuple((name, tensor.shape) for name, tensor in part.update.items())
    if shapes != layout.tensors:
        raise ValueError("the update's tensors are not those of the model")
    flat = [tensor.reshape(-1) for tensor in part.update.values()]
    x = np.concatenate(flat) if flat else np.zeros(0, dtype=np.float32)
    metrics = np.array(
        [_steps(m, part.metrics[m.name]) * e for m in layout.metrics], dtype=np.uint64
    )
    counts = [(part.counts[c.name].reshape(-1).astype(np.uint64), c) for c in layout.counts]
    return np.concatenate(
        [
            encode_unsigned(np.array([e], dtype=np.uint64), layout.w_max, layout.fixed),
            quantise(x, e / layout.w_max, dither, layout.fixed),
            encode_unsigned(metrics, METRIC_MAX * layout.w_max, layout.fixed),
            *[encode_unsigned(count, c.maximum, layout.fixed) for count, c in counts],
        ]
    )


def _steps(metric: Metric, value: float) -> int:
    if not np.isfinite(value):
        raise ValueError(f"the metric {metric.name} is not finite")
    share = (min(max(value, metric.low), metric.high) - metric.low) / (metric.high - metric.low)
    return round(share * METRIC_MAX)


def decode(total: Residues, clients: int, layout: Layout) -> Aggregate:
    """The aggregate of a sum [D] over `clients` vectors; mean = Σz/Σe · w_max.

    Raises ValueError for a sum that honest clients cannot have made: Σe = 0 or above
    clients·w_max, a metric outside its range, a count above its maximum.
    """
    e_end, z_end, m_end, _ = layout.ends
    weight = decode_unsigned(total[:e_end], layout.w_max, layout.fixed)[0]
    if not 0 < weight <= clients * layout.w_max:
        raise ValueError(f"the sum of weights is {weight}, outside 1 … {clients * layout.w_max}")
    z = dequantise(total[e_end:z_end], layout.fixed)
    sums = decode_unsigned(total[z_end:m_end], METRIC_MAX * layout.w_max, layout.fixed)
    metrics = {m.name: _value(m, s, weight) for m, s in zip(layout.metrics, sums, strict=True)}
    return Aggregate(
        weight=weight,
        update=_split(z * (layout.w_max / weight), layout),
        metrics=metrics,
        counts=_counts(total[m_end:], clients, layout),
    )


def _value(metric: Metric, total: int, weight: int) -> float:
    if total > METRIC_MAX * weight:
        raise ValueError(f"the sum of the metric {metric.name} is outside its range")
    return metric.low + total / (METRIC_MAX * weight) * (metric.high - metric.low)


def _split(mean: NDArray[np.float64], layout: Layout) -> dict[str, NDArray[np.float64]]:
    update, start = {}, 0
    for name, shape in layout.tensors:
        end = start + int(np.prod(shape))
        update[name] = mean[start:end].reshape(shape)
        start = end
    return update


def _counts(total: Residues, clients: int, layout: Layout) -> dict[str, NDArray[np.int64]]:
    counts, start = {}, 0
    for count in layout.counts:
        end = start + count.size * layout.fixed.limbs(count.maximum)
        values = decode_unsigned(total[start:end], count.maximum, layout.fixed)
        if values and max(values) > clients * count.maximum:
            raise ValueError(f"a count of {count.name} is above its maximum")
        counts[count.name] = np.array(values, dtype=np.int64)
        start = end
    return counts
