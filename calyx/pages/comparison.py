"""Renders several run folders as one page that compares them: curves, tables, and a verdict.

Like a run's own report it is self-contained, and all text from the folders is escaped.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from calyx.errors import UserError
from calyx.pages.best import score_texts, verdict_of
from calyx.pages.comparison_charts import learning_figures
from calyx.pages.comparison_table import Row, head_of, rows_of
from calyx.pages.figures import Figure
from calyx.pages.folder import Run, read_run
from calyx.pages.groups import (
    STRONG,
    Lost,
    Runs,
    colour_of,
    entries_of,
    is_personal,
    letter_of,
    runs_of,
    score_name,
    target_of,
)
from calyx.pages.page import encode, resource, save_page, template
from calyx.pages.ranking.entries import Entry
from calyx.pages.ranking.remarks import (
    Result,
    describe_group,
    missing_figures,
    remarks,
    without_effect,
)
from calyx.pages.ranking.standings import Group, Line, rank
from calyx.words.digits import ABSENT, count_text


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


@dataclass(frozen=True)
class Section:
    """One group of settings that may be compared, as the page shows it."""

    title: str  # what its figures are, where there are several groups
    key: tuple[tuple[str, str, str], ...]  # colour, letter and name of the settings drawn in one
    num_grey: int
    learning: tuple[Figure, ...]
    target: str  # with the name of the score that it is of
    heads: tuple[str, ...]
    lines: tuple[Row, ...]


def write_comparison(folders: Sequence[Path], target: Path, lost: Lost | None = None) -> Path:
    """Write `compare_runs` to `target`, whatever is there, whole or not at all; returns its path.

    Raises UserError as that does, or where `target` cannot be written.
    """
    return save_page(target, compare_runs(folders, target, lost))


def compare_runs(folders: Sequence[Path], target: Path, lost: Lost | None = None) -> bytes:
    """The page that compares the runs in `folders`, with links that lead from `target`.

    `lost` are seeds of the folders' settings that were to be run and have left no folder. A folder
    that cannot be read is said in the page. Raises UserError if fewer than two can.
    """
    runs, damaged = _read(folders)
    if len(runs) < 2:
        why = f" ({damaged[0][1]})" if damaged else ""
        raise UserError(f"There are fewer than two runs to compare{why}")
    return render(runs, damaged, target.parent, lost)


def _read(folders: Sequence[Path]) -> tuple[list[Run], list[tuple[str, str]]]:
    runs, damaged = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except UserError as error:
            damaged.append((str(folder), str(error)))
    return runs, damaged


def render(
    runs: Sequence[Run],
    damaged: Sequence[tuple[str, str]],
    home: Path,
    lost: Lost | None = None,
) -> bytes:
    """The page as UTF-8; links lead from the folder `home`."""
    entries, by_name = entries_of(runs, lost), {str(run.path): run for run in runs}
    groups = rank(entries)
    ranked = [group for group in groups if group.kind] or groups
    verdict = verdict_of(groups, runs_of(ranked[0].lines, by_name)[0].metric)
    said = verdict.reason.casefold()
    html = template("compare.html.j2").render(
        style=Markup(resource("page.css") + resource("compare.css")),  # noqa: S704 - our own files
        scores=" or ".join(dict.fromkeys(run.metric for run in runs)),
        tasks=sorted({run.settings.task.name for run in runs}),
        num_runs=len(runs),
        damaged=damaged,
        verdict=verdict,
        remarks=[one for one in _remarks(groups, entries, runs) if one.casefold() not in said],
        sections=[_section(i, groups, by_name) for i in range(len(groups))],
        members=_members(groups, by_name, home),
    )
    return encode(html)


def _remarks(groups: Sequence[Group], entries: Sequence[Entry], runs: Sequence[Run]) -> list[str]:
    results = [
        Result(entry.settings, entry.seed, entry.model, run.summary.figures)
        for entry, run in zip(entries, runs, strict=False)  # seeds that were lost come after
        if run.summary is not None
    ]
    idle = without_effect(results) if len(results) == len(entries) else []
    return [*remarks(groups, "run"), *missing_figures(entries, "run"), *idle]


def _section(number: int, groups: Sequence[Group], runs: Runs) -> Section:
    group = groups[number]
    prefix = str(number + 1) if len(groups) > 1 else ""
    members = runs_of(group.lines, runs)
    metric, target = members[0].metric, target_of(members)
    return Section(
        title=f"Group {prefix}: {describe_group(group)}" if prefix else "",
        key=tuple(
            (colour_of(i), letter_of(i, prefix), _label_line(line, group))
            for i, line in enumerate(group.lines[:STRONG])
        ),
        num_grey=max(0, len(group.lines) - STRONG),
        learning=tuple(learning_figures(group, runs, prefix)),
        target=_target(members[0], score_texts([target], metric)[0]),
        heads=head_of(group, runs),
        lines=tuple(rows_of(group, runs, prefix)),
    )


def _target(run: Run, text: str) -> str:
    if text == ABSENT:
        return f"there is no target, as no validation {run.metric} is above 0"
    whose = " (own models)" if is_personal(run) else ""
    return f"the target is a validation {run.metric} of {text}, 95 % of the best{whose}"


def _label_line(line: Line, group: Group) -> str:
    """A setting's name beside its colour, and whether all of its seeds have a figure."""
    one = line.standing
    if line.place is not None or len(group.lines) < 2:
        return one.label
    return f"{one.label} (no place: {len(one.values)} of its {len(one.seeds)} seeds have a figure)"


def _members(groups: Sequence[Group], runs: Runs, home: Path) -> list[Member]:
    rows = []
    for number, group in enumerate(groups, start=1):
        prefix = str(number) if len(groups) > 1 else ""
        members = [
            (letter_of(place, prefix), run)
            for place, line in enumerate(group.lines)
            for run in runs_of([line], runs)
        ]
        known = [r.summary.figure(score_name(r)) if r.summary else None for _, r in members]
        texts = score_texts(known, members[0][1].metric)
        rows += [
            _member(letter, run, f"{text} (own models)" if is_personal(run) else text, home)
            for (letter, run), text in zip(members, texts, strict=True)
        ]
    return rows


def _member(letter: str, run: Run, score: str, home: Path) -> Member:
    summary, report = run.summary, run.path / "report.html"
    link = os.path.relpath(report, home) if report.is_file() else ""
    seed = summary.seed if summary else run.settings.seed
    return Member(
        letter=letter,
        folder=os.path.relpath(run.path, home),
        link=Path(link).as_posix() if link else "",
        seed=ABSENT if seed is None else str(seed),
        state=f"finished: {summary.stopped_because}" if summary else "unfinished",
        score=score,
        rounds=count_text(len(run.rounds)),
    )
