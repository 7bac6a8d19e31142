"""Shared by all tests: one thread, the program, and the real data where it is."""

import os
from functools import partial
from pathlib import Path

import pytest
from support.program import run_apart, run_here

# Before anything imports torch: engines fork, and a fork after two OpenMP threads hangs.
os.environ["OMP_NUM_THREADS"] = "1"

HEART = Path(__file__).resolve().parents[2] / "shared" / "data" / "heart"


RANKS = {
    "test_deploy_failures.py": 0,
    "test_flwr_run.py": 0,
    "test_deploy.py": 2,
    "test_deploy_six.py": 2,
}


def pytest_collection_modifyitems(items):
    """What waits most comes first, beside what computes most.

    Two deployments at once would slow each other, and so would two Rays (here and in test_ray.py).
    """
    items.sort(key=lambda item: RANKS.get(item.path.name, 1))


@pytest.fixture
def calyx(tmp_path):
    """Run the program in `tmp_path`, in this process; returns how it ended and what it said."""
    return partial(run_here, tmp_path)


@pytest.fixture
def program(tmp_path):
    """Run the installed program in `tmp_path`, in a process of its own: where signals matter."""
    return partial(run_apart, tmp_path)


@pytest.fixture
def heart_dir():
    """The real data of heart, where this checkout has it."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return HEART
