"""How often drift alarms without cause, and how often with: `python -m benchmarks.drift`.

A window is one comparison of all columns. First the false alarms over windows of an unchanged
population, in which baseline and window are drawn anew each time; then the power: one column of 13
changes, and is found where that column itself is told. Suppression is the client's: a client
leaves out its own cells below 10, in both audits.

Shapes: W windows, C columns, B + 1 cells, of which the last is "missing".
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from calyx.seeding import rng
from calyx.statistics.drift import LIMITS, judge, measure

COLUMNS = (1, 13, 64)
SIZES = (200, 1000, 10_000)  # rows of a window
BASELINE = 10_000  # rows of the baseline
BINS = 16
LEAST = 10  # rows of a cell, below which a client leaves it out
CLIENTS = (0, 1, 5)  # that suppress, each with an equal part of the rows; 0: none
EDGES = np.linspace(-3, 3, BINS - 1)  # inner edges of the bins, in standard deviations
AT_ONCE = 100_000  # columns that are drawn at once

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What is compared: `clients` that suppress, each with an equal part of the rows; 0: none."""

    columns: int
    rows: int
    clients: int


@dataclass(frozen=True)
class Alarm:
    """Share of unchanged windows in which any column is told."""

    setting: Setting
    windows: int
    alarms: float


@dataclass(frozen=True)
class Power:
    """Share of windows in which a changed column is told at all, and as an alert."""

    change: str
    setting: Setting
    windows: int
    told: float
    alert: float


def normal(shift: float = 0.0, factor: float = 1.0, missing: float = 0.0) -> Shares:
    """Shares [B + 1] of a normal column that is shifted (in sd), times `factor`, with holes."""
    from scipy.special import ndtr

    inner = ndtr((EDGES - shift) / factor)
    return np.append(np.diff(np.r_[0.0, inner, 1.0]) * (1 - missing), missing)


def doubled() -> Shares:
    """Categories, of which the one with a share of 1/16 doubles at the cost of the others."""
    shares = np.full(BINS, (1 - 2 / BINS) / (BINS - 1))
    shares[3] = 2 / BINS
    return np.append(shares, 0.0)


@dataclass(frozen=True)
class Kind:
    """A column's shares [B + 1] in the baseline and in the window."""

    before: Shares
    after: Shares
    is_ordered: bool = True


_UNIFORM = np.append(np.full(BINS, 1 / BINS), 0.0)
UNCHANGED = (Kind(normal(), normal()), Kind(_UNIFORM, _UNIFORM, is_ordered=False))
CHANGES = {
    "mean + 0.25 sd": Kind(normal(), normal(0.25)),
    "mean + 0.5 sd": Kind(normal(), normal(0.5)),
    "mean + 1 sd": Kind(normal(), normal(1.0)),
    "unit × 10": Kind(normal(), normal(factor=10.0)),
    "a category of 1/16 doubles": Kind(_UNIFORM, doubled(), is_ordered=False),
    "20 % missing": Kind(normal(), normal(missing=0.2)),
}


def audit(draw: np.random.Generator, shares: Shares, rows: int, clients: int) -> Counts:
    """Sums [… B + 1] over clients of what each of them shows; `shares` [… B + 1]."""
    if clients == 0:
        return draw.multinomial(rows, shares)
    total = np.zeros(shares.shape, dtype=np.int64)
    for part in np.diff(np.linspace(0, rows, clients + 1).astype(np.int64)):
        own = draw.multinomial(part, shares)
        total += np.where(own < LEAST, 0, own)
    return total


def levels(draw: np.random.Generator, kinds: Sequence[Kind], of: Setting, windows: int) -> Counts:
    """Severities [W, C] of columns of these kinds, 0 to 2."""
    sides = []
    for change, rows in ((False, BASELINE), (True, of.rows)):
        shares = np.stack([kind.after if change else kind.before for kind in kinds])
        every = np.broadcast_to(shares, (windows, *shares.shape))
        sides.append(audit(draw, every, rows, of.clients).astype(np.float64))
    hidden = of.clients * (LEAST - 1)
    measures = measure(sides[0], sides[1], (hidden, hidden))
    return judge(measures, np.array([kind.is_ordered for kind in kinds]))


def false_alarms(of: Setting, windows: int, seed: int) -> Alarm:
    """Windows in which nothing changed; every other column is one of categories."""
    draw = rng(seed, f"benchmark-drift-none-{of}")
    kinds = [UNCHANGED[i % 2] for i in range(of.columns)]
    found, left = 0, windows
    while left > 0:
        now = min(left, max(1, AT_ONCE // of.columns))
        found += int((levels(draw, kinds, of, now) > 0).any(-1).sum())
        left -= now
    return Alarm(of, windows, found / windows)


def power(change: str, of: Setting, windows: int, seed: int) -> Power:
    """Windows in which the first column changed, and the others did not."""
    draw = rng(seed, f"benchmark-drift-{change}-{of}")
    kinds = [CHANGES[change], *(UNCHANGED[i % 2] for i in range(of.columns - 1))]
    first = levels(draw, kinds, of, windows)[:, 0]
    return Power(change, of, windows, float((first > 0).mean()), float((first > 1).mean()))


def tables(alarms: Sequence[Alarm], powers: Sequence[Power]) -> list[Table]:
    """What a person reads."""
    false = Table("columns", "rows", "suppression", "windows", "alarms", title="Unchanged windows")
    for a in alarms:
        of = a.setting
        false.add_row(
            f"{of.columns}", f"{of.rows:,}", _hiding(of), f"{a.windows:,}", f"{a.alarms:.2%}"
        )
    true = Table("change", "rows", "suppression", "told", "as an alert", title="Changed columns")
    for p in powers:
        of = p.setting
        true.add_row(p.change, f"{of.rows:,}", _hiding(of), f"{p.told:.0%}", f"{p.alert:.0%}")
    return [false, true]


def _hiding(of: Setting) -> str:
    return f"below {LEAST}, {of.clients} client{'s' * (of.clients > 1)}" if of.clients else "none"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--json` prints the figures alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--windows", type=int, default=2000, help="unchanged windows a setting")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    settings = [Setting(c, r, k) for k in CLIENTS for r in SIZES for c in COLUMNS]
    alarms = [
        false_alarms(of, options.windows, options.seed)
        for of in track(settings, "unchanged windows", console=console)
    ]
    jobs = [(name, Setting(13, r, k)) for name in CHANGES for k in CLIENTS for r in SIZES]
    powers = [
        power(name, of, max(1, options.windows // 4), options.seed)
        for name, of in track(jobs, "changed columns", console=console)
    ]
    if options.json:
        found = {"limits": asdict(LIMITS), "baseline": BASELINE}
        found |= {"alarms": [asdict(a) for a in alarms], "power": [asdict(p) for p in powers]}
        Console().print_json(json.dumps(found))
    else:
        console.print(*tables(alarms, powers))


if __name__ == "__main__":
    main()
