"""A contribution as a vector, and the mean that a sum of vectors says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.vector.contribution import Contribution, Count, Layout, Metric, decode, encode
from calyx.vector.quantise import FixedPoint, add

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


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_the_sum_says_the_mean_weighted_by_capped_examples(rows, seed):
    rng = np.random.default_rng(seed)
    parts = [contribution(rng, n) for n in rows]
    weights = [min(n, LAYOUT.w_max) for n in rows]
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


@given(
    bits=st.sampled_from([16, 24, 32]),
    n_max=st.sampled_from([2, 8, 128, 512]),
    clip=st.sampled_from([0.01, 0.2, 1.0, 2.0, 3.3]),
    rows=st.lists(st.integers(1, 300), min_size=1, max_size=8),
    size=st.sampled_from([0.0, 1e-4, 1.0, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_sum_of_honest_clients_is_judged_impossible(bits, n_max, clip, rows, size, seed):
    """At every step, weight and size of updates; all cut to one side is the most there can be."""
    layout = replace(LAYOUT, fixed=FixedPoint(bits, n_max, clip))
    rng = np.random.default_rng(seed)
    parts = [contribution(rng, n) for n in rows[:n_max]]
    if size:
        same = {name: np.full(shape, size, np.float32) for name, shape in LAYOUT.tensors}
        parts = [replace(part, update=same) for part in parts]
    decode(total_of(parts, layout), len(parts), layout)


def forged(total, place, steps):
    """A sum to which a member has added so many steps at one element."""
    found = total.astype(np.int64)
    found[place] += steps
    return (found & FIXED.mask).astype(np.uint32)


def test_a_coordinate_beyond_what_the_weights_allow_is_no_honest_sum():
    """Ten clients of 32 rows at w_max 64: 10 · 32/64 · clip, or 5/Δ steps, and a step of each."""
    rng = np.random.default_rng(5)
    total = total_of([contribution(rng, 32, scale=0.0) for _ in range(10)])
    most = int(5 / FIXED.step * (1 + 2**-23)) + 10
    for sign in (1, -1):
        decode(forged(total, 1, sign * most), 10, LAYOUT)
        with pytest.raises(ValueError, match="a member sent what no honest client can"):
            decode(forged(total, 1, sign * (most + 1)), 10, LAYOUT)
    decode(forged(total, 1, most + 7), 10, LAYOUT, margin=7)
    # 100 · clip in every residue, and random ones.
    hundred = forged(total, slice(1, 9), int(100 / FIXED.step))
    random = total.copy()
    random[1:9] = rng.integers(0, 2**32, 8, dtype=np.uint32)
    for attack in (hundred, random):
        with pytest.raises(ValueError, match="no honest client"):
            decode(attack, 10, LAYOUT)


def test_each_client_of_a_sum_weighs_one_row_at_least():
    rng = np.random.default_rng(5)
    total = total_of([contribution(rng, 1) for _ in range(5)])
    decode(total, 5, LAYOUT)
    for steps in (-1, -5, 64 * 5):
        with pytest.raises(ValueError, match="sum of weights"):
            decode(forged(total, 0, steps), 5, LAYOUT)
