"""The table of docs/tables.md from outcomes."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.tables.running import Outcome
from benchmarks.tables.table import Table

MARGIN = {"accuracy": 0.015, "R²": 0.03}
HEAD = (
    "table", "rows, sites", "metric", "`preprocessing=local`", "**default**", "pooled",
    "linear", "MLP", "trees", "commonest", "as good?", "CPU s", "target guessed",
)  # fmt: skip
DASH = "–"


def judgement(outcomes: Sequence[Outcome]) -> str:
    """Whether the default is within the margin of scikit-learn's better one, in the mean over seeds.

    Where Calyx's model of pooled rows is not within it either, federating is not to blame.
    """
    margin = MARGIN[outcomes[0].metric]
    gaps = [one.best - one.default for one in outcomes if one.default is not None]
    of_pooled = [one.best - one.pooled for one in outcomes if one.pooled is not None]
    if not gaps:
        return DASH
    if statistics.fmean(gaps) <= margin:
        return "yes"
    if any(one.preprocessing == "local" for one in outcomes):
        return "**no**, and preprocessed as local"
    is_pooled = bool(of_pooled) and statistics.fmean(of_pooled) <= margin
    return "**no**" if is_pooled else "no, nor is pooled"


def table(outcomes: Sequence[Outcome]) -> str:
    """All tables in Markdown, means over seeds, and the notes below."""
    lines = [_row(HEAD), _row("---" for _ in HEAD)]
    names = list(dict.fromkeys(one.table for one in outcomes))
    by_name = {name: [one for one in outcomes if one.table == name] for name in names}
    lines += [_line(of_table) for of_table in by_name.values()]
    notes = [
        f"- {name}: {one.note}"
        for name, of_table in by_name.items()
        for one in of_table[:1]
        if one.note is not None
    ]
    return "\n".join([*lines, "", *notes] if notes else lines)


def described(tables: Sequence[Table]) -> str:
    """What is in the tables' files, in Markdown."""
    head = ("table", "target", "sites", "what is unprepared")
    lines = [_row(head), _row("---" for _ in head)]
    lines += [_row((one.name, f"`{one.target}`", one.dealt, one.marks)) for one in tables]
    return "\n".join(lines)


def _line(outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    scikit = [one.scikit for one in outcomes if one.scikit is not None]
    figures = [
        _mean(one.local for one in outcomes),
        f"**{_mean(one.default for one in outcomes)}**",
        _mean(one.pooled for one in outcomes),
        _mean(one.linear for one in scikit),
        _mean(one.network for one in scikit),
        _mean(one.trees for one in scikit),
        _mean(one.commonest for one in scikit),
    ]
    seconds = [one.seconds for one in outcomes if one.seconds is not None]
    return _row(
        [
            first.table,
            f"{first.rows:,}, {first.sites}",
            first.metric,
            *figures,
            judgement(outcomes),
            f"{statistics.fmean(seconds):.0f}" if seconds else DASH,
            "yes" if first.is_right else (first.guess or DASH),
        ]
    )


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):.3f}" if known else DASH


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
