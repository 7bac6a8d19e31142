"""Calyx on the workload: `calyx simulate` in a process of its own, and when each round began.

`python -m benchmarks.engine.ours TIMES WORD…` is `calyx WORD…` that also writes the moments at which a
round's cohort was drawn: between two of them is all that a round takes, disk and all.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.numpy import load_file

from benchmarks.engine.programs import ROOT, start, started, wait_for, watch_memory
from benchmarks.engine.workload import Outcome, Setting

if TYPE_CHECKING:
    from server.sampling import Dealt, Groups

LIMIT_S = 600.0
START_LIMIT_S = 60.0  # of what is only started: all is to end in five minutes
ENTRY_POINTS = """[calyx.tasks]
engine_mlp = benchmarks.engine.tasks:Mlp
engine_cnn = benchmarks.engine.tasks:Cnn
engine_names = benchmarks.engine.tasks:Names
[calyx.configs]
engine = benchmarks.engine.conf
"""


@dataclass(frozen=True)
class Mode:
    """A way in which Calyx runs the workload."""

    name: str
    words: tuple[str, ...]  # overrides beside the workload's
    of_models: tuple[str, ...] = ("mlp", "cnn")


PLAIN, ENCRYPTED, COHORT = "plain", "encrypted", "cohort"
MODES = (
    Mode(PLAIN, ("privacy=none", "engine.workers=2")),
    Mode("plain, 1 worker", ("privacy=none", "engine.workers=1"), ("mlp",)),
    Mode("plain, 0 workers", ("privacy=none", "engine.workers=0"), ("mlp",)),
    Mode(ENCRYPTED, ("privacy=secagg", "engine.workers=2")),
    Mode(COHORT, ("privacy=none", "engine.workers=2", "engine.cohort=true"), ("mlp",)),
)


def words_of(setting: Setting, mode: Mode) -> list[str]:
    """The command that runs the setting, without the run's folder."""
    # The default rule wants larger cohorts than these: docs/security.md.
    sound = "privacy.max_colluders=1" if setting.num_clients <= 100 else "privacy.sampling=trusted"
    return [
        "simulate",
        f"task=engine_{setting.model}",
        f"task.num_clients={setting.num_clients}",
        f"cohort_size={setting.cohort_size}",
        f"training.batch_size={setting.batch_size}",
        "training.epochs=1",
        "training.lr=0.1",
        "task.min_rows=1",
        "task.w_max=1024",  # more than any client has: rounding is finer the nearer it is
        f"rounds={setting.rounds}",
        "evaluate=with_training",
        "stopping.patience=null",
        "baselines=false",
        "phases=[preprocess,train,validate,release]",
        *mode.words,
        *([sound] if mode.name == ENCRYPTED else []),
    ]


def run(setting: Setting, mode: Mode, folder: Path) -> Outcome:
    """Run the setting in a new folder below `folder`. Raises Failed."""
    where = Path(tempfile.mkdtemp(dir=folder))
    with tasks_known(where) as environment:
        times = where / "times.json"
        words = [*words_of(setting, mode), f"hydra.run.dir={where / 'run'}"]
        start(command(times, words), environment, LIMIT_S)
    moments = json.loads(times.read_text())
    # The last moment is of the cohort that validates the last model.
    seconds = [after - before for before, after in pairwise(moments)]
    return Outcome(tuple(seconds), load_file(where / "run" / "model.safetensors"))


def peak_megabytes(setting: Setting, mode: Mode, folder: Path) -> int:
    """The most memory that a run's processes took together. Raises Failed."""
    where = Path(tempfile.mkdtemp(dir=folder))
    with tasks_known(where) as environment:
        words = [*words_of(setting, mode), f"hydra.run.dir={where / 'run'}"]
        run_it = started(command(where / "times.json", words), environment)
        with run_it as process, watch_memory(process.pid) as found:
            wait_for(process, LIMIT_S)
    return max(found)


def seconds_to_round_1(words: Sequence[str], folder: Path) -> float:
    """From the start of `calyx WORD…` to the end of its first round. Raises Failed."""
    where = Path(tempfile.mkdtemp(dir=folder))
    with tasks_known(where) as environment:
        begun = time.monotonic()
        one = [*words, f"hydra.run.dir={where / 'run'}"]
        start(command(where / "times.json", one), environment, START_LIMIT_S)
    return float(json.loads((where / "times.json").read_text())[1]) - begun


def command(times: Path, words: Sequence[str]) -> list[str]:
    """The program that is measured."""
    return [sys.executable, "-m", "benchmarks.engine.ours", str(times), *words]


@contextmanager
def tasks_known(folder: Path) -> Iterator[dict[str, str]]:
    """An environment in which the tasks of the workload are installed."""
    info = folder / "packages" / "calyx_engine_benchmark-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: calyx-engine-benchmark\nVersion: 1.0\n"
    )
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    places = [str(ROOT), str(info.parent), os.environ.get("PYTHONPATH", "")]
    yield os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}


def main(times: str, *words: str) -> int:
    """Run `calyx WORD…`; returns its exit code."""
    from calyx.cli.main import run as run_calyx

    moments = _note_rounds()
    code = run_calyx(words)
    Path(times).write_text(json.dumps([moments[number] for number in sorted(moments)]))
    return code


def _note_rounds() -> dict[int, float]:
    """When the cohort of each round is drawn, from now on, by the clock that all processes share.

    Lines about rounds are no clock: several are written at once, beside the rounds that follow.
    """
    from server import sampling

    draw, moments = sampling.sample_cohort, dict[int, float]()

    def sample_cohort(dealt: "Dealt", cohort_size: int | None, seed: int, round: int) -> "Groups":
        if sys._getframe(1).f_globals["__name__"] == "server.rounds":  # and not in a check of sizes
            moments.setdefault(round, time.monotonic())
        return draw(dealt, cohort_size, seed, round)

    sampling.sample_cohort = sample_cohort  # before the server is imported, which looks it up then
    return moments


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
