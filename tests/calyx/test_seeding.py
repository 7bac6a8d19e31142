"""Each purpose has its own random numbers, and nobody else's."""

import numpy as np
import pytest
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


def test_what_is_drawn_inside_a_scope_does_not_depend_on_what_was_drawn_before():
    draws = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.rand(seed)
        with torch_scope(5, "x", 3, "client"):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)


def test_a_scope_that_fails_puts_the_generator_back():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shape"), torch_scope(1, "x"):
        torch.rand(1).reshape(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_drawing_leaves_numpys_global_generator_alone():
    np.random.seed(4)
    expected = np.random.random(2).tolist()
    np.random.seed(4)
    rng(1, "x").random(10)
    assert np.random.random(2).tolist() == expected


def test_the_generator_is_a_fixed_one():
    # NumPy keeps PCG64's stream fixed over versions; a change of ours would change every result.
    assert isinstance(rng(1, "x").bit_generator, np.random.PCG64)
