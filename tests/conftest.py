"""Shared by all tests: one thread, the program, and the real data where it is."""

import os
import subprocess
from pathlib import Path

import pytest
from program import calyx_command, environment

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
    """Run the real program in `tmp_path`; returns the finished process."""

    def run(*arguments, timeout=120):
        return subprocess.run(
            calyx_command(*arguments),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def heart_dir():
    """The real data of heart, where this checkout has it."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return HEART
