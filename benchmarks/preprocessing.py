"""Whose mean and scale? heart with federated constants and with each hospital's own.

`python -m benchmarks.preprocessing --data DIR` trains both over random splits, three sweeps of
`calyx simulate`, and prints Markdown. *All* is `task=heart`, whose marks for missing values tell the
hospitals apart. *Complete* leaves out the three columns that are nearly empty outside Cleveland, and
every row with a missing value: then only the columns' scale is left to tell them. *As numbers*, all
that the schema knows is left out too, as often is done: the zeros of chol and trestbps count as
values, categories as numbers, and nothing is clipped.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from benchmarks.comparison import row, spread
from calyx.data.schema import Column, without_codes
from calyx.tasks.heart import COLUMNS, SHA256, read_table

SEEDS = 20
EMPTY = ("slope", "ca", "thal")  # nearly so outside Cleveland
WAYS = ("local", "federated")


@dataclass(frozen=True)
class Compared:
    """Test accuracy by seed, of the same splits."""

    rows: str
    local: tuple[float, ...]
    federated: tuple[float, ...]

    @property
    def gains(self) -> tuple[float, ...]:
        """Federated minus local, seed by seed."""
        return tuple(f - o for f, o in zip(self.federated, self.local, strict=True))


def write_complete_rows(source: Path, folder: Path, *, as_numbers: bool) -> int:
    """Heart's complete rows as a folder of the csv task; how many there are."""
    columns = [_as_number(column) if as_numbers else column for column in COLUMNS]
    kept = [i for i, column in enumerate(columns) if column.name not in EMPTY]
    names, written = [columns[i].name for i in kept], 0
    for hospital in SHA256:
        path = source / f"processed.{hospital}.data"
        table = read_table(path.read_text(), path.name)
        x = np.column_stack([without_codes(table.x[:, i], columns[i]) for i in kept])
        complete = ~np.isnan(x).any(axis=1)
        with (folder / f"{hospital}.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow([*names, "disease"])
            lines.writerows(
                [*map(float, values), ("no", "yes")[label]]
                for values, label in zip(x[complete], table.y[complete], strict=True)
            )
        written += int(complete.sum())
    schema = {
        "target": {"name": "disease", "classes": ["no", "yes"]},
        "columns": {columns[i].name: _described(columns[i]) for i in kept},
    }
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema))
    return written


def _as_number(column: Column) -> Column:
    """Categories as numbers, and codes for "missing" as values."""
    known = (*column.categories, *column.missing_codes)
    ends = [end for end in (column.low, column.high) if end is not None]
    low, high = min(*ends, *known), max(*ends, *known)
    return replace(column, kind="numeric", categories=(), missing_codes=(), low=low, high=high)


def _described(column: Column) -> dict[str, object]:
    if column.categories:
        return {"kind": "categorical", "categories": [f"{c:g}" for c in column.categories]}
    return {"kind": "numeric", "low": column.low, "high": column.high}


def compare(rows: str, words: Sequence[str], seeds: int) -> Compared:
    """One sweep over seeds and both ways. Raises SystemExit if it fails."""
    with TemporaryDirectory() as folder:
        swept = [
            *words,
            f"preprocessing={','.join(WAYS)}",
            f"seed=range(1,{seeds + 1})",
            "privacy=none",  # the same bytes, sooner
            "engine.workers=1",
            "hydra/launcher=joblib",
            f"hydra.sweep.dir={folder}",
        ]
        program = [str(Path(sys.executable).with_name("calyx")), "simulate", "-m", *swept]
        ended = subprocess.run(program, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"the sweep failed: {ended.stderr.strip()}")
        table = list(csv.DictReader((Path(folder) / "sweep.csv").read_text().splitlines()))
    local, federated = (
        tuple(float(r["test_accuracy"]) for r in table if r["preprocessing"] == way) for way in WAYS
    )
    return Compared(rows, local, federated)


def table(found: Sequence[Compared]) -> str:
    """Mean ± standard deviation over splits, in Markdown."""
    head = ["rows", "each hospital's own", "federated", "difference", "splits at least as good"]
    lines = [row(head), row("---" for _ in head)]
    for one in found:
        good = f"{sum(gain >= 0 for gain in one.gains)} of {len(one.gains)}"
        error = statistics.stdev(one.gains) / len(one.gains) ** 0.5 if len(one.gains) > 1 else 0.0
        gain = f"{statistics.fmean(one.gains):+.3f} (standard error {error:.3f})"
        lines.append(row([one.rows, spread(one.local), spread(one.federated), gain, good]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and print a Markdown table, or JSON with every single run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocessing", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of processed.*.data")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rounds", type=int, help="instead of the default config's")
    parser.add_argument("--json", action="store_true", help="every run, instead of the table")
    options = parser.parse_args(arguments)
    more = [f"rounds={options.rounds}"] if options.rounds else []
    every = compare(
        "all", ["task=heart", f"task.data_dir={options.data.absolute()}", *more], options.seeds
    )
    found = [every]
    for as_numbers in (False, True):
        with TemporaryDirectory() as folder:
            count = write_complete_rows(options.data, Path(folder), as_numbers=as_numbers)
            words = ["task=csv", f"task.data_dir={folder}", "task.hidden=0", "task.w_max=256"]
            words += ["training.epochs=2", "training.batch_size=16", *more]  # heart's
            words += ["preprocessing.outliers=keep"] * as_numbers
            name = f"complete{', as numbers' * as_numbers}, {count}"
            found.append(compare(name, words, options.seeds))
    shown = json.dumps([asdict(one) for one in found], indent=2) if options.json else table(found)
    sys.stdout.write(f"{shown}\n")


if __name__ == "__main__":
    main()
