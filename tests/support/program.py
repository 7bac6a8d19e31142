"""Run the program, in this process or in one of its own, with a task that tests can break."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from unittest.mock import patch

FAULTY = Path(__file__).resolve().parents[1] / "faulty"
SMALL = ("task.num_clients=6", "rounds=3", "baselines=false", "training.epochs=1")
BROKEN = ("--config-dir", str(FAULTY / "conf"), "task=faulty", "rounds=3", "baselines=false")

PACKAGES = ("calyx", "client", "server", "strategies")
Ended = subprocess.CompletedProcess[str]


def calyx_command(*arguments: str) -> list[str]:
    """The command line of the installed program."""
    return [str(Path(sys.executable).parent / "calyx"), *arguments]


def environment() -> dict[str, str]:
    """The program's environment: the faulty task is found, wide lines stay whole.

    What PYTHONPATH has stays behind it, so that a worktree's tests start the worktree's program.
    """
    places = [str(FAULTY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places), "COLUMNS": "200"}


def run_apart(folder: Path, *arguments: str, timeout: float = 120) -> Ended:
    """Run the installed program in `folder`, in a process of its own, to its end."""
    return subprocess.run(
        calyx_command(*arguments),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_here(folder: Path, *arguments: str) -> Ended:
    """Run the program in this process, with `folder` as the present one.

    It is what the console script calls, in its environment, and ends as that does; but importing
    it, which takes longer than most tests, is paid for once. What it and its workers write to the
    two streams is kept apart, as a shell would.
    """
    from calyx.cli.main import run

    _forget()
    before, level = Path.cwd(), logging.root.level
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        with (
            patch.dict(os.environ, environment()),
            patch.object(sys, "path", [str(FAULTY), *sys.path]),
            patch.object(sys, "argv", ["calyx"]),  # Hydra reads it
            _streams_to(out.fileno(), err.fileno()),
        ):
            os.chdir(folder)
            logging.root.setLevel(logging.WARNING)  # `--debug` changes it
            try:
                code = run(arguments)
            except SystemExit as ended:  # argparse's way to say that a word is wrong
                code = ended.code if isinstance(ended.code, int) else 1
            finally:
                os.chdir(before)
                logging.root.setLevel(level)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(list(arguments), code, *texts)


def _forget() -> None:
    """Empty the caches of the project's modules, of rows that were read above all: a new process
    has none, and reads files that have changed since."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES:
            for value in vars(module).values():
                if not isinstance(value, type):
                    getattr(value, "cache_clear", lambda: None)()


@contextmanager
def _streams_to(out: int, err: int) -> Iterator[None]:
    """Standard output and error, Python's and the descriptors that workers inherit."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(out, 1)
    os.dup2(err, 2)
    try:
        with (
            open(1, "w", closefd=False) as stdout,
            open(2, "w", closefd=False, buffering=1) as stderr,
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            yield
    finally:
        for old, new in zip(kept, (1, 2), strict=True):
            os.dup2(old, new)
            os.close(old)
