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
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
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


@dataclass(frozen=True)
class Bench:
    """What all runs have in common."""

    overrides: tuple[str, ...]
    folder: Path

    def measure(self, seed: int, epsilon: float, method: str | None) -> Standing:
        """Train one model, plainly without a method. Raises RuntimeError with the program's words."""
        where = self.folder / f"{seed}-{epsilon}-{method}"
        trained = f"strategy.local.adversarial={{method:{method},epsilon:{epsilon}}}"
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("calyx")),
                "simulate",
                f"seed={seed}",
                "privacy=none",
                "baselines=false",
                "engine.workers=1",
                f"robust.every={NEVER}",
                f"robust.epsilon={epsilon}",
                *([trained] if method else []),
                *self.overrides,
                f"hydra.run.dir={where}",
            ],
            capture_output=True,
            text=True,
            check=False,
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


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options.add_argument("--epsilons", type=float, nargs="+", default=GRID)
    options.add_argument("--with", dest="overrides", nargs="+", default=(), help="of every run")
    options.add_argument("--json", action="store_true", help="print every model's figures")
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parser().parse_args(words)
    rows: dict[str, list[Standing]] = {"plain": [], "fgsm": [], "pgd": []}
    with TemporaryDirectory() as folder:
        bench = Bench(tuple(options.overrides), Path(folder))
        for seed in track(options.seeds, "training", console=Console(stderr=True)):
            plain = [bench.measure(seed, epsilon, None) for epsilon in options.epsilons]
            rows["plain"].append(nearest_to_half(plain))
            epsilon = rows["plain"][-1].epsilon
            for method in ("fgsm", "pgd"):
                rows[method].append(bench.measure(seed, epsilon, method))
    told = {name: [asdict(one) for one in standings] for name, standings in rows.items()}
    print(json.dumps(told) if options.json else table(rows))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
