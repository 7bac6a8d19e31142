"""The program `calyx`: subcommands, and how a mistake or a failure ends it.

Exit code 0 means done, 1 a failure, 2 a user's mistake, 130 stopped by Ctrl-C. A sentence goes to
stderr; `--debug` shows the traceback too.
"""

import errno
import importlib
import importlib.util
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from calyx.cli.isolated import enter
from calyx.errors import CalyxError, UserError, printable
from calyx.words.extras import advise_extra

MOST_LETTERS = 10_000  # of a sentence
# Modules are imported when their command is called: some take seconds.
COMMANDS = {
    "simulate": (
        "calyx.cli.simulate",
        "run a federation on this machine: [hydra overrides] [-m for a sweep]",
    ),
    "resume": ("calyx.cli.resume", "go on with a run that stopped: RUN [rounds=N]"),
    "new": ("calyx.cli.new.command", "a package with a task of your own: NAME"),
    "predict": ("calyx.cli.predict", "a run's model on new rows: RUN FILE.csv [client=NAME]"),
    "audit": (
        "calyx.cli.audit",
        "what is wrong with the clients' data: [overrides], or --draft-schema FOLDER",
    ),
    "report": ("calyx.cli.reporting", "write RUN/report.html again: RUN [RUN…]"),
    "server": ("calyx.cli.server", "the operator's gateway for clients on separate machines"),
    "client": ("calyx.cli.client", "a site's client: CONFIG.yaml"),
    "submit": ("calyx.cli.submit", "a run on separate machines: --roster=FILE [overrides]"),
    "serve": ("calyx.cli.serve", "a gateway that answers by a release: DIR --signers FILE"),
    "runs": (
        "calyx.cli.operating:list_runs",
        "the server's runs and sites, on the operator's machine",
    ),
    "stop": ("calyx.cli.operating:stop_run", "end a run of the server: RUN_ID"),
    "release": (
        "calyx.cli.release.command",
        "a run's model to be signed and served: RUN --to DIR, or sign DIR --key FILE",
    ),
    "verify": (
        "calyx.cli.verify",
        "what a release is, and who signed it: DIR --signers FILE",
    ),
    "verify-log": (
        "calyx.cli.verify_log",
        "whether a gateway's log of decisions is as it was written: FOLDER --key log.pub",
    ),
    "keys": ("calyx.cli.keys", "identity keys, the signed roster, fingerprints to compare"),
    "doctor": (
        "calyx.cli.doctor",
        "what would not work, and how to mend it: [server | site SITE.yaml | privacy clients=N]",
    ),
}
EXTRAS = {"serve": "serve"}  # of commands that need more than calyx itself


def main() -> None:
    """The program, where it was not started by scripts/program.py."""
    enter(sys.argv[1:])
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    accept_any_terminal()
    debug = "--debug" in arguments
    words = [a for a in arguments if a != "--debug"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"calyx {version('calyx')}")
        return 0
    if words[0] not in COMMANDS:
        return _say(f"There is no command {words[0]!r}; there are {', '.join(COMMANDS)}.", 2)
    return _run_guarded(words[0], words[1:], debug)


def accept_any_terminal() -> None:
    """A terminal without UTF-8 shows "?", and the program goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _run_guarded(command: str, arguments: list[str], debug: bool) -> int:
    if debug:
        logging.getLogger().setLevel(logging.DEBUG)
    try:
        _check_here()
        name, _, function = COMMANDS[command][0].partition(":")
        run_command = getattr(_import(command, name), function or "main")
        return int(run_command(arguments))
    except CalyxError as error:
        if debug:
            traceback.print_exc()
        return _say(_explain(str(error)), error.exit_code)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "Stopped.", 128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last boundary: no traceback unless asked for
        if debug:
            traceback.print_exc()
        return _say(_why_failed(error), 1)


def _explain(sentence: str) -> str:
    """A sentence with what the codes of clients in it mean.

    Where a gateway is installed alone there is no Flower, and there are no clients.
    """
    try:
        from calyx.cli.meanings import explain  # late: who makes no mistake need not wait for it
    except ModuleNotFoundError:
        return sentence
    return explain(sentence)


def _import(command: str, module: str) -> ModuleType:
    """The command's module. Raises UserError where it needs an extra that is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra, missing = EXTRAS.get(command), (error.name or "").partition(".")[0]
        if extra is None or missing == "calyx":
            raise
        advice = advise_extra(extra)
        raise UserError(
            f"calyx {command} needs the package {missing}, of the extra {extra}: {advice}"
        ) from None


def _why_failed(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return printable(f"{error.filename} cannot be used: {error.strerror}.")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"Neither a file nor a line can be written any more: {error.strerror}."
    shadowed = _find_shadowed() if isinstance(error, ImportError) else None
    first = str(error).strip().splitlines() or ["no message"]
    return shadowed or f"Failed: {type(error).__name__}: {first[0]} (see it whole with --debug)"


def _check_here() -> None:
    try:
        Path.cwd()
    except OSError:
        raise UserError("The folder that you are in is there no more; go to another one.") from None


def _find_shadowed() -> str | None:
    """What Python finds before one of our own packages, as a sentence."""
    for name in ("client", "conf", "server", "strategies"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin or ".") if spec else None
        if origin and Path(__file__).parents[2] not in origin.absolute().parents:
            return (
                f"{origin} stands before Calyx's own package {name} in Python's path; rename it, or take "
                "its folder out of PYTHONPATH."
            )
    return None


def _say(sentence: str, code: int) -> int:
    # It may name somebody else's files, and is one line whatever they are called.
    print(f"calyx: {printable(sentence, MOST_LETTERS)}", file=sys.stderr)
    return code


def _usage() -> str:
    lines = [f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "Calyx: federated learning on Flower that its users can trust by default.",
            "",
            "usage: calyx COMMAND [arguments] [--debug]",
            "",
            *lines,
            "",
            "examples: calyx simulate strategy=fedprox seed=2",
            "          calyx simulate -m seed=1,2,3",
            "          calyx resume runs/2026-01-31/12-00-00",
        ]
    )
