"""What became of a job: said by one small file in its folder, whichever process ran it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from calyx.errors import CalyxError, for_terminal, printable
from calyx.files.foreign import read_object
from calyx.files.plain import write_json
from calyx.model.populations import read_population
from calyx.pages.ranking.entries import (
    PERSONAL,
    Entry,
    figure_of,
    kind_of,
    model_of,
    number_of,
    rows_of,
    why_absent,
)
from calyx.run.folder import Row, RunFolder

FILE = "job.json"
Status = Literal["finished", "failed", "pruned", "unfinished", "not run"]


@dataclass(frozen=True)
class Outcome:
    """A job at the end of its sweep. `figures` are those of summary.json; none if not finished."""

    job: int
    folder: Path
    overrides: tuple[str, ...]
    status: Status
    error: str = ""  # why it failed, in one line
    figures: Row = field(default_factory=dict)


def write_outcome(outcome: Outcome) -> None:
    """Write what is known of a job into its folder, which is there."""
    row = {
        "job": outcome.job,
        "overrides": list(outcome.overrides),
        "status": outcome.status,
        "error": outcome.error,
    }
    write_json(outcome.folder / FILE, row)


def read_outcome(folder: Path, job: int, overrides: Sequence[str] = ()) -> Outcome:
    """What became of a job that may have been started in `folder`.

    A run that has been finished since, by `calyx resume` for instance, counts as finished.
    """
    run = RunFolder(folder)
    said = _read_state(folder)
    named = said.get("overrides", overrides)
    words = tuple(for_terminal(str(word)) for word in named) if isinstance(named, Sequence) else ()
    if run.summary.exists() and run.report.exists():
        try:
            return Outcome(
                job, folder, words, "finished", figures=_make_printable(run.read_summary())
            )
        except CalyxError as error:
            return Outcome(job, folder, words, "failed", str(error))
    status = said.get("status")
    if status not in get_args(Status) or status == "finished":
        status = "unfinished" if run.holds_run else "not run"
    return Outcome(job, folder, words, cast(Status, status), printable(str(said.get("error", ""))))


def _make_printable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A summary whose texts can be put on a terminal and into a file, whoever wrote it."""
    if isinstance(value, dict):
        return {_make_printable(key): _make_printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_make_printable(inner) for inner in value]
    return printable(value) if isinstance(value, str) else value


def find_outcomes(folder: Path) -> list[Outcome]:
    """Every job that has left its file below a sweep's folder, by number."""
    jobs = [(_read_state(path.parent).get("job"), path.parent) for path in folder.rglob(FILE)]
    numbered = [(job, path) for job, path in jobs if isinstance(job, int)]
    return [read_outcome(path, job) for job, path in sorted(numbered)]


def _read_state(folder: Path) -> Row:
    try:
        return read_object(folder / FILE)
    except (OSError, ValueError):
        return {}


def objective_of(figures: Row, objective: str) -> float | None:
    """What jobs are compared by: `objective` of the best round, of a regression in the target's unit.

    `figures` are those of summary.json; None if there is no such finite figure.
    """
    return number_of(figures, f"best_{figure_of(figures, objective)}")


def settings_of(overrides: Iterable[str]) -> dict[str, str]:
    """Overrides as key → value, both as they were written; the last one of a key counts."""
    pairs = (word.lstrip("+~").partition("=") for word in overrides)
    return {key: value for key, _, value in pairs}


def swept_keys(outcomes: Sequence[Outcome]) -> list[str]:
    """Keys whose override is not the same in all jobs, in the order in which they were given."""
    settings = [settings_of(outcome.overrides) for outcome in outcomes]
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if len({one.get(key) for one in settings}) > 1]


def entries_of(outcomes: Sequence[Outcome], objective: str) -> list[Entry]:
    """Jobs as they are ranked, by the overrides that differ."""
    keys = [key for key in swept_keys(outcomes) if key != "seed"]
    # Where no job names a seed they have the config's, which every finished one tells.
    known = {str(job.figures["seed"]) for job in outcomes if "seed" in job.figures}
    default = next(iter(known)) if len(known) == 1 else ""
    names = _figures_compared(outcomes, objective)
    return [
        _entry(one, keys, default, f"best_{name}")
        for one, name in zip(outcomes, names, strict=True)
    ]


def _figures_compared(outcomes: Sequence[Outcome], objective: str) -> list[str]:
    """The figure of each job, without its `best_`.

    Classifiers of clients' own are compared by accuracy (`composing/defaults`), common ones by loss: beside
    each other all are compared by accuracy.
    """
    names = [figure_of(one.figures, objective) for one in outcomes]
    finished = {
        name
        for one, name in zip(outcomes, names, strict=True)
        if one.figures.get("metric") == "accuracy"
    }
    if finished != {"val_loss", f"val_{PERSONAL}accuracy"}:
        return names
    return [name.replace("loss", "accuracy") for name in names]


def _entry(one: Outcome, keys: Sequence[str], seed: str, name: str) -> Entry:
    settings, figures = settings_of(one.overrides), one.figures
    is_finished = one.status == "finished"
    return Entry(
        name=str(one.job),
        settings=tuple((key, settings.get(key, "")) for key in keys),
        seed=str(figures.get("seed", settings.get("seed", seed))),
        value=number_of(figures, name) if is_finished else None,
        why=why_absent(figures, name) if is_finished else f"it is {one.status}",
        figure=name,
        kind=kind_of(figures, name) if is_finished else None,
        rows=read_population(rows_of(figures, name)),
        model=model_of(figures),
    )
