"""What became of a job: said by one small file in its folder, whichever process ran it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from calyx.errors import CalyxError, for_terminal, printable
from calyx.files.foreign import read_object
from calyx.files.plain import write_json
from calyx.model.metrics import PERSONAL
from calyx.pages.ranking.entries import Entry, figure_of, kind_of, why_absent
from calyx.run.folder import RunFolder
from calyx.run.json_rows import as_json, parse_row
from calyx.run.summary import Summary

FILE = "job.json"
Status = Literal["finished", "failed", "pruned", "unfinished", "not run"]


@dataclass(frozen=True)
class Outcome:
    """A job at the end of its sweep."""

    job: int
    folder: Path
    overrides: tuple[str, ...]
    status: Status
    error: str = ""  # why it failed, in one line
    summary: Summary | None = None  # None if it is not finished


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
            summary = parse_row(Summary, _make_printable(as_json(run.read_summary())))
            return Outcome(job, folder, words, "finished", summary=summary)
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
    if isinstance(value, list | tuple):
        return [_make_printable(inner) for inner in value]
    return printable(value) if isinstance(value, str) else value


def find_outcomes(folder: Path) -> list[Outcome]:
    """Every job that has left its file below a sweep's folder, by number."""
    jobs = [(_read_state(path.parent).get("job"), path.parent) for path in folder.rglob(FILE)]
    numbered = [(job, path) for job, path in jobs if isinstance(job, int)]
    return [read_outcome(path, job) for job, path in sorted(numbered)]


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        return read_object(folder / FILE)
    except (OSError, ValueError):
        return {}


def compared_figure(summary: Summary | None, objective: str) -> str:
    """What jobs are compared by: `objective` of the best round, of a regression in the target's unit.

    A summary names its own objective.
    """
    if summary is None:
        return f"best_{objective}"
    return f"best_{figure_of(summary.objective or objective, summary.metric)}"


def objective_of(summary: Summary | None, objective: str) -> float | None:
    """The value of `compared_figure`; None if there is no such finite figure."""
    return summary.figure(compared_figure(summary, objective)) if summary else None


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
    known = {str(job.summary.seed) for job in outcomes if job.summary}
    default = next(iter(known)) if len(known) == 1 else ""
    names = _figures_compared(outcomes, objective)
    return [_entry(one, keys, default, name) for one, name in zip(outcomes, names, strict=True)]


def _figures_compared(outcomes: Sequence[Outcome], objective: str) -> list[str]:
    """The figure of each job.

    Classifiers of clients' own are compared by accuracy (`composing/defaults`), common ones by loss: beside
    each other all are compared by accuracy.
    """
    names = [compared_figure(one.summary, objective) for one in outcomes]
    finished = {
        name
        for one, name in zip(outcomes, names, strict=True)
        if one.summary and one.summary.metric == "accuracy"
    }
    if finished != {"best_val_loss", f"best_val_{PERSONAL}accuracy"}:
        return names
    return [name.replace("loss", "accuracy") for name in names]


def _entry(one: Outcome, keys: Sequence[str], seed: str, name: str) -> Entry:
    settings, summary = settings_of(one.overrides), one.summary
    named = tuple((key, settings.get(key, "")) for key in keys)
    if summary is None:
        own = settings.get("seed", seed)
        return Entry(str(one.job), named, own, why=f"it is {one.status}", figure=name)
    return Entry(
        name=str(one.job),
        settings=named,
        seed=str(summary.seed),
        value=summary.figure(name),
        why=why_absent(summary, name),
        figure=name,
        kind=kind_of(summary, name),
        rows=summary.whose(name),
        model=summary.model_sha256,
    )
