"""Fixed point: exact sums, no overflow by construction, unbiased rounding."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import calyx.vector.quantise as quantising
from calyx.vector.quantise import (
    FixedPoint,
    add,
    add_up,
    decode_unsigned,
    draw_dither,
    encode_unsigned,
    pack,
    quantise,
    signed,
    unpack,
)

FORMATS = st.builds(
    FixedPoint,
    modulus_bits=st.sampled_from([16, 24, 32]),
    n_max=st.integers(1, 512),
    clip=st.floats(1e-3, 1e3),
)


@given(FORMATS)
def test_the_step_is_the_least_power_of_two_that_holds_the_clip(fixed):
    largest = 2 ** (fixed.bits - 1) - 1
    assert math.frexp(fixed.step)[0] == 0.5
    assert largest * fixed.step >= fixed.clip > largest * fixed.step / 2


@given(FORMATS, st.integers(1, 64), st.randoms(use_true_random=False))
def test_a_sum_of_residues_equals_the_sum_of_signed_integers(fixed, n, random):
    rng = np.random.default_rng(random.getrandbits(32))
    n, d = min(n, fixed.n_max), 17
    oracle, total = [0] * d, np.zeros(d, dtype=np.uint32)
    for _ in range(n):
        x = (rng.standard_normal(d) * fixed.clip).astype(np.float32)
        vector = quantise(x, rng.integers(257) / 256, rng.random(d, dtype=np.float32), fixed)
        steps = [
            int(v) - (int(v) >> (fixed.modulus_bits - 1) << fixed.modulus_bits) for v in vector
        ]
        assert all(abs(s) < 2 ** (fixed.bits - 1) for s in steps)
        oracle = [a + b for a, b in zip(oracle, steps, strict=True)]
        total = add(total, vector, fixed)
    assert signed(total, fixed).tolist() == oracle


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("block", [2, 7, 9])
def test_many_vectors_add_up_like_pythons_integers_whatever_the_blocks(bits, block, monkeypatch):
    monkeypatch.setattr(quantising, "_BLOCK", block)
    rows = np.random.default_rng(bits).integers(2**bits, size=(5, 7), dtype=np.uint32)
    fixed = FixedPoint(modulus_bits=bits, n_max=5, clip=1.0)
    oracle = [sum(column) % 2**bits for column in rows.T.tolist()]
    assert add_up(list(rows), fixed).tolist() == oracle


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("n_max", [1, 2, 128, 256, 512])
@pytest.mark.parametrize("clip", [1.0, 0.1, 1 - 2**-31, 3.7])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_cohort_all_at_the_clip_does_not_overflow(bits, n_max, clip, sign):
    fixed = FixedPoint(modulus_bits=bits, n_max=n_max, clip=clip)
    total = np.zeros(3, dtype=np.uint32)
    for _ in range(n_max):
        x = np.full(3, sign * 1e9, dtype=np.float32)
        total = add(total, quantise(x, 1.0, np.zeros(3, dtype=np.float32), fixed), fixed)
    np.testing.assert_allclose(
        signed(total, fixed) * fixed.step, sign * n_max * clip, atol=n_max * fixed.step
    )


@given(FORMATS)
def test_zero_encodes_as_zero(fixed):
    zeros = np.array([0.0, -0.0], dtype=np.float32)
    assert quantise(zeros, 1.0, np.zeros(2, dtype=np.float32), fixed).tolist() == [0, 0]


@pytest.mark.parametrize("n_max", [1, 16, 128, 512])
@pytest.mark.parametrize("bits", [16, 32])
def test_rounding_is_unbiased_to_a_thousandth_of_a_step(bits, n_max):
    fixed = FixedPoint(modulus_bits=bits, n_max=n_max, clip=1.0)
    draws = 2_000_000
    # A fraction of a step that float32 holds exactly.
    x = np.float32(fixed.step * 0.3125)
    dither = np.random.default_rng(0).random(draws, dtype=np.float32)
    q = quantise(np.full(draws, x), 1.0, dither, fixed)
    assert abs(q.mean() - 0.3125) < 1e-3


@given(FORMATS, st.integers(0, 2**32 - 1), st.integers(0, 256), st.floats(1e-12, 10))
def test_each_residue_is_that_of_the_formula(fixed, seed, eighth, scale):
    rng, weight = np.random.default_rng(seed), eighth / 256
    x = (rng.standard_normal(40) * scale * fixed.clip).astype(np.float32)
    dither = rng.random(40, dtype=np.float32) * (rng.random(40) < 0.8)
    z = np.float32(weight) * np.clip(x, -fixed.clip32, fixed.clip32)
    steps = [abs(Fraction(float(v))) / Fraction(fixed.step) for v in z]
    wanted = [
        int(math.copysign(1, v)) * (math.floor(a) + (Fraction(float(d)) < a - math.floor(a)))
        for v, a, d in zip(z, steps, dither, strict=True)
    ]
    residues = quantise(x, weight, dither.astype(np.float32), fixed).tolist()
    assert residues == [q % 2**fixed.modulus_bits for q in wanted]


@pytest.mark.parametrize("sizes", [[40_000], [7, 40_001, 0, 3, 40_000, 1]])
def test_the_dither_is_what_numpys_generator_draws(sizes):
    ours, theirs = np.random.default_rng(1), np.random.default_rng(1)
    for size in sizes:
        expected = theirs.random(size, dtype=np.float32)
        assert draw_dither(ours, size).tobytes() == expected.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(bad):
    fixed = FixedPoint(modulus_bits=32, n_max=4, clip=1.0)
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantise(np.array([0.1, bad], dtype=np.float32), 1.0, np.zeros(2, dtype=np.float32), fixed)


@given(FORMATS, st.integers(1, 2**52), st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_sums_of_unsigned_integers_are_exact_at_the_largest_cohort(fixed, maximum, shares):
    values = [int(share * maximum) for share in shares]
    encoded = encode_unsigned(np.array(values, dtype=np.uint64), maximum, fixed)
    total = np.zeros_like(encoded)
    for _ in range(fixed.n_max):
        total = add(total, encoded, fixed)
    assert decode_unsigned(total, maximum, fixed) == [v * fixed.n_max for v in values]


def test_a_count_above_its_maximum_is_refused():
    fixed = FixedPoint(modulus_bits=16, n_max=4, clip=1.0)
    with pytest.raises(ValueError, match="outside 0 … 7"):
        encode_unsigned(np.array([8], dtype=np.uint64), 7, fixed)


@given(FORMATS, st.lists(st.integers(0, 2**16 - 1), max_size=20))
def test_packing_takes_the_modulus_width_an_element_and_loses_nothing(fixed, values):
    residues = np.array(values, dtype=np.uint32)
    data = pack(residues, fixed.modulus_bits)
    assert len(data) == len(values) * fixed.modulus_bits // 8
    assert unpack(data, fixed.modulus_bits).tolist() == values


def test_too_few_bits_for_a_client_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        FixedPoint(modulus_bits=16, n_max=2**13, clip=1.0)
