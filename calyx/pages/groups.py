"""Runs to compare, ranked into groups: those that differ in nothing but their seed are one line. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import mean, stdev

from calyx.model.metrics import PERSONAL
from calyx.pages.folder import Run
from calyx.pages.ranking.entries import Entry, kind_of, why_absent
from calyx.pages.ranking.standings import Line
from calyx.pages.scales import Point
from calyx.pages.settings import settings_of
from calyx.run.rows import RoundRow

TARGET_SHARE = 0.95
Runs = Mapping[str, Run]  # by the name of their entry, which is their folder
# Of a setting, named by the folder of one of its runs: seeds that were to be run, and left no run.
Lost = Mapping[Path, Sequence[str]]


def entries_of(runs: Sequence[Run], lost: Lost | None = None) -> list[Entry]:
    """Runs as they are compared: by the score of a test of what was tuned, common or own models.

    A seed that is lost is an entry without a run.
    """
    settings = settings_of(runs)
    entries = [_entry(run, named) for run, named in zip(runs, settings, strict=True)]
    for run, named in zip(runs, settings, strict=True):
        for seed in (lost or {}).get(run.path, ()):
            entries.append(Entry(f"{run.path}, seed {seed}", named, seed))
    return entries


def runs_of(lines: Iterable[Line], runs: Runs) -> list[Run]:
    """The runs of some settings, those that left none excepted."""
    entries = (entry for line in lines for entry in line.standing.entries)
    return [runs[entry.name] for entry in entries if entry.name in runs]


def _entry(run: Run, settings: tuple[tuple[str, str], ...]) -> Entry:
    figure = score_name(run)
    seed = run.summary.seed if run.summary else run.settings.seed
    return Entry(
        name=str(run.path),
        settings=settings,
        seed="–" if seed is None else str(seed),
        value=run.summary.figure(figure) if run.summary else None,
        why=why_absent(run.summary, figure) if run.summary else "it is not finished",
        figure=figure,
        kind=kind_of(run.summary, figure) if run.summary else None,
        rows=run.summary.whose(figure) if run.summary else None,
        model=run.summary.model_sha256 if run.summary else None,
    )


def is_personal(run: Run) -> bool:
    """Whether the run tuned clients' own models, by which it is compared then."""
    if run.summary is not None and run.summary.models == "own":
        return True
    stopping, summary = run.settings.stopping, run.summary
    said = summary.objective if summary else None
    return "personal" in (said or stopping.objective or stopping.monitor)


def score_name(run: Run) -> str:
    """The name of a run's test score in its summary."""
    metric = run.summary.metric if run.summary else "accuracy"
    return f"{'personal' if is_personal(run) else 'test'}_{metric}"


def validation_score(run: Run, row: RoundRow) -> float | None:
    """Accuracy or R² of a round, of the models that the run tunes."""
    return row.score(_whose(run))


def validation_error(run: Run, row: RoundRow) -> float | None:
    """What falls while a run learns: a classifier's loss, a regression's RMSE in its target's unit."""
    return row.figure(f"val_{_whose(run)}{'loss' if run.metric == 'accuracy' else 'rmse'}")


def _whose(run: Run) -> str:
    return PERSONAL if is_personal(run) else ""


def repetitions(line: Line, runs: Runs) -> list[Run]:
    """One run for each seed that the line is about; of several copies, the one that is furthest."""
    return [
        max(members, key=lambda run: (run.summary is not None, len(run.rounds)))
        for members in _by_seed(line, runs)
    ]


def _by_seed(line: Line, runs: Runs) -> list[list[Run]]:
    seeds = (line.standing.seeds[seed] for seed in line.seeds)
    by_seed = [[runs[entry.name] for entry in entries if entry.name in runs] for entries in seeds]
    return [members for members in by_seed if members]


def curve(
    runs: Sequence[Run],
    figure: Callable[[Run, RoundRow], float | None],
    xs: Callable[[Run], list[float]],
) -> list[tuple[float, float, float]]:
    """(x, mean, sd) over repetitions, round by round, as far as all of them go."""
    columns = [
        [(x, figure(run, row)) for x, row in zip(xs(run), run.rounds, strict=True)] for run in runs
    ]
    curve_rows = []
    for row in zip(*columns, strict=False):
        values = [y for _, y in row if y is not None]
        if len(values) == len(row):
            x = mean(x for x, _ in row)
            curve_rows.append((x, mean(values), stdev(values) if len(values) > 1 else 0.0))
    return curve_rows


def by_round(run: Run) -> list[float]:
    """The number of each round, to draw figures against."""
    return [float(row.round) for row in run.rounds]


def bytes_so_far(run: Run) -> list[float]:
    """Bytes up and down after each round."""
    return [float(b) for b in accumulate(row.bytes_up + row.bytes_down for row in run.rounds)]


def target_of(runs: Sequence[Run]) -> float | None:
    """95 % of the best validation score of any run; None if none is above 0."""
    values = [validation_score(run, row) for run in runs for row in run.rounds]
    best = max((value for value in values if value is not None), default=0.0)
    return TARGET_SHARE * best if best > 0 else None


def find_reached(run: Run, target: float | None) -> tuple[float, float] | None:
    """(round, bytes) after which a run first reaches the target; None if it never does."""
    if target is None:
        return None
    for row, sent in zip(run.rounds, bytes_so_far(run), strict=True):
        score = validation_score(run, row)
        if score is not None and score >= target:
            return float(row.round), sent
    return None


def points(rows: Sequence[tuple[float, float, float]]) -> list[Point]:
    """The means of a curve as points, without deviations."""
    return [(x, y) for x, y, _ in rows]


STRONG = 8  # settings of a group that have a colour; the others are grey
_LETTERS = "ABCDEFGH"


def letter_of(place: int, prefix: str = "") -> str:
    """A, B, …; behind the number of its group where there are several; a dash for a grey one."""
    return f"{prefix}{_LETTERS[place]}" if place < STRONG else "–"


def colour_of(place: int) -> str:
    """The class of its lines and letters in the style sheet."""
    return f"g{place}" if place < STRONG else "grey"
