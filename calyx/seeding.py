"""All randomness that is not secret: a generator for each (seed, purpose, round, client).

Nothing draws from global state, so a result does not depend on which process runs a client, in
which order, or whether a run was stopped and resumed in between.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def _derive(seed: int, purpose: str, round: int, client: str) -> bytes:
    parts = [str(seed), purpose, str(round), client]
    return hashlib.sha256(
        b"".join(len(p.encode()).to_bytes(4, "little") + p.encode() for p in parts)
    ).digest()


def rng(seed: int, purpose: str, round: int = 0, client: str = "") -> np.random.Generator:
    """A NumPy generator of its own for this purpose; equal arguments give equal draws."""
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(_derive(seed, purpose, round, client), "little"))
    )


@contextmanager
def torch_scope(seed: int, purpose: str, round: int = 0, client: str = "") -> Iterator[None]:
    """Seed PyTorch's global generators inside the block, and put them back as they were after it.

    Layers such as dropout, and the initialisation of a model, can draw from nowhere else.
    """
    import torch

    derived = int.from_bytes(_derive(seed, purpose, round, client)[:8], "little") >> 1
    # Not torch.manual_seed: it seeds every backend that might be loaded one day, 2 ms a call.
    generators = [torch.default_generator]
    # PyTorch leaves this function without types.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators.append(torch.cuda.default_generators[torch.cuda.current_device()])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(derived)
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)
