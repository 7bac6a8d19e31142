"""How well each strategy does, and the table of docs/strategies.md: `python -m benchmarks.comparison`.

Every figure is of `test_accuracy`, and `personal_accuracy` where a strategy has one, in the
summary of a `calyx simulate`, two at a time. What cannot run is a dash and a note below the table.
`--pairs` compares SCAFFOLD and FedNova with FedAvg, seed by seed; `--with` changes every run.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import track

TASKS = {
    "digits": ("task=digits", "task.alpha=0.1"),
    "vowel": ("task=vowel",),
    "heart": ("task=heart",),
}
TITLES = {"digits": "digits, Dirichlet 0.1", "vowel": "vowel", "heart": "heart"}
SINGLE = ("fedavg", "fedprox", "fedopt", "fedavgm", "fednova", "scaffold", "fedbn", "ditto")
ROBUST = ("median", "trimmed_mean", "krum", "multi_krum", "geometric_median")
PAIRED = ("fedavg", "scaffold", "fednova")
TABLE_SEEDS, PAIR_SEEDS = 3, 5
AT_ONCE = 2
DASH = "–"


@dataclass(frozen=True)
class Job:
    """One run."""

    strategy: str
    task: str
    seed: int
    overrides: tuple[str, ...]  # beside those of strategy, task and seed


@dataclass(frozen=True)
class Outcome:
    """What came of a job: `note` is None exactly where there is an accuracy."""

    strategy: str
    task: str
    seed: int
    accuracy: float | None  # on everybody's test rows; of what a client has of the model, in fedbn
    personal: float | None  # of clients' own models on their own test rows, where there are any
    note: str | None


def command(job: Job, folder: Path) -> list[str]:
    """The `calyx simulate` of a job that writes its run to `folder`."""
    groups = ("privacy.groups=all",) if job.strategy in ROBUST else ()
    return [
        str(Path(sys.executable).with_name("calyx")),
        "simulate",
        *TASKS[job.task],
        f"strategy={job.strategy}",
        f"seed={job.seed}",
        "privacy=none",
        *groups,
        "baselines=false",
        "engine.workers=1",
        *job.overrides,
        f"hydra.run.dir={folder}",
    ]


def run(job: Job, folder: Path) -> Outcome:
    """Run a job below `folder` to its end."""
    where = folder / f"{job.strategy}-{job.task}-{job.seed}"
    ended = subprocess.run(
        command(job, where), cwd=folder, capture_output=True, text=True, check=False
    )
    of_job = (job.strategy, job.task, job.seed)
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"it ended with code {ended.returncode}"]
        return Outcome(*of_job, None, None, said[-1].removeprefix("calyx: "))
    summary = json.loads((where / "summary.json").read_text())
    return Outcome(*of_job, summary["test_accuracy"], summary.get("personal_accuracy"), None)


def run_all(jobs: Sequence[Job]) -> list[Outcome]:
    """The outcomes of all jobs, in their order; progress goes to stderr."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(partial(run, folder=Path(folder)), jobs)
        console = Console(stderr=True)
        return list(track(done, "simulating", total=len(jobs), console=console))


def spread(values: Iterable[float | None]) -> str:
    """Mean ± standard deviation over seeds; a dash without values, no ± of one."""
    found = [v for v in values if v is not None]
    if not found:
        return DASH
    mean = f"{statistics.fmean(found):.3f}"
    return f"{mean} ± {statistics.stdev(found):.3f}" if len(found) > 1 else mean


def row(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(outcomes: Sequence[Outcome]) -> str:
    """Strategies × tasks in Markdown, with the notes below."""
    tasks = list(dict.fromkeys(o.task for o in outcomes))
    head = ["strategy", *(f"{TITLES[t]}{kind}" for t in tasks for kind in ("", ", own model"))]
    lines = [row(head), row("---" for _ in head)]
    for strategy in dict.fromkeys(o.strategy for o in outcomes):
        cells = [f"`{strategy}`"]
        for task in tasks:
            ours = [o for o in outcomes if (o.strategy, o.task) == (strategy, task)]
            cells += [spread(o.accuracy for o in ours), spread(o.personal for o in ours)]
        lines.append(row(cells))
    return "\n".join([*lines, *notes(outcomes)])


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """One line for each cell that lacks seeds, after an empty one."""
    missing: dict[tuple[str, str, str], list[int]] = {}
    for o in outcomes:
        if o.note is not None:
            missing.setdefault((o.strategy, o.task, o.note), []).append(o.seed)
    lines = [
        f"- `{strategy}` on {task}, seed {', '.join(map(str, seeds))}: {note}"
        for (strategy, task, note), seeds in missing.items()
    ]
    return ["", *lines] if lines else []


def pairs(outcomes: Sequence[Outcome]) -> str:
    """The differences from FedAvg at the same seed, in Markdown."""
    found = {(o.strategy, o.seed): o.accuracy for o in outcomes}
    head = ["strategy", "accuracy", "minus fedavg's, seed by seed", "seeds at least as good"]
    lines = [row(head), row("---" for _ in head)]
    for strategy in dict.fromkeys(o.strategy for o in outcomes):
        ours = [o for o in outcomes if o.strategy == strategy]
        base = [found.get(("fedavg", o.seed)) for o in ours]
        differences = [
            o.accuracy - b
            for o, b in zip(ours, base, strict=True)
            if o.accuracy is not None and b is not None
        ]
        good = f"{sum(d >= 0 for d in differences)} of {len(differences)}"
        cells = [spread(o.accuracy for o in ours), spread(differences), good]
        lines.append(row([f"`{strategy}`", *cells]))
    return "\n".join([*lines, *notes(outcomes)])


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """Every run that the options ask for."""
    strategies = PAIRED if options.pairs else options.only or (*SINGLE, *ROBUST)
    tasks = ("digits",) if options.pairs else options.tasks or tuple(TASKS)
    seeds = options.seeds or (PAIR_SEEDS if options.pairs else TABLE_SEEDS)
    jobs = []
    for strategy, task, seed in product(strategies, tasks, range(1, seeds + 1)):
        overrides = [f"rounds={options.rounds}"] if options.rounds else []
        folder = options.data / task if options.data else None
        if folder and folder.is_dir():
            overrides.append(f"task.data_dir={folder.absolute()}")
        overrides += options.overrides
        jobs.append(Job(strategy, task, seed, tuple(overrides)))
    return jobs


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _tasks(text: str) -> tuple[str, ...]:
    unknown = set(_names(text)) - set(TASKS)
    if unknown:
        raise argparse.ArgumentTypeError(f"no task {', '.join(sorted(unknown))} is compared here")
    return _names(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--seeds", type=_positive, help="seeds 1 to N; 3, and 5 of --pairs")
    parser.add_argument("--only", type=_names, help="NAME,…: these strategies")
    parser.add_argument("--tasks", type=_tasks, help="NAME,…: of digits, vowel, heart")
    parser.add_argument("--rounds", type=_positive, help="instead of the default config's")
    parser.add_argument("--data", type=Path, help="folder with the folders heart and vowel")
    parser.add_argument("--pairs", action="store_true", help="scaffold and fednova minus fedavg")
    parser.add_argument(
        "--with",
        dest="overrides",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of every run",
    )
    parser.add_argument("--json", action="store_true", help="every run, instead of the table")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and print a Markdown table, or JSON with every single run."""
    options = parser().parse_args(arguments)
    outcomes = run_all(jobs_of(options))
    shown = pairs(outcomes) if options.pairs else table(outcomes)
    text = json.dumps([asdict(o) for o in outcomes], indent=2) if options.json else shown
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
