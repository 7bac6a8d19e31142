"""The figures as JSON, as a table for a terminal, and as Markdown for docs/speed.md."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.engine.measurement import SEQ, Cell, Run, cell_of, ratio

DASH = "–"
BEGIN, END = "<!-- figures: python -m benchmarks.engine -->", "<!-- end of figures -->"
RATIOS = {  # key: (program, what it is compared with)
    "calyx_over_seq": ("Calyx, plain", SEQ),
    "encrypted_over_seq": ("Calyx, encrypted", SEQ),
    "cohort_over_seq": ("Calyx, cohort", SEQ),
    "pfl_over_calyx": ("pfl-research", "Calyx, plain"),
    "flower_over_calyx": ("Flower on Ray", "Calyx, plain"),
}
FIGURES = (  # key, what it is, what it is meant to be
    ("start_s", "start to the end of round 1, s", "100: ≤ 3, 1,000: ≤ 5, 1,000,000: ≤ 5, default: ≤ 2.5"),
    ("peak_mb", "most memory of all processes, MB", "S1000: ≤ 700"),
    ("noop_s", "a round of 1,000 clients that do nothing, s", "≤ 0.1"),
    ("aggregation_s", "sum of 100 vectors of 10,000,000 elements, s", "≤ 0.15"),
    ("mask_over_aes", "a mask, over AES-CTR alone", "≤ 1.4"),
    ("server_ms", "server of 100 encrypted vectors of 1,000,000, without hashing, ms", "≤ 150"),
)  # fmt: skip


def summarise(
    runs: Sequence[Run], figures: dict[str, Any], machine: dict[str, Any]
) -> dict[str, Any]:
    """All that was measured, as one JSON object: the ratios by setting first."""
    settings = list(dict.fromkeys(run.setting for run in runs))
    ratios = {
        key: {setting: _round(ratio(runs, setting, *pair)) for setting in settings}
        for key, pair in RATIOS.items()
    }
    rounded = {key: _round_all(value) for key, value in figures.items()}
    return {**ratios, **rounded, "machine": machine, "runs": [asdict(run) for run in runs]}


def _round(value: Any) -> Any:  # noqa: ANN401 - a figure of JSON
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _round_all(value: Any) -> Any:  # noqa: ANN401 - a figure of JSON
    return {k: _round(v) for k, v in value.items()} if isinstance(value, dict) else _round(value)


def runs_of(summary: dict[str, Any]) -> list[Run]:
    """The single runs of what was kept."""
    return [Run(**values) for values in summary["runs"]]


def print_tables(summary: dict[str, Any]) -> list[Table | str]:
    """What a terminal shows."""
    head, *rows = _rounds_of(runs_of(summary))
    rounds = Table(*head, title=_machine_line(summary))
    for row in rows:
        rounds.add_row(*row)
    figures = Table("what", "measured", "target")
    for line in _figures_of(summary):
        figures.add_row(*line)
    return [rounds, *_notes_of(runs_of(summary)), figures]


def to_markdown(summary: dict[str, Any]) -> str:
    """The tables of docs/speed.md, with what they were measured on."""
    head, *rows = _rounds_of(runs_of(summary))
    lines = [_machine_line(summary), "", _row(head), _row("---" for _ in head), *map(_row, rows)]
    notes = [f"- {note}" for note in _notes_of(runs_of(summary))]
    figures = [("what", "measured", "target"), ("---", "---", "---"), *_figures_of(summary)]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), *map(_row, figures), ""])


def write_into(page: Path, markdown: str) -> None:
    """Put the tables between the two marks of a page. Raises ValueError where it has none."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{markdown}{END}{after}")


def _machine_line(summary: dict[str, Any]) -> str:
    m = summary["machine"]
    repeats = max((run.repetition for run in runs_of(summary)), default=0)
    return (
        f"{m['date']}, {m['processor']}, {m['cores']} cores, {m['memory_gb']} GB; Python {m['python']}, "
        f"PyTorch {m['torch']}, NumPy {m['numpy']}, Calyx {m['calyx']}; repetitions: {repeats}."
    )


def _rounds_of(runs: Sequence[Run]) -> list[list[str]]:
    """Programs × settings: milliseconds of a round, and times the plain loop."""
    settings = list(dict.fromkeys(run.setting for run in runs))
    programs = list(dict.fromkeys(run.program for run in runs))
    head = ["ms a round (over the plain loop)", *settings]
    return [
        head,
        *(
            [name, *(_text_of(cell_of(runs, setting, name)) for setting in settings)]
            for name in programs
        ),
    ]


def _text_of(cell: Cell | None) -> str:
    if cell is None or cell.median_s is None or cell.best_s is None:
        return DASH
    times = DASH if cell.over_seq is None else f"{cell.over_seq:.2f}"
    return f"{cell.median_s * 1e3:.1f}, best {cell.best_s * 1e3:.1f} ({times})"


def _notes_of(runs: Sequence[Run]) -> list[str]:
    """A sentence for each program that has no figures on some settings, with the reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.note is not None:
            found.setdefault((run.program, run.note), []).append(run.setting)
    return [
        f"{program}, {', '.join(settings)}: {note}" for (program, note), settings in found.items()
    ]


def _figures_of(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (what, _figure(summary[key]), target) for key, what, target in FIGURES if key in summary
    ]


def _figure(value: Any) -> str:  # noqa: ANN401 - a figure of JSON
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_figure(one)}" for key, one in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _row(cells: Any) -> str:  # noqa: ANN401 - any strings
    return f"| {' | '.join(cells)} |"
