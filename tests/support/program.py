"""Start the real program, with a task that tests can break."""

import os
import sys
from pathlib import Path

FAULTY = Path(__file__).resolve().parents[1] / "faulty"
SMALL = ("task.num_clients=6", "rounds=3", "baselines=false", "training.epochs=1")
BROKEN = ("--config-dir", str(FAULTY / "conf"), "task=faulty", "rounds=3", "baselines=false")


def calyx_command(*arguments):
    """The command line of the installed program."""
    return [str(Path(sys.executable).parent / "calyx"), *arguments]


def environment():
    """The program's environment: the faulty task is found, wide lines stay whole.

    A PYTHONPATH stays: by it, the program of another checkout's environment runs this code.
    """
    path = [str(FAULTY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "COLUMNS": "200"}
