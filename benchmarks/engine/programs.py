"""Programs that are measured: started here, ended here, and how much memory their processes took."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_S = 0.2  # between two looks at the memory


class Failed(Exception):
    """A program that did not do what it was started for; the message says why in one line."""


def start(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> str:
    """Run a program of this benchmark to its end; what it printed. Raises Failed, also when it is late."""
    with started(command, environment) as process:
        return wait_for(process, limit_s)


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[str]"]:
    """A program while it runs; what is left of its group of processes at the end is killed."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its group, which begins with it
        process.wait()


def wait_for(process: "subprocess.Popen[str]", limit_s: float) -> str:
    """Wait for a program's end; what it printed. Raises Failed with the last line that it said."""
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"it had not ended after {limit_s:.0f} s") from None
    if process.returncode:
        said = (err.strip() or out.strip() or "it said nothing").splitlines()
        raise Failed(f"{said[-1]:.200} (exit code {process.returncode})")
    return out


@contextmanager
def watch_memory(pid: int) -> Iterator[list[int]]:
    """Megabytes of a process and all below it, sampled: pages that several share count once."""
    found: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(SAMPLE_S):
            found.append(sum(map(_kilobytes, _family(pid))) // 1000)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def _family(pid: int) -> list[int]:
    """The process, its children, theirs, and so on."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            found += [int(c) for t in tasks for c in (t / "children").read_text().split()]
        except OSError:  # it has just ended
            continue
    return found


def _kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
