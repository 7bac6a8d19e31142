"""The table of a comparison's settings: each figure's mean and deviation over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from calyx.pages.folder import Run
from calyx.pages.groups import (
    Runs,
    bytes_so_far,
    colour_of,
    find_reached,
    letter_of,
    repetitions,
    runs_of,
    target_of,
)
from calyx.pages.ranking.standings import Group, Line, sample
from calyx.pages.scales import bytes_text, seconds_text
from calyx.words.digits import ABSENT, count_texts, number_texts, percent_texts, spread_texts

Texts = Callable[[Sequence[float | None]], list[str]]


@dataclass(frozen=True)
class Row:
    """One setting as the table shows it."""

    letter: str
    kind: str
    place: str
    label: str
    seeds: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A figure of each run: its heading, its name in summary.json, and how numbers are written."""

    head: str
    name: str
    texts: Texts


def head_of(group: Group, runs: Runs) -> tuple[str, ...]:
    """The headings of the cells of `rows_of`."""
    figures = tuple(column.head for column in _columns(group, runs))
    return (*figures, "Rounds", "Rounds to target", "Bytes to target", "Bytes", "Time")


def rows_of(group: Group, runs: Runs, prefix: str) -> list[Row]:
    """The lines of a group's table; a figure has the digits that tell the settings apart."""
    summaries = {name: run.summary for name, run in runs.items()}
    columns = [
        spread_texts([sample(line, summaries, column.name) for line in group.lines], column.texts)
        for column in _columns(group, runs)
    ]
    target = target_of(runs_of(group.lines, runs))
    rows = []
    for place, line in enumerate(group.lines):
        figures = [texts[place] for texts in columns]
        rows.append(
            Row(
                letter=letter_of(place, prefix),
                kind=colour_of(place),
                place=group.place_text(line),
                label=line.standing.label,
                seeds=_seeds_text(line, group, runs),
                cells=(*figures, *_costs(repetitions(line, runs), target)),
            )
        )
    return rows


def _columns(group: Group, runs: Runs) -> list[Column]:
    """The figures that a run of the group has, of common and of clients' own models."""
    members = runs_of(group.lines, runs)
    metric = members[0].metric
    kinds: tuple[tuple[str, str, Texts], ...]
    if metric == "accuracy":
        kinds = (("accuracy", "accuracy", percent_texts), ("loss", "loss", number_texts))
    else:
        kinds = (("R²", "r2", number_texts), ("RMSE", "rmse", number_texts))
    error = "loss" if metric == "accuracy" else "rmse"
    wanted = [
        *(Column(f"Test {word}", f"test_{name}", texts) for word, name, texts in kinds),
        *(
            Column(f"Own models' test {word}", f"personal_{name}", texts)
            for word, name, texts in kinds
        ),
        Column(f"Best validation {kinds[1][0]}", f"best_val_{error}", number_texts),
        Column(
            f"Own models' best validation {kinds[1][0]}",
            f"best_val_personal_{error}",
            number_texts,
        ),
    ]
    always = {f"test_{kinds[0][1]}"}
    return [
        column
        for column in wanted
        if column.name in always
        or any(run.summary and run.summary.figure(column.name) is not None for run in members)
    ]


def _seeds_text(line: Line, group: Group, runs: Runs) -> str:
    """Seeds with a score, of how many, and how many runs that took if it is another number."""
    one = line.standing
    needed = {*one.seeds, *(group.seeds if one.values else ())}
    done, members = len(one.values), runs_of([line], runs)
    text = str(done) if done == len(needed) else f"{done} of {len(needed)}"
    unfinished = sum(run.summary is None for run in members)
    more = [f"{len(members)} runs"] if len(one.entries) != len(one.seeds) else []
    more += [f"{unfinished} unfinished"] if unfinished else []
    return ", ".join([text, *more])


def _costs(members: Sequence[Run], target: float | None) -> tuple[str, ...]:
    hits = [find_reached(run, target) for run in members]
    known = [hit for hit in hits if hit is not None]
    late = f" ({len(hits) - len(known)} never)" if 0 < len(known) < len(hits) else ""
    never = ABSENT if target is None else "never"
    lengths, to_target = (
        [float(len(run.rounds)) for run in members],
        [number for number, _ in known],
    )
    rounds, needed = spread_texts([lengths, to_target], count_texts)
    seconds = [run.summary.seconds for run in members if run.summary]
    return (
        rounds,
        (needed if known else never) + late,
        _format_spread([sent for _, sent in known], _bytes),
        _format_spread([bytes_so_far(run)[-1] for run in members if run.rounds], _bytes),
        _format_spread([s for s in seconds if s is not None], seconds_text),
    )


def _format_spread(values: Sequence[float], shown: Callable[[float], str]) -> str:
    if not values:
        return ABSENT
    deviation = stdev(values) if len(values) > 1 else 0.0
    # What is the same for all seeds needs no deviation.
    return shown(mean(values)) + (f" ± {shown(deviation)}" if deviation else "")


def _bytes(count: float) -> str:
    return bytes_text(round(count))
