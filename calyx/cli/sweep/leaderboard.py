"""Who leads: jobs that differ only in their seed are one line, sorted by what the runs watched.

In a narrow terminal figures give way to names: they are left to sweep.csv, which is said, and where
the names have no room in a table it becomes a list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from calyx.cli.sweep.outcomes import Outcome, entries_of, settings_of, swept_keys
from calyx.pages.ranking.remarks import (
    Result,
    describe_group,
    missing_figures,
    remarks,
    without_effect,
)
from calyx.pages.ranking.standings import Group, Line, Standing, rank, sample
from calyx.words.digits import count_texts, number_texts, shorten_values, spread_texts

SHOWN = 20  # lines of a group; the rest is in sweep.csv
WIDE = 160  # columns where no terminal says how many there are
_SCORES = tuple(
    f"{model}_{score}" for score in ("accuracy", "r2", "rmse") for model in ("test", "personal")
)
_COSTS = ("rounds", "seconds")
_ENDLESS = 10_000  # columns that a table may take while it is measured


@dataclass(frozen=True)
class Board:
    """One group as text: what stands in each column, the settings' names first."""

    keys: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    columns: tuple[tuple[str, tuple[str, ...]], ...]  # heading → cells; the first three stay
    styles: tuple[str | None, ...]


def rank_settings(outcomes: Sequence[Outcome], objective: str) -> list[Group]:
    """Settings by place; those that a search gave up wholly have no figures and are left out."""
    entries = entries_of(outcomes, objective)
    pruned = {str(job.job) for job in outcomes if job.status == "pruned"}
    alive = {e.settings for e in entries if e.name not in pruned}
    return rank(e for e in entries if e.settings in alive)


def print_leaderboard(outcomes: Sequence[Outcome], objective: str) -> None:
    """A table of each group, what is to be said of it, and a line for each job that is not finished."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDE))
    groups = rank_settings(outcomes, objective)
    console.print()
    title = (
        f"leaderboard by the best round's {_list_figures(groups, objective)}, mean ± sd over seeds"
    )
    _say(console, title, "bold")
    ranked = [group for group in groups if group.kind]
    for number, group in enumerate(groups, start=1):
        if len(ranked) > 1:
            _say(console, f"group {number} of {len(groups)}: {describe_group(group)}", "bold")
        _print_board(console, board_of(group, outcomes, is_alone=len(ranked) < 2))
        if len(group.lines) > SHOWN:
            _say(console, f"and {len(group.lines) - SHOWN} more lines in sweep.csv", "dim")
    for sentence in find_remarks(outcomes, groups, objective):
        _say(console, sentence, "yellow")
    _print_unfinished(console, outcomes)


def find_remarks(outcomes: Sequence[Outcome], groups: Sequence[Group], objective: str) -> list[str]:
    """The remarks on a sweep's ranking, one sentence each."""
    entries = entries_of(outcomes, objective)
    results = [
        Result(entry.settings, entry.seed, entry.model, job.summary.figures)
        for entry, job in zip(entries, outcomes, strict=True)
        if job.summary is not None
    ]
    idle = without_effect(results) if len(results) == len(outcomes) else []
    return [*remarks(groups), *missing_figures(entries), *idle]


def _list_figures(groups: Sequence[Group], objective: str) -> str:
    """Every figure that jobs of this sweep are compared by, each once."""
    names = dict.fromkeys(name for group in groups for name in group.figures)
    return " or ".join(name.removeprefix("best_") for name in names) or objective


def board_of(group: Group, outcomes: Sequence[Outcome], *, is_alone: bool) -> Board:
    """What a group's table holds. Only a leader whose lead is its own, of all, is marked as one."""
    lines = group.lines[:SHOWN]
    summaries = {str(job.job): job.summary for job in outcomes}
    keys = tuple(key for key, _ in lines[0].standing.settings)
    texts = [shorten_values([dict(one.standing.settings)[key] for one in lines]) for key in keys]
    columns = [
        ("place", tuple(group.place_text(line) for line in lines)),
        ("seeds", tuple(seeds_text(line.standing, group) for line in lines)),
        (_heading(group), tuple(spread_texts([line.values for line in lines]))),
    ]
    for key in (*_SCORES, *_COSTS):
        samples = [sample(line, summaries, key) for line in lines]
        if any(samples):
            shown = count_texts if key in _COSTS else number_texts
            columns.append((key, tuple(spread_texts(samples, shown))))
    is_led = is_alone and len(group.leaders) == 1 and len(group.lines) > 1
    return Board(
        keys,
        tuple(
            tuple(
                text[value] for text, (_, value) in zip(texts, line.standing.settings, strict=True)
            )
            for line in lines
        ),
        tuple(columns),
        tuple(_style(line, is_led=is_led) for line in lines),
    )


def _heading(group: Group) -> str:
    if len(group.figures) > 1 and group.kind:
        return group.kind.figure
    entries = (entry for line in group.lines for entry in line.standing.entries)
    return next((entry.figure for entry in entries if entry.kind), "figure")


def _style(line: Line, *, is_led: bool) -> str | None:
    if line.place is None:
        return "dim"
    return "bold green" if is_led and line.place == 1 else None


def seeds_text(one: Standing, group: Group) -> str:
    """How many seeds have a figure, of how many, and how many jobs that took if it is not the same."""
    needed = set(one.seeds) | (set(group.seeds) if group.kind else set())
    done = len(one.values)
    text = str(done) if done == len(needed) else f"{done} of {len(needed)}"
    jobs = len(one.entries)
    return text if jobs == len(one.seeds) else f"{text} ({jobs} jobs)"


def _print_board(console: Console, board: Board) -> None:
    """The table with as many figures as fit beside the whole names; else a list."""
    for num in range(len(board.columns), 2, -1):
        table = _table(board, num)
        wide = console.options.update(width=_ENDLESS)
        if Measurement.get(console, wide, table).maximum <= console.width:
            console.print(table)
            if num < len(board.columns):
                left = ", ".join(head for head, _ in board.columns[num:])
                _say(console, f"no room for {left}: see sweep.csv", "dim")
            return
    console.print()
    for row, (names, style) in enumerate(zip(board.names, board.styles, strict=True)):
        setting = " ".join(f"{k}={v}" for k, v in zip(board.keys, names, strict=True))
        figures = ", ".join(f"{head} {cells[row]}" for head, cells in board.columns[1:])
        place = board.columns[0][1][row]
        _say(console, f"{place}  {setting or 'all jobs'}: {figures}", style or "")
    console.print()


def _table(board: Board, num: int) -> Table:
    """The names, and the first `num` columns beside them."""
    table = Table(box=SIMPLE_HEAD)
    place, *others = board.columns[:num]
    table.add_column(place[0], justify="right", no_wrap=True)
    for key in board.keys:
        table.add_column(key, no_wrap=True)
    for head, _ in others:
        table.add_column(head, justify="right", no_wrap=True)
    for row, (names, style) in enumerate(zip(board.names, board.styles, strict=True)):
        cells = [cells[row] for _, cells in others]
        table.add_row(place[1][row], *map(Text, names), *cells, style=style)
    return table


def _print_unfinished(console: Console, outcomes: Sequence[Outcome]) -> None:
    pruned = [str(one.job) for one in outcomes if one.status == "pruned"]
    if pruned:
        _say(console, f"pruned: {', '.join(pruned)}", "dim")
    keys = swept_keys(outcomes)
    for one in outcomes:
        if one.status in ("finished", "pruned"):
            continue
        settings = settings_of(one.overrides)
        words = " ".join(f"{key}={settings[key]}" for key in keys if key in settings)
        line = f"job {one.job}  {words}  {one.status}{': ' if one.error else ''}{one.error}"
        _say(console, line, "red" if one.status == "failed" else "yellow")


def _say(console: Console, line: str, style: str) -> None:
    """A line as it is, whatever brackets it holds; a terminal folds it, and cuts nothing."""
    console.print(Text(line, style=style), soft_wrap=True, highlight=False)
