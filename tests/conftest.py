"""Shared by all tests: one thread, the program, and a task whose second client can be broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Before anything imports torch: engines fork, and a fork after two OpenMP threads hangs.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]
FAULTY = ROOT / "tests" / "faulty"
HEART = ROOT.parent / "shared" / "data" / "heart"


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


def calyx_command(*arguments):
    """The command line of the installed program."""
    return [str(Path(sys.executable).parent / "calyx"), *arguments]


def environment():
    """The program's environment: the faulty task is found, wide lines stay whole."""
    return os.environ | {"PYTHONPATH": str(FAULTY), "COLUMNS": "200"}


@pytest.fixture
def heart_dir():
    """The real data of heart, where this checkout has it."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return HEART


SMALL = ("task.num_clients=4", "rounds=3", "baselines=false", "training.epochs=1")
BROKEN = ("--config-dir", str(FAULTY / "conf"), "task=faulty", "rounds=3", "baselines=false")
