"""How far a model stands rows that are moved against it, with adversarial training and without.

`python -m benchmarks.adversarial` prints the table of docs/strategies.md. For each seed ε is that of a
grid at which the accuracy of the plain model comes nearest to the half; then models are trained against
FGSM and PGD at this ε. Every figure is of the test rows of a `calyx simulate`, moved by each client
against the released model by PGD in ten steps from a random start.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import track

SEEDS = (1, 2, 3)
GRID = (0.08, 0.10, 0.12, 0.14)
NEVER = 1_000_000  # rounds: only the test asks


@dataclass(frozen=True)
class Standing:
    """One model, on everybody's test rows as they are, and as they are moved by `epsilon`."""

    accuracy: float
    robust: float
    epsilon: float


def command(task: str, seed: int, epsilon: float, method: str | None, folder: Path) -> list[str]:
    """The `calyx simulate` of one model that writes its run to `folder`; no method trains plainly."""
    trained = f"strategy.local.adversarial={{method:{method},epsilon:{epsilon}}}"
    return [
        str(Path(sys.executable).with_name("calyx")),
        "simulate",
        f"task={task}",
        f"seed={seed}",
        "privacy=none",
        "baselines=false",
        "engine.workers=1",
        f"robust.every={NEVER}",
        f"robust.epsilon={epsilon}",
        *([trained] if method else []),
        f"hydra.run.dir={folder}",
    ]


def measure(task: str, seed: int, epsilon: float, method: str | None, folder: Path) -> Standing:
    """Train one model below `folder`. Raises RuntimeError with the program's words where that fails."""
    where = folder / f"{seed}-{epsilon}-{method}"
    done = subprocess.run(
        command(task, seed, epsilon, method, where), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    summary = json.loads((where / "summary.json").read_text())
    return Standing(summary["test_accuracy"], summary["test_robust_accuracy"], epsilon)


def nearest_to_half(standings: Sequence[Standing]) -> Standing:
    """The one whose accuracy on moved rows is nearest to half of that on rows as they are."""
    return min(standings, key=lambda one: abs(one.robust - one.accuracy / 2))


def table(rows: dict[str, list[Standing]]) -> str:
    """Means over the seeds, in Markdown."""
    lines = ["| training | ε | accuracy | robust accuracy |", "| --- | --- | --- | --- |"]
    for name, standings in rows.items():
        spread = sorted({one.epsilon for one in standings})
        epsilon = f"{spread[0]:g}" if len(spread) == 1 else f"{spread[0]:g} to {spread[-1]:g}"
        cells = [
            _shown([getattr(one, field) for one in standings]) for field in ("accuracy", "robust")
        ]
        lines.append(f"| {name} | {epsilon} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="digits")
    task = parser.parse_args().task
    rows: dict[str, list[Standing]] = {"plain": [], "fgsm": [], "pgd": []}
    with TemporaryDirectory() as folder:
        for seed in track(SEEDS, "training"):
            plain = [measure(task, seed, epsilon, None, Path(folder)) for epsilon in GRID]
            rows["plain"].append(nearest_to_half(plain))
            epsilon = rows["plain"][-1].epsilon
            for method in ("fgsm", "pgd"):
                rows[method].append(measure(task, seed, epsilon, method, Path(folder)))
    print(table(rows))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
