"""Calyx on one table as a newcomer has it: draft, simulate, and scikit-learn on the same rows."""

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.tables.rows import RunRows, rows_of
from benchmarks.tables.scikit import Scores, scores
from benchmarks.tables.table import Table

# The same bytes, sooner: no workers to start, no key exchange.
SOONER = ("privacy=none", "engine.workers=0")


@dataclass(frozen=True)
class Outcome:
    """What came of a table with one seed: accuracy or R² on the same test rows."""

    table: str
    seed: int
    metric: str
    rows: int  # that the run read
    sites: int
    guess: str | None  # the draft's target without `--target`; None: it was refused
    is_right: bool
    note: str | None = None  # why there are no figures, or not all
    local: float | None = None  # Calyx, preprocessing=local
    default: float | None = None  # Calyx, with no key but the data
    pooled: float | None = None  # Calyx, all rows in one place
    preprocessing: str | None = None  # whose constants the default's run had
    scikit: Scores | None = None
    rounds: int | None = None  # of the default's run
    best_round: int | None = None
    seconds: float | None = None  # of a processor, for the default's run with its baselines

    @property
    def best(self) -> float:
        """The better of scikit-learn's linear model and its network."""
        assert self.scikit is not None
        return max(self.scikit.linear, self.scikit.network)


def outcome_of(values: dict[str, Any]) -> Outcome:
    """An outcome from its JSON."""
    scikit = values["scikit"]
    return Outcome(**(values | {"scikit": None if scikit is None else Scores(**scikit)}))


def compare(table: Table, seeds: Sequence[int], work: Path, words: Sequence[str]) -> list[Outcome]:
    """A table with each seed; files and runs go below `work`, `words` are overrides of all runs."""
    folder = work / table.name / "rows"
    if not folder.exists():
        table.write(folder)
    guess, note = _drafted(table, folder)
    sites = len(set(table.sites) - {"", "NA"})
    known = (table.metric, len(table.rows), sites, guess, guess == table.target)
    if note is not None:
        return [Outcome(table.name, seeds[0], *known, note=note)]
    return [_of_seed(Outcome(table.name, seed, *known), folder, words) for seed in seeds]


def _drafted(table: Table, folder: Path) -> tuple[str | None, str | None]:
    """A schema beside the rows: what the draft takes for the target by itself, and what it refuses."""
    site = ["--client", table.column] if table.column else []
    alone = _calyx("audit", "--draft-schema", str(folder), *site)
    guess = None if alone.returncode else yaml.safe_load(alone.stdout)["target"]["name"]
    out = folder / "schema.yaml"
    if out.exists():
        return guess, None
    named = ["--target", table.target, *site, "--out", str(out)]
    ended = _calyx("audit", "--draft-schema", str(folder), *named)
    return guess, None if ended.returncode == 0 else f"not drafted: {_last(ended, folder)}"


def _of_seed(known: Outcome, folder: Path, words: Sequence[str]) -> Outcome:
    runs = folder.parent / str(known.seed)
    if runs.exists():
        raise SystemExit(f"{runs} is there already: give --work a new folder")
    of_all = [
        "simulate",
        "task=csv",
        f"task.data_dir={folder}",
        f"seed={known.seed}",
        *SOONER,
        *words,
    ]
    of_all += [f"privacy.n_min={known.sites}"] if known.sites < 5 else []
    before = _seconds()
    ended = _calyx(*of_all, f"hydra.run.dir={runs / 'default'}")
    seconds = _seconds() - before
    if ended.returncode:
        return _with(known, note=f"not run: {_last(ended, folder)}")
    local = _calyx(
        *of_all, "preprocessing=local", "baselines=false", f"hydra.run.dir={runs / 'local'}"
    )
    summary = _summary(runs / "default")
    rows, metric = rows_of(runs / "default"), f"test_{summary['metric']}"
    _check_same(rows, summary)
    return _with(
        known,
        note=f"not run with preprocessing=local: {_last(local, folder)}"
        if local.returncode
        else None,
        preprocessing=summary["preprocessing"],
        rows=sum(map(len, rows.parts.values())),
        local=None if local.returncode else _summary(runs / "local")[metric],
        default=summary[metric],
        pooled=summary["baselines"]["pooled"],
        scikit=asdict(scores(rows)),
        rounds=summary["rounds"],
        best_round=summary["best_round"],
        seconds=round(seconds, 1),
    )


def _with(known: Outcome, **more: Any) -> Outcome:  # noqa: ANN401 - fields of an outcome
    return outcome_of(asdict(known) | more)


def _check_same(rows: RunRows, summary: dict[str, Any]) -> None:
    """Raise SystemExit unless the run was tested on as many rows, with as many of each label."""
    test, told = rows.parts["test"], summary["tested_on"]
    labels = None
    if rows.schema.target is None:
        labels = [int((test.y == k).sum()) for k in range(len(rows.schema.classes))]
    if (len(test), labels) != (told["rows"], told["labels"]):
        raise SystemExit(f"other rows were tested: {told}, and not {len(test)} with {labels}")


def _calyx(*words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("calyx"))
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def _last(ended: subprocess.CompletedProcess[str], folder: Path) -> str:
    """The last line that was said, for a page: its files are named without this machine's folder."""
    said = ended.stderr.strip().splitlines() or [f"it ended with code {ended.returncode}"]
    return said[-1].removeprefix("calyx: ").replace(f"{folder}/", "")


def _seconds() -> float:
    """Processor time of this process and its children, so far."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def _summary(run: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return values
