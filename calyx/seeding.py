"""All randomness that is not secret: a generator for each (seed, purpose, round, client).

Nothing of ours draws from global state, and what a task draws from there is seeded, so a result
does not depend on which process runs a client, in which order, or whether a run was stopped and
resumed in between.
"""

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
def global_scope(seed: int, purpose: str, round: int = 0, client: str = "") -> Iterator[None]:
    """Seed the global generators inside the block, and put them back as they were after it.

    Those of PyTorch, NumPy and Python's `random`: layers such as dropout, the initialisation of a
    model, and whatever else a task does, can draw from nowhere else. PyTorch is left out where
    nothing has imported it. A generator that a task makes without a seed is out of reach
    (`calyx/simulation/rehearsal.py` finds it).
    """
    words = _derive(seed, purpose, round, client)
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        random.seed(words)
        stack.callback(np.random.set_state, np.random.get_state())
        np.random.seed(np.frombuffer(words, dtype="<u4"))
        if "torch" in sys.modules:
            _seed_torch(int.from_bytes(words[:8], "little") >> 1, stack)
        yield


def _seed_torch(seed: int, stack: ExitStack) -> None:
    import torch

    # Not torch.manual_seed: it seeds every backend that might be loaded one day, 2 ms a call.
    generators = [torch.default_generator]
    # PyTorch leaves this function without types.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators.append(torch.cuda.default_generators[torch.cuda.current_device()])
    for generator in generators:
        stack.callback(generator.set_state, generator.get_state())
        generator.manual_seed(seed)
