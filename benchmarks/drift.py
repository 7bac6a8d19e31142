"""How often drift alarms without cause, and how often with: `python -m benchmarks.drift`.

It goes the product's way: five sites measure their own rows, their sums are added up and read, and
two audits are compared. A window is one comparison of all columns and of the labels, which never
change here. First the false alarms over windows of an unchanged population, in which baseline and
window are drawn anew each time; then the power: one column of 13 changes, and it counts what is
said of that column itself.

Shapes: N rows of a site, C columns.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table as Shown

from calyx.data.schema import Column, Schema, Table
from calyx.findings.baseline import compare_figures
from calyx.findings.drift import LIMITS, Drift
from calyx.findings.figures import Figures, Sums, read_sums
from calyx.seeding import rng
from calyx.survey.blocks import ALL, ITEMS, Survey
from calyx.survey.measuring import measure

COLUMNS = (1, 13, 64)
SIZES = (200, 1000, 10_000)  # rows of a window, of all sites together
HIDING = (1, 10)  # rows of a cell, below which a site hides it; 1: nothing is hidden
BASELINE = 10_000  # rows of the baseline
SITES = 5  # each with an equal part of the rows
BINS = 16
CATEGORIES = tuple(map(float, range(16)))
RANGE = 50.0  # declared, in standard deviations to either side
MANY = 20  # columns, from which on a setting gets half of the windows

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What is compared: a window of so many columns and rows, of sites that hide cells below `least`."""

    columns: int
    rows: int
    least: int


@dataclass(frozen=True)
class Alarm:
    """Shares of unchanged windows in which any column is told, and of columns that are unknown."""

    setting: Setting
    windows: int
    alarms: float
    unknown: float


@dataclass(frozen=True)
class Power:
    """Shares of windows in which a changed column is told at all, as an alert, or is unknown."""

    change: str
    setting: Setting
    windows: int
    told: float
    alert: float
    unknown: float


@dataclass(frozen=True)
class Numbers:
    """A normal column in standard deviations: shifted, times `factor`, and a share of it missing."""

    shift: float = 0.0
    factor: float = 1.0
    missing: float = 0.0

    def draw(self, of: np.random.Generator, count: int) -> Values:
        """Values [count], NaN where missing."""
        values = of.normal(self.shift, self.factor, count)
        return np.where(of.random(count) < self.missing, np.nan, values)


@dataclass(frozen=True)
class Categories:
    """Sixteen categories, of which the one at place 3 has this share, and the others equal ones."""

    share: float = 1 / len(CATEGORIES)

    def draw(self, of: np.random.Generator, count: int) -> Values:
        """Categories [count]."""
        shares = np.full(len(CATEGORIES), (1 - self.share) / (len(CATEGORIES) - 1))
        shares[3] = self.share
        return of.choice(CATEGORIES, count, p=shares)


Kind = Numbers | Categories
UNCHANGED: tuple[Kind, ...] = (Numbers(), Categories())
CHANGES: dict[str, tuple[Kind, Kind]] = {  # the column before and after
    "mean + 0.25 sd": (Numbers(), Numbers(shift=0.25)),
    "mean + 0.5 sd": (Numbers(), Numbers(shift=0.5)),
    "mean + 1 sd": (Numbers(), Numbers(shift=1.0)),
    "unit × 10": (Numbers(), Numbers(factor=10.0)),
    "a category of 1/16 doubles": (Categories(), Categories(2 / len(CATEGORIES))),
    "20 % missing": (Numbers(), Numbers(missing=0.2)),
}


def audit(of: np.random.Generator, kinds: Sequence[Kind], rows: int, least: int) -> Figures:
    """What sums over all sites tell of columns of these kinds, where a site hides cells below `least`."""
    survey = Survey(Schema(tuple(map(_column, range(len(kinds)), kinds)), ("a", "b")), BINS, (ALL,))
    total: Sums = {}
    for count in np.diff(np.linspace(0, rows, SITES + 1).astype(np.int64)).tolist():
        x = np.column_stack([kind.draw(of, count) for kind in kinds])
        table = Table(x, of.integers(0, 2, count))
        own = measure(survey, {ALL: table}, least, ITEMS)
        total = {name: cells + total.get(name, 0) for name, cells in own.items()}
    return read_sums(total, survey, SITES)


def _column(place: int, kind: Kind) -> Column:
    if isinstance(kind, Categories):
        return Column(f"x{place}", "categorical", categories=CATEGORIES)
    return Column(f"x{place}", "numeric", may_be_missing=True, low=-RANGE, high=RANGE)


def window(of: np.random.Generator, setting: Setting, changed: tuple[Kind, Kind]) -> list[Drift]:
    """The drifts of one window, of which the first column is `changed` and all others are not."""
    others = [UNCHANGED[i % 2] for i in range(1, setting.columns)]
    before, after = (
        audit(of, [first, *others], rows, setting.least)
        for first, rows in zip(changed, (BASELINE, setting.rows), strict=True)
    )
    return compare_figures(before, after, BINS)


def false_alarms(setting: Setting, windows: int, seed: int) -> Alarm:
    """Windows in which nothing changed; every other column is one of categories."""
    of = rng(seed, f"benchmark-drift-none-{setting}")
    told = unknown = 0
    for _ in range(windows):
        severities = [d.severity for d in window(of, setting, (UNCHANGED[0], UNCHANGED[0]))]
        told += any(severity in ("warning", "alert") for severity in severities)
        unknown += severities[: setting.columns].count("unknown")
    return Alarm(setting, windows, told / windows, unknown / (windows * setting.columns))


def power(change: str, setting: Setting, windows: int, seed: int) -> Power:
    """Windows in which the first column changed, and the others did not."""
    of = rng(seed, f"benchmark-drift-{change}-{setting}")
    found = [window(of, setting, CHANGES[change])[0].severity for _ in range(windows)]
    warned, alerts, unknown = (found.count(s) / windows for s in ("warning", "alert", "unknown"))
    return Power(change, setting, windows, warned + alerts, alerts, unknown)


def tables(alarms: Sequence[Alarm], powers: Sequence[Power]) -> list[Shown]:
    """What a person reads."""
    false = Shown(
        *("columns", "rows", "hidden", "windows", "alarms", "columns unknown"),
        title="Unchanged windows",
    )
    for a in alarms:
        of = a.setting
        cells = (f"{of.columns}", f"{of.rows:,}", _hiding(of), f"{a.windows:,}")
        false.add_row(*cells, f"{a.alarms:.2%}", f"{a.unknown:.0%}")
    true = Shown(
        *("change", "rows", "hidden", "windows", "told", "as an alert", "unknown"),
        title="Changed columns",
    )
    for p in powers:
        of = p.setting
        cells = (p.change, f"{of.rows:,}", _hiding(of), f"{p.windows:,}")
        true.add_row(*cells, f"{p.told:.0%}", f"{p.alert:.0%}", f"{p.unknown:.0%}")
    return [false, true]


def _hiding(of: Setting) -> str:
    return "nothing" if of.least == 1 else f"cells below {of.least}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--json` prints the figures alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--windows",
        type=int,
        default=200,
        help=f"unchanged ones; half of it from {MANY} columns on",
    )
    parser.add_argument("--changed", type=int, default=30, help="windows with a change")
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS, help="of false alarms")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="of a window")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    settings = [Setting(c, r, k) for k in HIDING for r in options.rows for c in options.columns]
    alarms = [
        false_alarms(of, _windows(options.windows, of), options.seed)
        for of in track(settings, "unchanged windows", console=console)
    ]
    jobs = [(name, Setting(13, r, k)) for name in CHANGES for k in HIDING for r in options.rows]
    powers = [
        power(name, of, options.changed, options.seed)
        for name, of in track(jobs, "changed columns", console=console)
    ]
    if options.json:
        found = {"limits": asdict(LIMITS), "baseline": BASELINE, "sites": SITES}
        found |= {"alarms": [asdict(a) for a in alarms], "power": [asdict(p) for p in powers]}
        Console().print_json(json.dumps(found))
    else:
        console.print(*tables(alarms, powers))


def _windows(wanted: int, of: Setting) -> int:
    return max(1, wanted // 2 if of.columns >= MANY else wanted)


if __name__ == "__main__":
    main()
