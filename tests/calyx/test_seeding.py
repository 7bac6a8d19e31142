"""Each purpose has its own random numbers, and nobody else's."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from calyx.seeding import rng, torch_scope

KEYS = st.tuples(
    st.integers(0, 2**63), st.text(max_size=4), st.integers(0, 99), st.text(max_size=4)
)


@given(KEYS, KEYS)
def test_draws_are_equal_if_and_only_if_the_keys_are(one, other):
    same = rng(*one).integers(0, 2**62, 4).tolist() == rng(*other).integers(0, 2**62, 4).tolist()
    assert same is (one == other)


def test_no_key_runs_into_the_next():
    assert rng(1, "ab", 0, "c").random() != rng(1, "a", 0, "bc").random()


def test_torch_draws_inside_the_scope_only_from_its_key_and_goes_on_as_before_after_it():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch_scope(1, "x"):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    with torch_scope(1, "x"):
        assert torch.equal(torch.rand(3), first)
    with torch_scope(1, "y"):
        assert not torch.equal(torch.rand(3), first)


def test_the_generator_is_a_fixed_one():
    # NumPy keeps PCG64's stream fixed over versions; a change of ours would change every result.
    assert isinstance(rng(1, "x").bit_generator, np.random.PCG64)
