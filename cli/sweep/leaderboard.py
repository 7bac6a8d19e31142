"""Who leads: jobs that differ only in their seed are one line, sorted by what stopping watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.config import Stopping
from cli.sweep.outcomes import Outcome, objective_of, settings_of, swept_keys

SHOWN = 20  # lines; the rest is in sweep.csv
WIDE = 160  # columns where no terminal says how many there are
_SCORES = ("test_accuracy", "test_r2", "personal_accuracy", "rounds", "seconds")


@dataclass(frozen=True)
class Standing:
    """Jobs with the same overrides but for `seed`; `values` are those of the finished ones."""

    settings: tuple[tuple[str, str], ...]
    jobs: tuple[Outcome, ...]
    values: tuple[float, ...]


def standings(outcomes: Sequence[Outcome], stopping: Stopping) -> list[Standing]:
    """The best mean first; groups of which no job is finished come last."""
    keys = [key for key in swept_keys(outcomes) if key != "seed"]
    groups: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for outcome in outcomes:
        settings = settings_of(outcome.overrides)
        groups.setdefault(tuple((k, settings.get(k, "")) for k in keys), []).append(outcome)
    found = []
    for settings_, jobs in groups.items():
        values = [objective_of(job, stopping.monitor) for job in jobs]
        finished = tuple(value for value in values if value is not None)
        found.append(Standing(settings_, tuple(jobs), finished))
    sign = 1 if stopping.mode == "min" else -1
    return sorted(found, key=lambda one: sign * mean(one.values) if one.values else float("inf"))


def print_leaderboard(outcomes: Sequence[Outcome], stopping: Stopping) -> None:
    """A table of the standings, then a line for each job that is not finished, and why."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDE))
    # What a search gave up has no figures to be ranked by; it has its line below.
    ranked = [
        one
        for one in standings(outcomes, stopping)
        if any(job.status != "pruned" for job in one.jobs)
    ]
    title = f"leaderboard by the best round's {stopping.monitor}, mean ± sd over seeds"
    console.print()
    console.print(title, style="bold", highlight=False)
    console.print(_table(ranked[:SHOWN], stopping))
    if len(ranked) > SHOWN:
        console.print(f"and {len(ranked) - SHOWN} more lines in sweep.csv", style="dim")
    pruned = [str(one.job) for one in outcomes if one.status == "pruned"]
    if pruned:
        console.print(f"pruned: {', '.join(pruned)}", style="dim", highlight=False)
    keys = swept_keys(outcomes)
    for one in outcomes:
        if one.status in ("finished", "pruned"):
            continue
        settings = settings_of(one.overrides)
        words = " ".join(f"{key}={settings[key]}" for key in keys if key in settings)
        line = f"job {one.job}  {words}  {one.status}{': ' if one.error else ''}{one.error}"
        style = "red" if one.status == "failed" else "yellow"
        console.print(Text(line, style=style), soft_wrap=True)


def _table(ranked: Sequence[Standing], stopping: Stopping) -> Table:
    table = Table(box=SIMPLE_HEAD)
    keys = [key for key, _ in ranked[0].settings] if ranked else []
    known = {key for one in ranked for job in one.jobs for key in job.figures}
    scores = [key for key in _SCORES if key in known]
    for key in keys:
        table.add_column(key, overflow="fold", min_width=min(len(key), 12))
    for key in ("jobs", f"best_{stopping.monitor}", *scores):
        table.add_column(key, justify="right", no_wrap=True)
    for place, one in enumerate(ranked):
        done = len(one.values)
        jobs = str(done) if done == len(one.jobs) else f"{done} of {len(one.jobs)}"
        cells = [spread(one.values), *(_cell(one, key) for key in scores)]
        style = "bold green" if place == 0 and one.values else None
        table.add_row(
            *(Text(shortened(value)) for _, value in one.settings), jobs, *cells, style=style
        )
    return table


def _cell(one: Standing, key: str) -> str:
    values = [job.figures.get(key) for job in one.jobs]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return spread(known, 1 if key in ("rounds", "seconds") else 4)


def shortened(value: str) -> str:
    """An override's value for a table: a number of many digits with four of them."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if len(value) < 8 else f"{number:.4g}"


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean ± sample standard deviation; only the mean of one value, and a dash of none."""
    if not values:
        return "–"
    text = f"{mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {stdev(values):.{digits}f}"
