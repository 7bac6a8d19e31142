"""Masked vectors look uniform, and the tests that say so would see a weaker generator (§8, group 6)."""

import random

import numpy as np
import pytest
from support.protocol import Cohort, rules
from support.randomness import check_uniform, linear_complexity

from calyx.secagg.masking import Mask, apply_masks
from calyx.vector.quantise import unpack

D = 4096


class Entropy:
    """Bytes that are the same in every run, so that this test cannot fail by chance."""

    def __init__(self):
        self.source = random.Random(1)

    def __call__(self, count):
        return self.source.randbytes(count)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_a_masked_vector_of_zeros_is_uniform(bits):
    zeros = {u: np.zeros(D, dtype=np.uint32) for u in range(5)}
    cohort = Cohort(5, rules(D, modulus_bits=bits), vectors=zeros, entropy=Entropy())
    requests = cohort.server.take_advertisements(cohort.begin())
    requests = cohort.server.take_shares(cohort.stage(1, requests))
    for u, reply in cohort.stage(2, requests).items():
        masked = unpack(reply[:-64], bits)
        assert check_uniform(masked, bits) == [], u


def test_two_masked_vectors_of_one_input_have_nothing_in_common():
    zeros = {u: np.zeros(D, dtype=np.uint32) for u in range(5)}
    cohort = Cohort(5, rules(D), vectors=zeros, entropy=Entropy())
    requests = cohort.server.take_advertisements(cohort.begin())
    requests = cohort.server.take_shares(cohort.stage(1, requests))
    replies = cohort.stage(2, requests)
    left, right = (np.frombuffer(replies[u][:-64], dtype="<u4") for u in (0, 1))
    assert check_uniform(left - right, 32) == []
    assert check_uniform(left ^ right, 32) == []


def uniform(seed=3):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2**32, D, dtype=np.uint64).astype(np.uint32)


def biased(vector, plane):
    """One bit plane set in one element of eight."""
    vector = vector.copy()
    vector[::8] |= np.uint32(1 << plane)
    return vector


def shift_register(length):
    """Bits of x^32 + x^22 + x^2 + x + 1, a register of full period."""
    state, bits = 0xDEADBEEF, []
    for _ in range(length):
        bits.append(state & 1)
        new = (state ^ (state >> 10) ^ (state >> 30) ^ (state >> 31)) & 1
        state = (state >> 1) | (new << 31)
    return np.array(bits, dtype=np.uint32)


WEAK = {
    "plaintext": (np.arange(D, dtype=np.uint32), "bytes"),
    "a biased bit": (biased(uniform(), 3), "bit 3: monobit"),
    "neighbours that follow each other": (np.sort(uniform()), "serial"),
    "one plane from a shift register": (
        (uniform() & ~np.uint32(1)) | shift_register(D),
        "bit 0: linear complexity 32",
    ),
}


@pytest.mark.parametrize(("vector", "words"), WEAK.values(), ids=WEAK.keys())
def test_a_weak_vector_is_found(vector, words):
    assert any(complaint.startswith(words) for complaint in check_uniform(vector, 32))


def test_a_uniform_vector_is_not():
    assert check_uniform(uniform(), 32) == []


def test_linear_complexity_sees_mt19937_and_a_short_register():
    # 2 · 19937 bits of one plane of its words are needed before it stops looking random.
    words = np.random.Generator(np.random.MT19937(5)).integers(0, 2**32, 40_200, dtype=np.uint64)
    bits = (words & 1).astype(int).tolist()
    assert linear_complexity(bits) <= 19_937
    assert linear_complexity([0] * 50 + [1]) == 51
    assert linear_complexity([1, 0] * 20) == 2
    assert linear_complexity(shift_register(500).tolist()) == 32


def test_linear_complexity_of_aes_does_not_stop_growing():
    mask = Mask(Entropy()(16), is_added=True)
    stream = apply_masks(np.zeros(40_200, dtype=np.uint32), [mask], 32)
    assert linear_complexity((stream & 1).astype(int).tolist()) > 20_050
