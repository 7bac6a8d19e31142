"""Runs to compare, sorted into groups: those that differ in nothing but their seed are one line. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import mean, stdev
from typing import Any

import yaml

from cli.report.folder import Run
from cli.report.scales import Point

SET_ASIDE = ("seed", "baselines", "tensorboard", "mlflow", "task.data_dir", "client.data_dir")
TARGET_SHARE = 0.95


@dataclass(frozen=True)
class Group:
    """Runs whose configs differ in the seed only; `settings` are those that set it apart."""

    settings: tuple[tuple[str, str], ...]
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """What sets it apart, in a line."""
        words = (f"{key.removesuffix('.name')}={value}" for key, value in self.settings)
        return "  ".join(words) or "all runs"

    @property
    def finished(self) -> tuple[Run, ...]:
        """Those with a summary."""
        return tuple(run for run in self.runs if run.summary is not None)

    @property
    def scores(self) -> list[float]:
        """Test accuracy, or R², of the finished runs."""
        values = (run.summary.test_accuracy for run in self.finished if run.summary)
        return [value for value in values if value is not None]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds; the latter is None for a single one."""

    mean: float
    sd: float | None


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are known; None if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(mean(known), stdev(known) if len(known) > 1 else None)


def grouped(runs: Sequence[Run]) -> list[Group]:
    """The groups, the best mean score first, those without one last."""
    flat = [_flat(_config(run)) for run in runs]
    keys = sorted({key for one in flat for key in one})
    differ = [key for key in keys if len({one.get(key, "–") for one in flat}) > 1]
    found: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run, one in zip(runs, flat, strict=True):
        found.setdefault(tuple((key, one.get(key, "–")) for key in _said(differ)), []).append(run)
    groups = [Group(settings, tuple(members)) for settings, members in found.items()]
    return sorted(groups, key=lambda g: -mean(g.scores) if g.scores else 1.0)


def _said(differ: Sequence[str]) -> list[str]:
    """Without what follows from another one: a group's keys differ because its name does."""
    names = {key.removesuffix("name") for key in differ if key.endswith(".name")}
    return [k for k in differ if k.endswith(".name") or not k.startswith(tuple(names))] or []


def _config(run: Run) -> dict[str, Any]:
    values = yaml.safe_load(run.config_text)
    return values if isinstance(values, dict) else {}


def _flat(values: Mapping[str, Any], head: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        path = f"{head}{key}"
        if path in SET_ASIDE or path in ("hardware", "client", "engine"):
            continue
        if isinstance(value, dict):
            found |= _flat(value, f"{path}.")
        else:
            found[path] = "null" if value is None else str(value)
    return found


def curve(
    group: Group, figure: Callable[[Any], float | None], xs: Callable[[Run], list[float]]
) -> list[tuple[float, float, float]]:
    """(x, mean, sd) over the group's runs, round by round, as far as all of them go."""
    columns = [list(zip(xs(run), map(figure, run.rounds), strict=True)) for run in group.runs]
    found = []
    for row in zip(*columns, strict=False):
        values = [y for _, y in row if y is not None]
        if len(values) == len(row):
            x = mean(x for x, _ in row)
            found.append((x, mean(values), stdev(values) if len(values) > 1 else 0.0))
    return found


def by_round(run: Run) -> list[float]:
    """The rounds' numbers."""
    return [float(row.round) for row in run.rounds]


def bytes_so_far(run: Run) -> list[float]:
    """Bytes up and down after each round."""
    return [float(b) for b in accumulate(row.bytes_up + row.bytes_down for row in run.rounds)]


def target_of(runs: Sequence[Run]) -> float | None:
    """95 % of the best validation score of any run."""
    values = [row.val_accuracy for run in runs for row in run.rounds]
    known = [value for value in values if value is not None]
    return TARGET_SHARE * max(known) if known else None


def reached(run: Run, target: float | None) -> tuple[float, float] | None:
    """(round, bytes) after which a run first reaches the target; None if it never does."""
    if target is None:
        return None
    for row, sent in zip(run.rounds, bytes_so_far(run), strict=True):
        if row.val_accuracy is not None and row.val_accuracy >= target:
            return float(row.round), sent
    return None


def points(rows: Sequence[tuple[float, float, float]]) -> list[Point]:
    """The means of a curve."""
    return [(x, y) for x, y, _ in rows]
