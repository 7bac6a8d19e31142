"""Renders several run folders as one page that compares them: curves, a table, and a verdict.

Like a run's own report it is self-contained, and all text from the folders is escaped.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from markupsafe import Markup

from calyx.errors import UserError
from calyx.files import write_atomically
from cli.report.charts import Axes, Band, Series, line_chart
from cli.report.figures import BY_BYTES, BY_ROUND, Figure
from cli.report.folder import Run, read_run
from cli.report.groups import (
    Group,
    Spread,
    by_round,
    bytes_so_far,
    curve,
    grouped,
    points,
    reached,
    spread_of,
    target_of,
)
from cli.report.page import resource, template
from cli.report.rows import Round
from cli.report.scales import byte_unit, bytes_text, number_text, percent_text, seconds_text
from cli.report.svg import Caption
from cli.report.verdict import Verdict

STRONG = 8  # groups that are drawn in a colour; the others are grey
LETTERS = "ABCDEFGH"
FEW_SEEDS = 3


@dataclass(frozen=True)
class Line:
    """One group as the table shows it."""

    letter: str
    kind: str
    label: str
    runs: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """One run as the table of runs shows it."""

    letter: str
    folder: str
    link: str
    seed: str
    state: str
    score: str
    rounds: str


def write_comparison(folders: Sequence[Path], target: Path) -> Path:
    """Write the page to `target`, whole or not at all, and return its path.

    A folder that cannot be read is said in the page. Raises UserError if fewer than two can, or
    `target` cannot be written.
    """
    runs, damaged = _read(folders)
    if len(runs) < 2:
        why = f" ({damaged[0][1]})" if damaged else ""
        raise UserError(f"There are fewer than two runs to compare{why}")
    page = render(runs, damaged, target.parent)
    try:
        write_atomically(target, page)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}.") from None
    return target


def _read(folders: Sequence[Path]) -> tuple[list[Run], list[tuple[str, str]]]:
    runs, damaged = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except UserError as error:
            damaged.append((str(folder), str(error)))
    return runs, damaged


def render(runs: Sequence[Run], damaged: Sequence[tuple[str, str]], home: Path) -> bytes:
    """The page as UTF-8; links lead from the folder `home`."""
    groups = grouped(runs)
    target = target_of(runs)
    metric = runs[0].metric
    html = template(
        "compare.html.j2"
    ).render(
        style=Markup(resource("page.css") + resource("compare.css")),  # noqa: S704 - our own files
        metric=metric,
        tasks=sorted({run.settings.task.name for run in runs}),
        num_runs=len(runs),
        damaged=damaged,
        verdict=verdict_of(groups, metric),
        learning=_figures(groups, metric),
        legend=[(_kind(i), _letter(i), group.label) for i, group in enumerate(groups[:STRONG])],
        num_grey=max(0, len(groups) - STRONG),
        target=percent_text(target),
        heads=_heads(metric),
        lines=[_line(i, group, target) for i, group in enumerate(groups)],
        members=[_member(i, run, home) for i, group in enumerate(groups) for run in group.runs],
    )
    return html.encode("utf-8", "replace")


def _letter(place: int) -> str:
    return LETTERS[place] if place < STRONG else "–"


def _kind(place: int) -> str:
    return f"g{place}" if place < STRONG else "grey"


def verdict_of(groups: Sequence[Group], metric: str) -> Verdict:
    """Which group is best, and whether that is more than seeds do by themselves.

    Welch's standard error of the difference of the two best means; twice that is called a
    difference. With fewer than three seeds each there is no saying.
    """
    ranked = [group for group in groups if group.scores]
    if len(ranked) < 2:
        return Verdict(
            "Nothing to compare yet", "open", "Fewer than two settings have a finished run."
        )
    first, second = ranked[:2]
    ahead = 100 * (mean(first.scores) - mean(second.scores))
    words = (
        f"“{first.label}” has a test {metric} of {percent_text(mean(first.scores))}, "
        f"“{second.label}” {percent_text(mean(second.scores))}, {ahead:.1f} points less."
    )
    fewest = min(len(first.scores), len(second.scores))
    if fewest < FEW_SEEDS:
        seeds = "one seed each" if fewest == 1 else f"{fewest} seeds"
        return Verdict(
            "It cannot be told",
            "open",
            f"{words} That is from {seeds}: run more, say seed=1,2,3,4,5.",
        )
    error = math.sqrt(sum(stdev(g.scores) ** 2 / len(g.scores) for g in (first, second)))
    if ahead <= 100 * 2 * error:
        return Verdict(
            "Too close to call",
            "open",
            f"{words} Seeds alone can do that (±{200 * error:.1f} points).",
        )
    return Verdict(f"{first.label}", "yes", f"{words} That is more than seeds alone do.")


def _figures(groups: Sequence[Group], metric: str) -> list[Figure]:
    most = max((b for g in groups for run in g.runs for b in bytes_so_far(run)[-1:]), default=0.0)
    factor, unit = byte_unit(most)

    def megabytes(run: Run) -> list[float]:
        return [b / factor for b in bytes_so_far(run)]

    along = ((BY_ROUND, by_round, True), (f"{BY_BYTES} ({unit})", megabytes, False))
    found = []
    for label, xs, whole in along:
        for name, figure, percent in (
            ("Validation loss", _loss, False),
            (f"Validation {metric}", _score, True),
        ):
            axes = Axes(label, x_whole=whole, y_percent=percent)
            curves = [(i, curve(group, figure, xs)) for i, group in enumerate(groups)]
            drawn = [(i, rows) for i, rows in reversed(curves) if rows]  # the best on top
            if not drawn:
                continue
            series = [Series(_letter(i).strip("–"), _kind(i), points(rows)) for i, rows in drawn]
            bands = [
                Band(_kind(i), [(x, y - sd, y + sd) for x, y, sd in rows])
                for i, rows in drawn
                if i < STRONG and any(sd for _, _, sd in rows)
            ]
            by = "bytes" if label.startswith(BY_BYTES) else "round"
            caption = Caption(f"{name}-{by}".replace(" ", "-"), f"{name} against {label}", name)
            note = "Mean over seeds, with one standard deviation." if bands else "One seed each."
            found.append(
                Figure(f"{name} by {by}", note, line_chart(caption, axes, series, bands=bands))
            )
    return found


def _loss(row: Round) -> float | None:
    return row.val_loss


def _score(row: Round) -> float | None:
    return row.val_accuracy


def _heads(metric: str) -> tuple[str, ...]:
    return (
        f"Test {metric}",
        "Test loss",
        "Best validation loss",
        "Rounds",
        "Rounds to target",
        "Bytes to target",
        "Bytes",
        "Time",
    )


def _line(place: int, group: Group, target: float | None) -> Line:
    summaries = [run.summary for run in group.finished if run.summary]
    hits = [reached(run, target) for run in group.runs]
    missed = sum(hit is None for hit in hits)
    late = f" ({missed} never)" if missed and missed < len(hits) else ""

    def hit(index: int) -> Spread | None:
        return spread_of(one[index] if one else None for one in hits)

    cells = (
        _with_sd(spread_of(s.test_accuracy for s in summaries), percent_text),
        _with_sd(spread_of(s.test_loss for s in summaries), _loss_text),
        _with_sd(spread_of(s.best_val_loss for s in summaries), _loss_text),
        _with_sd(spread_of(float(len(run.rounds)) for run in group.runs), _count_text),
        (_with_sd(hit(0), _count_text) if missed < len(hits) else "never") + late,
        _with_sd(hit(1), lambda b: bytes_text(None if b is None else round(b))),
        _with_sd(
            spread_of(bytes_so_far(run)[-1] for run in group.runs if run.rounds),
            lambda b: bytes_text(None if b is None else round(b)),
        ),
        _with_sd(spread_of(s.seconds for s in summaries), seconds_text),
    )
    unfinished = len(group.runs) - len(group.finished)
    runs = f"{len(group.runs)}" + (f", {unfinished} unfinished" if unfinished else "")
    return Line(_letter(place), _kind(place), group.label, runs, cells)


def _loss_text(value: float | None) -> str:
    return number_text(value) if value is None or value >= 1000 else f"{value:.3f}"


def _count_text(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


def _with_sd(found: Spread | None, shown: Callable[[float | None], str]) -> str:
    if found is None:
        return "–"
    # What is the same for all seeds needs no deviation.
    return shown(found.mean) + (f" ± {shown(found.sd)}" if found.sd else "")


def _member(place: int, run: Run, home: Path) -> Member:
    summary, report = run.summary, run.path / "report.html"
    link = os.path.relpath(report, home) if report.is_file() else ""
    return Member(
        letter=_letter(place),
        folder=os.path.relpath(run.path, home),
        link=Path(link).as_posix() if link else "",
        seed="–" if run.settings.seed is None else str(run.settings.seed),
        state=f"finished: {summary.stopped_because}" if summary else "unfinished",
        score=percent_text(summary.test_accuracy if summary else None),
        rounds=str(len(run.rounds)),
    )
