"""Shared by all tests: one thread, the program, and the real data where it is. See docs/decisions/0027."""

import gc
import os
import sys
from functools import partial
from pathlib import Path

import pytest
from support.program import run_apart, run_here
from support.spreading import Lengths, LongestFirst

# Before anything imports torch: engines fork, and a fork after two OpenMP threads hangs.
os.environ["OMP_NUM_THREADS"] = "1"

HEART = Path(__file__).resolve().parents[2] / "shared" / "data" / "heart"

STARTERS = {"calyx", "program", "sweep"}  # fixtures that start the program


def pytest_addoption(parser):
    """Measure files again, for support/spreading.py."""
    parser.addoption("--write-lengths", action="store_true", help="rewrite tests/lengths.json")


def pytest_configure(config):
    """Only the process that sees all tests end can add up their lengths."""
    if config.getoption("write_lengths") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Lengths())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How `--dist=loadfile` spreads the files."""
    return LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish():
    """What is imported by now is no garbage: looking through it again and again takes seconds."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What starts the program is of the lane e2e."""
    for item in items:
        if STARTERS & set(item.fixturenames):
            item.add_marker("e2e")


@pytest.fixture(autouse=True)
def no_site():
    """This process is no site any more after a test: the next one's notes are not of its folder."""
    yield
    if "client.journal" in sys.modules:
        sys.modules["client.journal"].keep_in(None)


@pytest.fixture
def calyx(tmp_path):
    """Run the program in `tmp_path`, in this process; returns how it ended and what it said."""
    return partial(run_here, tmp_path)


@pytest.fixture
def program(tmp_path):
    """Run the installed program in `tmp_path`, in a process of its own, where that matters."""
    return partial(run_apart, tmp_path)


@pytest.fixture
def heart_dir():
    """The real data of heart, where this checkout has it."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return HEART
