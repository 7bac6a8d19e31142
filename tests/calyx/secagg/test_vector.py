"""A contribution as a vector, and the mean that a sum of vectors says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.secagg.quantise import FixedPoint, add
from calyx.secagg.vector import Contribution, Count, Layout, Metric, decode, encode

FIXED = FixedPoint(modulus_bits=32, n_max=128, clip=1.0)
LAYOUT = Layout(
    fixed=FIXED,
    w_max=64,
    tensors=(("layer.weight", (2, 3)), ("layer.bias", (2,))),
    metrics=(Metric("loss", 0.0, 64.0),),
    counts=(Count("hits", 4),),
)


def contribution(rng, rows, scale=0.1):
    update = {
        name: (rng.standard_normal(shape) * scale).astype(np.float32)
        for name, shape in LAYOUT.tensors
    }
    return Contribution(rows, update, {"loss": rng.random() * 3}, {"hits": rng.integers(0, 9, 4)})


def total_of(parts, layout=LAYOUT):
    rng = np.random.default_rng(1)
    total = np.zeros(layout.length, dtype=np.uint32)
    for part in parts:
        dither = rng.random(layout.parameters, dtype=np.float32)
        total = add(total, encode(part, layout, dither), layout.fixed)
    return total


@given(st.lists(st.integers(0, 200), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_the_sum_says_the_mean_weighted_by_capped_examples(rows, seed):
    rng = np.random.default_rng(seed)
    parts = [contribution(rng, n) for n in rows]
    weights = [min(n, LAYOUT.w_max) for n in rows]
    if sum(weights) == 0:
        with pytest.raises(ValueError, match="sum of weights is 0"):
            decode(total_of(parts), len(parts), LAYOUT)
        return
    result = decode(total_of(parts), len(parts), LAYOUT)
    assert result.weight == sum(weights)
    for name, _ in LAYOUT.tensors:
        expected = np.average([p.update[name] for p in parts], axis=0, weights=weights)
        bound = len(rows) * FIXED.step * LAYOUT.w_max / sum(weights) + 1e-6
        np.testing.assert_allclose(result.update[name], expected, atol=bound)
    expected_loss = np.average([p.metrics["loss"] for p in parts], weights=weights)
    assert result.metrics["loss"] == pytest.approx(expected_loss, abs=1e-6)
    assert (
        result.counts["hits"].tolist() == np.sum([p.counts["hits"] for p in parts], axis=0).tolist()
    )


def test_the_order_of_arrival_changes_no_bit():
    rng = np.random.default_rng(3)
    vectors = [
        encode(contribution(rng, 40), LAYOUT, rng.random(LAYOUT.parameters, dtype=np.float32))
        for _ in range(10)
    ]
    sums = []
    for order in (range(10), reversed(range(10))):
        total = np.zeros(LAYOUT.length, dtype=np.uint32)
        for i in order:
            total = add(total, vectors[i], FIXED)
        sums.append(total)
    assert (sums[0] == sums[1]).all()


def test_a_vector_without_update_carries_weight_metrics_and_counts():
    layout = Layout(FIXED, 2**20, (), (Metric("loss", 0.0, 64.0),), (Count("hits", 2),))
    parts = [
        Contribution(n, {}, {"loss": loss}, {"hits": np.array([n, 1])})
        for n, loss in ((10, 1.0), (30, 2.0))
    ]
    result = decode(total_of(parts, layout), 2, layout)
    assert (result.weight, result.update) == (40, {})
    assert result.metrics["loss"] == pytest.approx(1.75, abs=1e-6)
    assert result.counts["hits"].tolist() == [40, 2]


def test_an_update_of_other_tensors_is_refused():
    part = Contribution(
        3, {"other": np.zeros((2, 3), np.float32)}, {"loss": 0.0}, {"hits": np.zeros(4, np.int64)}
    )
    with pytest.raises(ValueError, match="not those of the model"):
        encode(part, LAYOUT, np.zeros(LAYOUT.parameters, np.float32))


@pytest.mark.parametrize("loss", [1e9, -1e-30, float("nan"), float("inf")])
def test_a_metric_outside_its_range_is_refused_and_never_cut(loss):
    part = contribution(np.random.default_rng(0), 10)

    with pytest.raises(ValueError, match="the metric loss is"):
        total_of([Contribution(10, part.update, {"loss": loss}, part.counts)])


def test_a_wide_count_is_summed_to_its_last_digit():
    layout = Layout(FIXED, 1, (), (), (Count("squares", 1, 2**574),))
    values = [2**574 - 1, 1, 2**300 + 7]
    parts = [Contribution(1, {}, {}, {"squares": np.array([v], object)}) for v in values]
    total = sum(encode(p, layout, np.zeros(0, np.float32)) for p in parts)

    assert decode(total, 3, layout).counts["squares"][0] == sum(values)


def test_a_sum_that_honest_clients_cannot_make_is_refused():
    total = total_of([contribution(np.random.default_rng(0), 10)])
    forged = total.copy()
    forged[0] = LAYOUT.w_max + 1  # one client claims more than w_max
    with pytest.raises(ValueError, match="sum of weights"):
        decode(forged, 1, LAYOUT)
    forged = total.copy()
    forged[LAYOUT.ends[2] - 1] = 2**25 - 1  # the metric's highest limb
    with pytest.raises(ValueError, match="outside its range"):
        decode(forged, 1, LAYOUT)
