"""Encrypted sums are exact, whatever is summed and whoever drops out (§8, groups 1 and 5)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protocol import Cohort, rules

from calyx.vector.contribution import Contribution, Count, Layout, Metric, decode, encode
from calyx.vector.quantise import FixedPoint, quantise, signed

LENGTHS = st.sampled_from([1, 2, 7, 100]) | st.integers(1, 300)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 9), LENGTHS, st.sampled_from([16, 24, 32]), st.data())
def test_a_sum_is_that_of_pythons_integers_bit_for_bit(n, length, bits, data):
    agreed = rules(length, modulus_bits=bits)
    cohort = Cohort(n, agreed, seed=data.draw(st.integers(0, 999)))
    spare = n - agreed.smallest_sum(n)
    silent = data.draw(st.lists(st.integers(0, n - 1), max_size=spare, unique=True))
    absent = {u: data.draw(st.integers(1, 3)) for u in silent}
    total = cohort.run(absent)
    assert total.tolist() == cohort.oracle(cohort.server.summed)
    assert set(cohort.server.summed) >= set(range(n)) - set(silent)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("length", [2**15 - 1, 2**15 + 1, 2**16 + 3])
def test_a_vector_that_is_no_multiple_of_a_chunk_is_summed_exactly(bits, length):
    cohort = Cohort(4, rules(length, modulus_bits=bits))
    assert cohort.run({3: 2}).tolist() == cohort.oracle((0, 1, 2))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([16, 24, 32]), st.sampled_from([8, 128]), st.data())
def test_a_decoded_mean_is_within_a_step_of_the_exact_one(bits, n_max, data):
    """Real numbers in, real numbers out: against exact fractions, with weights above and below w_max."""
    fixed = FixedPoint(bits, n_max, 1.0)
    layout = Layout(fixed, 64, (("w", (3,)),), (Metric("loss", 0.0, 4.0),), (Count("hits", 2),))
    n = data.draw(st.integers(3, 6))
    parts = []
    for _ in range(n):
        x = data.draw(st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3))
        examples = data.draw(st.integers(1, 200))
        loss = data.draw(st.floats(0, 4))
        parts.append((np.array(x, dtype=np.float32), examples, loss))
    vectors = {
        u: encode(
            Contribution(e, {"w": x}, {"loss": loss}, {"hits": np.array([e, u])}),
            layout,
            np.random.default_rng(u).random(3, dtype=np.float32),
        )
        for u, (x, e, loss) in enumerate(parts)
    }
    agreed = rules(layout.length, modulus_bits=bits)
    total = Cohort(n, agreed, vectors=vectors).run()
    found = decode(total, n, layout)
    weights = [min(e, 64) for _, e, _ in parts]
    assert found.weight == sum(weights)
    assert found.counts["hits"].tolist() == [sum(e for _, e, _ in parts), sum(range(n))]
    for i in range(3):
        clipped = [max(-1, min(1, Fraction(float(x[i])))) for x, _, _ in parts]
        exact = sum(w * x for w, x in zip(weights, clipped, strict=True)) / sum(weights)
        slack = n * fixed.step * 64 / sum(weights) + 1e-6
        assert found.update["w"][i] == pytest.approx(float(exact), abs=slack)
    exact_loss = sum(w * p[2] for w, p in zip(weights, parts, strict=True)) / sum(weights)
    assert found.metrics["loss"] == pytest.approx(exact_loss, abs=1e-6)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_power_of_two_clients_all_at_the_clip_are_summed_without_overflow(bits, sign):
    fixed = FixedPoint(bits, 8, 1.0)
    x = np.full(5, sign * 3.0, dtype=np.float32)
    vectors = {u: quantise(x, 1.0, np.zeros(5, dtype=np.float32), fixed) for u in range(8)}
    total = Cohort(8, rules(5, modulus_bits=bits), vectors=vectors).run()
    np.testing.assert_allclose(signed(total, fixed) * fixed.step, sign * 8.0, atol=8 * fixed.step)


LAYOUT = Layout(FixedPoint(32, 8, 1.0), 16, (("w", (2,)), ("empty", (0,))), (), ())


def one(examples, values, empty=()):
    update = {
        "w": np.array(values, dtype=np.float32),
        "empty": np.array(empty, dtype=np.float32),
    }
    return encode(Contribution(examples, update, {}, {}), LAYOUT, np.zeros(2, dtype=np.float32))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_an_update_that_is_not_finite_never_becomes_a_vector(bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        one(3, [0.0, bad])


def test_an_empty_tensor_takes_no_room_and_does_no_harm():
    assert LAYOUT.parameters == 2
    found = decode(one(3, [0.5, -0.5]), 1, LAYOUT)
    assert found.update["empty"].shape == (0,)
    np.testing.assert_allclose(found.update["w"], [0.5, -0.5], atol=1e-6)


def test_a_client_without_examples_adds_nothing_and_one_with_many_counts_as_w_max():
    np.testing.assert_array_equal(one(0, [1.0, 1.0]), one(0, [-1.0, 0.3]))
    assert decode(one(1000, [1.0, 0.0]), 1, LAYOUT).weight == 16
    with pytest.raises(ValueError, match="sum of weights is 0"):
        decode(one(0, [1.0, 1.0]), 1, LAYOUT)


def test_what_is_beyond_the_clip_counts_as_the_clip():
    np.testing.assert_array_equal(one(16, [1e30, -7.0]), one(16, [1.0, -1.0]))
