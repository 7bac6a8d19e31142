"""Reads a run folder into typed values, or says in one sentence what is wrong with it.

It judges no figure and draws nothing. Everything it returns is untrusted text and numbers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from calyx.errors import UserError, printable
from calyx.files.foreign import MOST_CONFIG_BYTES, MOST_SUMMARY_BYTES, parse_json, parse_yaml
from calyx.files.plain import MOST_BYTES, read_plain, split_lines
from calyx.pages.configured import Settings
from calyx.pages.data import Audit, read_audit
from calyx.pages.rows import (
    ClientRow,
    CvRow,
    DataRow,
    EvaluateRow,
    Event,
    Round,
    Summary,
    TestRow,
    TrainRow,
)
from calyx.run.folder import RunFolder

T = TypeVar("T")

_MOST_BYTES = {".yaml": MOST_CONFIG_BYTES, ".json": MOST_SUMMARY_BYTES, ".jsonl": MOST_BYTES}
_ROUND = TypeAdapter(Round)
_EVENT = TypeAdapter(Event)
_CLIENT: TypeAdapter[DataRow | TrainRow | EvaluateRow | TestRow | CvRow] = TypeAdapter(ClientRow)
_SUMMARY = TypeAdapter(Summary)
_SETTINGS = TypeAdapter(Settings)


@dataclass(frozen=True)
class Clients:
    """What an observer of a simulation saw of single clients; empty in a deployment."""

    data: dict[str, DataRow] = field(default_factory=dict)
    test: dict[str, TestRow] = field(default_factory=dict)
    cv: dict[str, CvRow] = field(default_factory=dict)
    val_accuracy: dict[int, dict[str, float]] = field(
        default_factory=dict
    )  # round → client → share


@dataclass(frozen=True)
class Run:
    """One run folder. `summary` is None while the run is unfinished."""

    path: Path
    settings: Settings
    config_text: str
    rounds: list[Round]
    clients: Clients
    events: list[Event]
    summary: Summary | None
    metric: str = "accuracy"  # in words; what models of the task are compared by
    audit: Audit | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)  # all of summary.json, as it is

    @property
    def has_training(self) -> bool:
        """Whether it is more than an audit."""
        return self.summary is None or not self.summary.phases


def read_run(path: Path) -> Run:
    """Read a run folder. Raises UserError for a folder that is no run, or a damaged file in it."""
    if (path / "sweep.csv").is_file():
        raise UserError(
            f"{path} is a sweep, with a report of its own; name its runs: {path / '0'} …"
        )
    if not (path / "config.yaml").is_file():
        raise UserError(
            f"{path} is not a run folder: it has no config.yaml; "
            "name a folder that calyx simulate has written."
        )
    RunFolder(path).check()
    config_text = _text(path / "config.yaml")
    summary = _read_summary(path / "summary.json")
    finished = summary is not None
    rounds = {row.round: row for row in _lines(path / "rounds.jsonl", _ROUND, finished)}
    return Run(
        path=path,
        settings=_settings(path / "config.yaml", config_text),
        config_text=config_text,
        rounds=[rounds[number] for number in sorted(rounds)],
        clients=_sort_clients(_lines(path / "clients.jsonl", _CLIENT, finished)),
        events=list(_lines(path / "events.jsonl", _EVENT, finished)),
        summary=summary,
        metric="R²" if _is_regression(path / "rounds.jsonl") else "accuracy",
        audit=read_audit(path / "audit.json"),
        figures=_figures(path / "summary.json") if summary else {},
    )


def preprocessing_of(run: Run) -> tuple[str, str]:
    """The name of the preprocessing that was used, and why, as far as the run says."""
    cfg, summary = run.settings.preprocessing, run.summary
    used = summary.preprocessing if summary else None
    return used or (cfg.name if cfg else ""), (summary.preprocessing_why if summary else None) or ""


def _sort_clients(rows: Iterator[DataRow | TrainRow | EvaluateRow | TestRow | CvRow]) -> Clients:
    """The last line of a kind wins, so that a round repeated after a crash counts once."""
    clients = Clients()
    for row in rows:
        match row:
            case DataRow():
                clients.data[row.client] = row
            case TestRow():
                clients.test[row.client] = row
            case CvRow():
                clients.cv[row.client] = row
            case EvaluateRow() if row.val_accuracy is not None:
                clients.val_accuracy.setdefault(row.round, {})[row.client] = row.val_accuracy
            case _:
                pass  # training rows are checked and not kept: the page draws none of them
    return clients


def _lines(path: Path, adapter: TypeAdapter[T], finished: bool) -> Iterator[T]:
    """The rows of a JSON-lines file, none if it is absent.

    While a run is unfinished, a last line without its newline is still being written (or was cut
    off by a crash) and is left out; in a finished run it is damage.
    """
    if not path.exists():
        return
    try:
        *lines, rest = split_lines(_bytes(path), path.name)
    except ValueError as error:
        raise _sentence(path, "", str(error)) from None
    if rest and finished:
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            raise _damaged(path, f"line {number}", error) from None


def _is_regression(rounds: Path) -> bool:
    return rounds.is_file() and b'"val_r2"' in _bytes(rounds).partition(b"\n")[0]


def _read_summary(path: Path) -> Summary | None:
    if not path.exists():
        return None
    try:
        return _SUMMARY.validate_json(_bytes(path))
    except ValidationError as error:
        raise _damaged(path, "", error) from None


def _figures(path: Path) -> dict[str, Any]:
    """All of a summary, which is an object."""
    try:
        values: dict[str, Any] = parse_json(_bytes(path))
    except ValueError as error:
        raise _sentence(path, "", str(error)) from None
    return values


def _settings(path: Path, text: str) -> Settings:
    try:
        values = parse_yaml(text)
        return _SETTINGS.validate_json(json.dumps(values, default=str))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}" if mark else ""
        raise _sentence(path, line, error.problem or "not YAML") from None
    except ValidationError as error:
        raise _damaged(path, "", error) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _sentence(path, "", str(error).splitlines()[0]) from None


def _damaged(path: Path, where: str, error: ValidationError) -> UserError:
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    reason = said[:1].lower() + said[1:]
    return _sentence(path, where, f"{key}: {reason}" if key else reason)


def _sentence(path: Path, where: str, reason: str) -> UserError:
    place = f"{path}, {where}," if where else str(path)
    return UserError(f"{place} is damaged ({printable(reason)}); restore the file or run again.")


def _bytes(path: Path) -> bytes:
    try:
        return read_plain(path, _MOST_BYTES[path.suffix])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _sentence(path, f"line {line}", "not UTF-8") from None
