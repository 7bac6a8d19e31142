"""Small federations of CSV folders with what upsets figures: made from a number, whole in memory.

Values from 1e-30 to 1e30, ranges a million times too wide, holes that depend on the label, a column
that one site lacks, a site of one row, one of one class, rows that stand twice.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = ("well", "ill", "dead")
WORDS = ("left", "right")
MIN_CELLS = (1, 1, 2, 10, 50)


@dataclass(frozen=True)
class Made:
    """A federation's rows by site, as pandas reads them, and how it is run."""

    folder: Path
    sites: dict[str, pd.DataFrame]
    classes: tuple[str, ...]  # none of a regression
    target: tuple[float, float]  # center and scale of a regression's
    ranges: dict[str, tuple[float, float]]  # of numeric columns
    options: dict[str, object]

    @property
    def overrides(self) -> list[str]:
        """The command line of its run."""
        words = [f"{key}={value}" for key, value in self.options.items()]
        return ["task=csv", f"task.data_dir={self.folder}", *words]


def make(folder: Path, seed: int) -> Made:
    """The federation number `seed`, written into `folder`."""
    draw = np.random.default_rng(seed)
    classes = CLASSES[: 2 + seed // 2 % 2] if seed % 2 == 0 else ()
    sizes = [int(n) for n in draw.choice([1, 2, 8, 25, 60], size=int(draw.integers(2, 6)))]
    sizes[0] = max(sizes[0], 25)  # somebody can train
    magnitude = {name: 10.0 ** draw.integers(-30, 29) for name in ("a", "b")}
    width = {name: float(draw.choice([2, 1e1, 1e6])) for name in magnitude}
    ranges = {n: (-_bound(m * width[n]), _bound(m * width[n])) for n, m in magnitude.items()}
    scale = 10.0 ** draw.integers(-12, 12)
    target = (scale * float(draw.choice([0, 3, -50])), scale)
    sites = {f"site-{i}": _rows(draw, n, (magnitude, classes, target)) for i, n in enumerate(sizes)}
    if len(sites) > 2:  # one that lacks a column, and one of one class
        sites["site-1"]["b"] = np.nan
        if classes:
            sites["site-2"]["y"] = classes[0]
    options = {
        "rounds": 1 + seed % 2,
        "task.hidden": int(draw.choice([0, 3])),
        "strategy": ("fedavg", "ditto", "fedbn")[seed % 3],
        "privacy": "none",
        "privacy.weighting": ("examples", "equal")[seed // 3 % 2],
        "preprocessing": ("local", "federated")[seed // 6 % 2],
        "client.policy.min_cell": MIN_CELLS[int(draw.integers(len(MIN_CELLS)))],
        "audit.fail_on": "never",
        "evaluate": "separate",
        "engine.workers": 0,
        "training.epochs": 1,
        "min_replies": 1,
        "baselines": str(seed % 4 == 0).lower(),
    }
    if options["strategy"] == "fedbn":
        options["task.hidden"] = 3  # the last layer stays, so there must be another
    if options["preprocessing"] == "federated":  # refused where no site gives anything
        options["client.policy.min_cell"] = min(10, int(options["client.policy.min_cell"]))
    made = Made(folder, sites, classes, target, ranges, options)
    _write(made)
    return made


def _bound(value: float) -> float:
    return min(1e30, value)


def _rows(draw: np.random.Generator, n: int, of: tuple) -> pd.DataFrame:
    magnitude, classes, (center, scale) = of
    z = draw.normal(size=n)
    noise = draw.normal(size=n)
    if classes:
        y = np.array(classes)[np.digitize(z, [-0.3, 0.8][: len(classes) - 1])]
        is_high = y == classes[0]
    else:
        y = center + scale * (z + 0.3 * noise)
        if draw.random() < 0.5:
            y[0] = center + scale * 10.0 ** draw.integers(2, 9)  # one large target
        is_high = z > 0
    frame = pd.DataFrame(
        {
            "a": magnitude["a"] * np.clip(z / 2, -1.9, 1.9),
            "b": magnitude["b"] * np.clip(noise / 2, -1.9, 1.9),
            "c": np.array(WORDS)[(draw.random(n) < 0.3).astype(int)],
            "y": y,
        }
    )
    holes = draw.random(n) < np.where(is_high, 0.4, 0.05)  # they depend on the label
    frame.loc[holes, "a"] = np.nan
    if n > 4:
        frame = pd.concat([frame, frame.iloc[:2]], ignore_index=True)  # two stand twice
    return frame


def _write(made: Made) -> None:
    made.folder.mkdir(parents=True, exist_ok=True)
    columns = [
        f"  {name}: {{kind: numeric, low: {low:.17e}, high: {high:.17e}, may_be_missing: true}}"
        for name, (low, high) in made.ranges.items()
    ]
    columns.append(f"  c: {{kind: categorical, categories: [{', '.join(WORDS)}]}}")
    center, scale = made.target
    target = f"center: {center:.17e}, scale: {scale:.17e}"
    if made.classes:
        target = f"classes: [{', '.join(made.classes)}]"
    text = "\n".join(["columns:", *columns, f"target: {{name: y, {target}}}", ""])
    (made.folder / "schema.yaml").write_text(text)
    for name, frame in made.sites.items():
        frame.to_csv(made.folder / f"{name}.csv", index=False, float_format="%.17g")
