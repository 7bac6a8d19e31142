"""What the joblib launcher saves: a sweep's jobs side by side against the same one after another.

`python -m benchmarks.sweep` prints a table, `--json` one JSON object and nothing else. Both sweeps
are whole commands, start-up included, each job with `engine.workers=1`, and end with the same
models. The second one is as warm as the machine's disk makes it; nothing else is shared.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from calyx.machine.hardware import cores

LAUNCHERS = {"one_by_one": "basic", "side_by_side": "joblib"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=40, help="of each job, on digits")
    options = parser.parse_args(arguments)
    figures = measure(options.jobs, options.rounds)
    if options.json:
        json.dump(figures, sys.stdout)
        return
    _print(figures)


def measure(jobs: int, rounds: int) -> dict[str, float]:
    """Seconds of both sweeps, and their ratio. Raises SystemExit if they differ in a model."""
    found: dict[str, float] = {"cores": cores(), "jobs": jobs, "rounds": rounds}
    models = []
    for name, launcher in LAUNCHERS.items():
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            _sweep(Path(folder), launcher, jobs, rounds)
            found[f"{name}_s"] = round(time.monotonic() - started, 2)
            rows = csv.DictReader((Path(folder) / "sweep.csv").read_text().splitlines())
            models.append([row["model_sha256"] for row in rows])
    if models[0] != models[1]:
        raise SystemExit("the two sweeps ended with different models")
    found["ratio"] = round(found["side_by_side_s"] / found["one_by_one_s"], 3)
    return found


def _sweep(folder: Path, launcher: str, jobs: int, rounds: int) -> None:
    """One sweep, as a user starts it."""
    words = [
        f"seed=range(1,{jobs + 1})",
        f"rounds={rounds}",
        "stopping.patience=null",
        "engine.workers=1",
        f"hydra/launcher={launcher}",
        f"hydra.sweep.dir={folder}",
    ]
    program = [str(Path(sys.executable).parent / "calyx"), "simulate", "-m", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the sweep failed: {done.stderr.strip()}")


def _print(figures: dict[str, float]) -> None:
    table = Table(title=f"{figures['jobs']} jobs on {figures['cores']} cores, seconds")
    for key in LAUNCHERS:
        table.add_column(key.replace("_", " "), justify="right")
    table.add_column("ratio", justify="right")
    table.add_row(*(str(figures[f"{key}_s"]) for key in LAUNCHERS), str(figures["ratio"]))
    Console().print(table)


if __name__ == "__main__":
    main()
