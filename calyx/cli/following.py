"""Start a run on the server of this machine, show its rounds, and say how it ended."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from calyx.cli.arguments import path_of
from calyx.cli.meanings import explain
from calyx.cli.operating import AUTHORITY, CONTROL_PORT, connect
from calyx.cli.running import show
from calyx.cli.tracking import track
from calyx.errors import CalyxError, UserError, quote_command
from calyx.files.foreign import check_plain
from calyx.files.plain import write_atomically
from calyx.flower.bundle import bundle
from calyx.flower.messages import Operator
from calyx.pages.page import write_report
from calyx.run.folder import RunFolder
from calyx.run.rows import round_line
from calyx.secagg.roster import Roster, write_roster
from calyx.simulation.engine import read_engine, tell
from calyx.trust.key_files import read_roster_file
from server.attendance import AWAY
from server.config import RunConfig
from server.job import to_run_config

POLL_S = 1.0
AWAY_S = 90.0  # that the server may be away while a run goes on


@dataclass(frozen=True)
class Options:
    """Where the server is, and whose roster counts."""

    control_port: int = CONTROL_PORT
    authority: Path = Path(AUTHORITY)
    roster: Path | None = None


def show_help(arguments: Sequence[str], what: str | None) -> bool:
    """Whether help was asked for, which is then printed: what a command does, and its options."""
    if not {"-h", "--help"} & set(arguments):
        return False
    print(what)
    return True


def split_options(arguments: list[str], command: str) -> tuple[Options, list[str]]:
    """Options, which begin with `--`, and the rest. Raises UserError."""
    values: dict[str, Any] = {}
    rest = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if not key.startswith("--"):
            rest.append(argument)
            continue
        name = key.removeprefix("--").replace("-", "_")
        if name not in ("control_port", "authority", "roster") or not value:
            own = "--without-changed, " if command == "resume" else ""
            raise UserError(
                f"{argument!r} is none of {command}'s options: {own}--roster=FILE, "
                "--control-port=PORT, --authority=FILE; the rest are config overrides."
            )
        values[name] = path_of(value)
    port = str(values.get("control_port", CONTROL_PORT))
    if not port.isdecimal():
        raise UserError(f"--control-port={port} is no port.")
    return Options(**values | {"control_port": int(port)}), rest


def read_pinned(options: Options, folder: RunFolder) -> Roster | None:
    """The roster that was named, or else the one that the run was submitted with."""
    path = options.roster or folder.roster
    if options.roster is None:
        check_plain(path)  # in a run's folder no file is a link; one that the user names may be
    return read_roster_file(path) if options.roster or path.exists() else None


def drive(
    config: dict[str, Any], run: RunConfig, folder: RunFolder, options: Options, *, resume: bool
) -> None:
    """Run a job on the sites to its end, with report and results; `run` is its config, typed.

    Raises CalyxError where it fails; Ctrl-C stops it.
    """
    roster = read_pinned(options, folder)
    text = write_roster(roster) if roster else None
    engine = tell(read_engine(run.engine))
    job = to_run_config(config, folder.path, resume=resume, roster=text, engine=engine)
    console = Console(highlight=False, markup=False, emoji=False)
    with connect(options.control_port, options.authority) as operator:
        operator.runs()  # a server that is away is said before anything is written
        if text:  # before all else: without it a run that is cut off could not be resumed
            folder.path.mkdir(parents=True, exist_ok=True)
            write_atomically(folder.roster, text.encode())
        run_id = operator.start(bundle(), job)
        console.print(f"run {run_id} in {folder.path}")
        try:
            _follow(operator, run_id, folder, console)
        except KeyboardInterrupt:
            operator.stop(run_id)
            raise KeyboardInterrupt(
                f"Stopped. What was finished is saved: go on with "
                f"`{quote_command('calyx', 'resume', folder.path)}`."
            ) from None
    report = write_report(folder.path)
    track(run, folder)
    show(folder.read_summary(), folder.path, report)


def _follow(operator: Operator, run_id: int, folder: RunFolder, console: Console) -> None:
    shown, warned = len(folder.read_rounds()), len(_away(folder))
    while True:
        status, outcome, details = _status(operator, run_id)
        rows, away = folder.read_rounds(), _away(folder)
        for sentence in away[warned:]:
            console.print(f"warning: {sentence}")
        warned = len(away)
        shown = min(shown, len(rows))  # a resumed run forgets rows that had no checkpoint
        for row in rows[shown:]:
            console.print(round_line(row))
        shown = len(rows)
        if status == "finished":
            if outcome != "completed":
                raise CalyxError(explain(_why(details, folder, rounds=len(rows))))
            return
        time.sleep(POLL_S)


def _away(folder: RunFolder) -> list[str]:
    """What the run has said of sites that it begins without."""
    return [event.message for event in folder.read_events() if event.event == AWAY]


def _status(operator: Operator, run_id: int) -> tuple[str, str, str]:
    """As the server says; for a while it may be away, and the run goes on all the same."""
    deadline = time.monotonic() + AWAY_S
    while True:
        try:
            return operator.status(run_id)
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def _why(details: str, folder: RunFolder, rounds: int) -> str:
    said = details.removeprefix("ServerApp failed with exception: ").strip()
    if "second-vector" in said and rounds == 0 and "statistics" not in said:
        said = said.partition(". What was done before")[0]
        return f"{said}. Submit it with another seed: it then begins with other weights."
    if said.startswith("Task failed"):  # Flower's words for a process that is gone
        said = "The run's process on the server has ended"
    if "calyx resume" in said or not folder.holds_run:
        return said or "The run ended before it began; see the server's superexec.log."
    ended = said.removesuffix(".") or "The run was cut off"
    return f"{ended}; go on with `{quote_command('calyx', 'resume', folder.path)}`."
