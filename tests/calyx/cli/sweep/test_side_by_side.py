"""Jobs side by side: the same bytes, the cores shared, a failure told; and the pages' commands.

They run in one folder, on the same two or more processes, which take seconds to start.
"""

import csv
import re
from math import prod

import pytest
import yaml
from support.pages import commands, shortened
from support.program import BROKEN, run_here

from calyx.machine.hardware import cores

pytestmark = pytest.mark.e2e
JOBS = [*BROKEN, "rounds=2", "task.fault=raise", "retries=0", "task.victims=6,0", "seed=1,2"]
JOBLIB = "hydra/launcher=joblib"
COMMANDS = sorted({w for p in ("README.md", "docs/sweeps.md") for w in commands(p) if JOBLIB in w})


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Run a sweep in a folder of this module; how it ended, and its folder."""
    here = tmp_path_factory.mktemp("side-by-side")

    def run(name, *words):
        return run_here(here, "simulate", "-m", *words, f"hydra.sweep.dir={name}"), here / name

    yield run
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()  # its processes stay in the folder of their start


@pytest.fixture(scope="module")
def both(start):
    """The same jobs one by one and side by side; some of them fail."""
    return start("one", *JOBS), start("two", *JOBS, JOBLIB)


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


def test_side_by_side_gives_the_same_bytes(both):
    own = {"seconds": None, "error": None}  # which names the folder
    one, two = ([row | own for row in rows_of(folder)] for _, folder in both)
    assert one == two
    assert [row["status"] for row in one] == ["failed", "failed", "finished", "finished"]
    assert len({row["model_sha256"] for row in one}) == 3  # two models, and none


def test_a_job_that_fails_leaves_the_others_and_is_told(both):
    for done, folder in both:
        assert done.returncode == 1
        assert "cannot be trained on its clients' rows" in rows_of(folder)[0]["error"]
        assert "job 0  task.victims=6 seed=1  failed: The model of task=faulty" in done.stdout
        assert done.stderr.startswith("calyx: 2 of 4 jobs did not finish (0, 1)")
        assert done.stderr.count("\n") == 1


def test_side_by_side_shares_the_cores_and_says_which_job_speaks(both):
    _, (done, folder) = both
    config = yaml.safe_load((folder / "2" / "config.yaml").read_text())
    assert config["engine"]["workers"] == max(1, cores() // min(4, cores()))
    assert [done.stdout.count(f"[{job}] round ") for job in range(4)] == [0, 0, 2, 2]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("both")  # first: what the processes say goes where they were started
def test_a_command_of_the_pages_runs(start, request, words):
    short = [w for w in shortened(words) if w != "-m"]
    done, folder = start(re.sub(r"\W", "-", request.node.callspec.id), *short)
    assert done.returncode == 0, done.stderr
    jobs = prod(len(word.split(",")) for word in words)
    assert [row["status"] for row in rows_of(folder)] == ["finished"] * jobs
