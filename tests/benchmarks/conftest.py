"""Benchmarks start the program as a user does; in a test it runs in this process."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from support.program import run_here


@pytest.fixture
def started(monkeypatch):
    """The words of the programs that a benchmark starts, one after another.

    A sweep's jobs take turns too: what is side by side is calyx/cli/sweep/test_side_by_side.py's.
    """
    words_of, turn, real = [], threading.Lock(), subprocess.run

    def run(command, **options):
        program, *words = command
        if Path(program).name != "calyx":
            return real(command, **options)
        assert os.access(program, os.X_OK)
        words_of.append(words)
        here = ["hydra/launcher=basic" if w == "hydra/launcher=joblib" else w for w in words]
        with turn:
            return run_here(Path(options.get("cwd", ".")), *here)

    monkeypatch.setattr(subprocess, "run", run)
    return words_of
