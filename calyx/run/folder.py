"""The run folder: what a run leaves on disk, and the names of its files."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml

from calyx.errors import UserError, quote_command
from calyx.files.foreign import (
    MOST_CONFIG_BYTES,
    MOST_SUMMARY_BYTES,
    check_links,
    check_plain,
    dump_yaml,
    parse_yaml,
    read_object,
)
from calyx.files.plain import (
    append_lines,
    ends_whole,
    lock_file,
    read_lines,
    read_plain,
    strict_json,
    write_atomically,
    write_json,
)
from calyx.run.json_rows import as_json, parse_row, read_rows
from calyx.run.rows import ClientRow, Event, RoundRow, Severity, make_event
from calyx.run.summary import Summary

log = logging.getLogger(__name__)
T = TypeVar("T")
_MAX_VANISHED = 20


class RunFolder:
    """A run's folder at `path`; it is made by the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.rounds = path / "rounds.jsonl"
        self.clients = path / "clients.jsonl"
        self.events = path / "events.jsonl"
        self.checkpoints = path / "checkpoints"
        self.underway = path / "underway"
        self.roster = path / "roster.json"
        self.model = path / "model.safetensors"
        self.summary = path / "summary.json"
        self.report = path / "report.html"
        self.statistics = path / "statistics.json"
        self.audit = path / "audit.json"
        self.folds = path / "folds"
        self.stores = path / "clients"
        self.tensorboard = path / "tensorboard"
        self.mlflow = path / "mlflow.json"
        self.left_out = path / "left-out.json"
        self.profile = path / "profile.jsonl"

    def is_own(self, name: str) -> bool:
        """Whether a run writes a file or a folder of this name, in its folder."""
        own = {place.name.casefold() for place in vars(self).values() if place != self.path}
        return name.casefold() in own

    def check(self) -> None:
        """That nothing in the folder is a link, or could keep its reader waiting. Raises UserError.

        Folders that are none of a run are not entered: somebody may have a run in a folder of theirs.
        """
        if not self.path.is_dir():
            return
        for place in self.path.iterdir():
            check_plain(place)
            if self.is_own(place.name) and place.is_dir():
                check_links(place)

    @property
    def holds_run(self) -> bool:
        """Whether a run has written here."""
        return self.config.exists() or self.checkpoints.exists() or self.summary.exists()

    def refuse_if_used(self) -> None:
        """Raise UserError if a run has written here, or nobody can."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file; choose another hydra.run.dir.")
        there = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise UserError(f"The folder {there} cannot be written; choose another hydra.run.dir.")
        if self.holds_run:
            raise UserError(
                f"The folder {self.path} already holds a run; choose another hydra.run.dir, or go on "
                f"with `{quote_command('calyx', 'resume', self.path)}`."
            )
        # A roster is written before its run begins; a fold looks after its folder itself.
        excepted = (self.path, self.roster, self.folds)
        others = (place for place in vars(self).values() if place not in excepted)
        foreign = next((place for place in others if os.path.lexists(place)), None)
        if foreign is not None:
            raise UserError(
                f"{foreign} is there already, of no run, and would be written over; choose another "
                "hydra.run.dir."
            )
        self.check()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One server a run. Raises UserError if another one is at work on it."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / ".lock"
        check_plain(path)
        with lock_file(path) as is_free:
            if not is_free:
                raise UserError(
                    f"The run in {self.path} is still going on in another process; wait for its "
                    "end or stop it, and then resume."
                )
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved config."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.config, dump_yaml(dict(config)).encode())

    def read_config(self) -> dict[str, Any]:
        """The resolved config. Raises UserError if this is no run's folder."""
        if not self.path.is_dir():
            raise UserError(f"There is no folder {self.path}; give the folder of a run.")
        if not self.config.is_file():
            raise UserError(f"The folder {self.path} holds no run: config.yaml is missing.")
        self.check()
        try:
            config = parse_yaml(read_plain(self.config, MOST_CONFIG_BYTES).decode())
            json.dumps(config)  # dates, bytes and sets of YAML are in no config
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UserError(f"{self.config}, line {line}, is damaged: {error.problem}.") from None
        except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError):
            config = None
        if not isinstance(config, dict):
            raise UserError(f"{self.config} is damaged: it is no YAML mapping of plain values.")
        return config

    def read_rounds(self) -> list[RoundRow]:
        """The rounds that have ended, none if there is no such file. Raises UserError."""
        return list(read_rows(self.rounds, RoundRow))

    def read_clients(self) -> list[ClientRow]:
        """What an observer saw of single clients; none in a deployment. Raises UserError."""
        return list(read_rows(self.clients, ClientRow))

    def read_events(self) -> list[Event]:
        """What has happened so far. Raises UserError."""
        return list(read_rows(self.events, Event))

    def read_summary(self) -> Summary:
        """The summary of a finished run. Raises UserError if it is missing or damaged."""
        try:
            return parse_row(Summary, read_object(self.summary, MOST_SUMMARY_BYTES))
        except (OSError, ValueError):
            sentence = f"{self.summary} is missing or damaged; the run may not be finished."
            raise UserError(sentence) from None

    def write_summary(self, summary: Summary) -> None:
        """Write what a run came to, which says "finished"."""
        write_json(self.summary, as_json(summary))

    def unfinish(self) -> None:
        """Summary and report say "finished", which is no longer so."""
        self.summary.unlink(missing_ok=True)
        self.report.unlink(missing_ok=True)

    def event(
        self,
        event: str,
        severity: Severity,
        message: str,
        **details: Any,  # noqa: ANN401 - JSON values
    ) -> None:
        """Append one event to events.jsonl; the arguments are those of `make_event`."""
        append_lines(self.events, [as_json(make_event(event, severity, message, **details))])

    def warn(self, event: str, message: str, **details: Any) -> None:  # noqa: ANN401 - JSON values
        """Append a warning as `event` does, and say it on the screen."""
        log.warning(message)
        self.event(event, "warning", message, **details)

    def event_once(self, event: str, severity: Severity, message: str) -> bool:
        """Append an event of no round unless the file holds its message; whether it did so."""
        if any(one.message == message for one in self.read_events()):
            return False
        self.event(event, severity, message)
        return True

    def truncate(self, file: Path, cls: type[T], is_kept: Callable[[T], bool]) -> None:
        """Drop rows of the class `cls` that a resumed run will write again, and a line that a crash cut off.

        What is kept stays as it is. Raises UserError for a damaged file.
        """
        try:
            rows = read_lines(file)
            kept = [row for row in rows if is_kept(parse_row(cls, row))]
        except (OSError, ValueError) as error:
            raise UserError(f"{file} is damaged ({error}); restore it from a copy.") from None
        if len(kept) < len(rows) or not ends_whole(file):
            write_atomically(file, "".join(strict_json(row) + "\n" for row in kept).encode())

    def check_rounds(self, done: int) -> None:
        """That rounds.jsonl has a line for each of the rounds that are done. Raises UserError."""
        if [row.round for row in self.read_rounds()] != [*range(1, done + 1)]:
            raise UserError(
                f"{self.rounds} has not one line for each of the {done} rounds that are done; restore it "
                "from a copy."
            )


def claim(folder: Path) -> Path:
    """Make a folder that was not there: `folder`, or `folder-2` and so on where others were faster.

    Raises OSError.
    """
    number, vanished = 1, 0
    while True:
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except FileNotFoundError:  # somebody has just taken back an empty folder above it
            vanished += 1
            if vanished > _MAX_VANISHED:
                raise
        else:
            return path


@contextmanager
def hold(folder: Path, *, is_new: bool, key: str) -> Iterator[Path]:
    """A folder, and those above it, for as long as something is in them; `key` says who names it.

    One that must be new has another number behind its name where it is there already. What was
    there before stays. Raises UserError.
    """
    missing = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    try:
        if is_new:
            path = claim(folder)
        else:
            path = folder
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another {key}."
        ) from None
    try:
        yield path
    finally:
        for empty in dict.fromkeys([path, *missing] if is_new else missing):
            with suppress(OSError):
                empty.rmdir()
