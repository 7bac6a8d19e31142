"""Reads a run folder into typed values, or says in one sentence what is wrong with it.

It judges no figure and draws nothing. Everything it returns is untrusted text and numbers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from calyx.errors import UserError
from calyx.files.foreign import MOST_CONFIG_BYTES, MOST_SUMMARY_BYTES, parse_json, parse_yaml
from calyx.files.plain import MOST_BYTES, read_plain
from calyx.pages.configured import Settings
from calyx.run.audit import Audit, read_audit
from calyx.run.folder import RunFolder
from calyx.run.json_rows import damage_of, parse_row, read_rows, reason_of
from calyx.run.profile import ProfileRow
from calyx.run.rows import ClientRow, Event, RoundRow
from calyx.run.summary import Summary

_MOST_BYTES = {".yaml": MOST_CONFIG_BYTES, ".json": MOST_SUMMARY_BYTES, ".jsonl": MOST_BYTES}
_SETTINGS = TypeAdapter(Settings)


@dataclass(frozen=True)
class Clients:
    """What an observer of a simulation saw of single clients; empty in a deployment."""

    data: dict[str, ClientRow] = field(default_factory=dict)
    test: dict[str, ClientRow] = field(default_factory=dict)
    cv: dict[str, ClientRow] = field(default_factory=dict)
    val_score: dict[int, dict[str, float]] = field(default_factory=dict)  # round → client → score


@dataclass(frozen=True)
class Run:
    """One run folder. `summary` is None while the run is unfinished."""

    path: Path
    settings: Settings
    config_text: str
    rounds: list[RoundRow]
    clients: Clients
    events: list[Event]
    summary: Summary | None
    metric: str = "accuracy"  # in words; what models of the task are compared by
    audit: Audit | None = None
    profile: tuple[ProfileRow, ...] = ()  # empty where the run was not profiled

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
    is_finished = summary is not None
    lines = read_rows(path / "rounds.jsonl", RoundRow, is_finished=is_finished)
    rounds = {row.round: row for row in lines}
    return Run(
        path=path,
        settings=_settings(path / "config.yaml", config_text),
        config_text=config_text,
        rounds=[row for _, row in sorted(rounds.items())],
        clients=_sort_clients(
            read_rows(path / "clients.jsonl", ClientRow, is_finished=is_finished)
        ),
        events=list(read_rows(path / "events.jsonl", Event, is_finished=is_finished)),
        summary=summary,
        metric="R²" if any("val_r2" in row.figures for row in rounds.values()) else "accuracy",
        audit=read_audit(path / "audit.json") if (path / "audit.json").is_file() else None,
        profile=tuple(read_rows(path / "profile.jsonl", ProfileRow)),
    )


def preprocessing_of(run: Run) -> tuple[str, str]:
    """The name of the preprocessing that was used, and why, as far as the run says."""
    cfg, summary = run.settings.preprocessing, run.summary
    used = summary.preprocessing if summary else None
    return used or (cfg.name if cfg else ""), (summary.preprocessing_why if summary else None) or ""


def _sort_clients(rows: Iterator[ClientRow]) -> Clients:
    """The last line of a kind wins, so that a round repeated after a crash counts once."""
    clients = Clients()
    last = {"data": clients.data, "test": clients.test, "cv": clients.cv}
    for row in rows:
        if row.kind in last:
            last[row.kind][row.client] = row
        elif row.kind == "evaluate" and (score := row.score("val_")) is not None:
            clients.val_score.setdefault(row.round, {})[row.client] = score
    return clients


def _read_summary(path: Path) -> Summary | None:
    if not path.exists():
        return None
    try:
        return parse_row(Summary, parse_json(_bytes(path)))
    except ValueError as error:
        raise damage_of(path, "", str(error)) from None


def _settings(path: Path, text: str) -> Settings:
    try:
        values = parse_yaml(text)
        return _SETTINGS.validate_json(json.dumps(values, default=str))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}" if mark else ""
        raise damage_of(path, line, error.problem or "not YAML") from None
    except ValidationError as error:
        raise damage_of(path, "", reason_of(error)) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise damage_of(path, "", str(error).splitlines()[0]) from None


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
        raise damage_of(path, f"line {line}", "not UTF-8") from None
