"""`pip install` for scripts/environment, which says where it is: `installing.py LOG [arguments of pip]`.

Runs before Calyx can be imported. What pip says goes to the file LOG; a person sees one line that
changes on a terminal, and elsewhere a line every ten seconds at most.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

EVERY_S = 10.0  # between two lines where there is no terminal
LOOK_S = 0.5  # between two looks at what pip does
LAST_LINES = 12  # of pip's, shown where it fails


class Stage:
    """What pip is doing, by the lines that it writes."""

    def __init__(self) -> None:
        self.found = 0  # packages, the project's own among them
        self._wanted = 0  # packages to install, once pip knows them all
        self._now = "asking what Calyx needs"

    def read(self, line: str) -> None:
        """Take one of pip's lines."""
        if re.match(r"(Collecting|Obtaining|Processing) ", line):
            self.found += 1
        elif fetched := re.match(r"\s+Downloading (\S+?)(?:\.metadata)? \((.+)\)", line):
            name = fetched[1].rpartition("/")[2].split("-")[0]
            self._now = f"fetching {name} ({fetched[2]})"
        elif built := re.match(r"Building wheels? for (?:collected packages: )?([\w.-]+)", line):
            self._now = f"building {built[1]}"
        elif line.startswith("Installing collected packages:"):
            self._wanted = line.count(",") + 1

    def sentence(self, installed: int) -> str:
        """Where it is, with so many packages `installed` since pip began."""
        if self._wanted:
            return f"{min(installed, self._wanted)} of {self._wanted} packages installed"
        return f"{self._now}, packages so far: {self.found}" if self.found else self._now


class Line:
    """One line for a person: rewritten on a terminal, a new one every ten seconds elsewhere."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._is_terminal = stream.isatty()
        self._began = self._said = clock()

    def say(self, sentence: str) -> None:
        """Show it, with the time since the beginning."""
        now = self._clock()
        told = f"  {minutes(now - self._began)}  {sentence}"
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{told[:width]}\x1b[K")
        elif now - self._said >= EVERY_S:
            self._said = now
            self._stream.write(f"{told}\n")
        self._stream.flush()

    def end(self, sentence: str = "") -> None:
        """The last line, which stays; without one, nothing is left of it on a terminal."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
        if sentence:
            self._stream.write(f"  {minutes(self._clock() - self._began)}  {sentence}\n")
        self._stream.flush()


def minutes(seconds: float) -> str:
    """As 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def last_lines(told: str) -> list[str]:
    """Of what pip has said those that say why it failed: from its first error on, or the last."""
    lines = [line for line in told.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if line.lstrip().startswith("ERROR")), 0)
    return lines[first:][-LAST_LINES:]


def _installed(since: float) -> int:
    """Packages that were put in place since a time; pip writes the file RECORD of each last."""
    times = []
    for record in Path(sysconfig.get_path("purelib")).glob("*.dist-info/RECORD"):
        try:
            times.append(record.stat().st_mtime)
        except FileNotFoundError:  # an older version, taken away meanwhile
            continue
    return sum(one >= since for one in times)


def main(log: Path, arguments: list[str]) -> int:
    """Run pip to its end; returns its exit code."""
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        options.append("--no-compile")  # Python compiles what is used, a tenth of it, at first use
    command = [sys.executable, "-m", "pip", "install", *options, *arguments]
    stage, line, began = Stage(), Line(sys.stderr), time.time()
    with log.open("wb") as out, log.open(encoding="utf-8", errors="replace") as told:
        # Open files are passed on, because one of them is the lock of scripts/environment.
        pip = subprocess.Popen(command, stdout=out, stderr=out, close_fds=False)  # noqa: S603
        try:
            code = None
            while code is None:
                line.say(stage.sentence(_installed(began)))
                try:
                    code = pip.wait(LOOK_S)
                except subprocess.TimeoutExpired:
                    for one in told:
                        stage.read(one)
        except KeyboardInterrupt:
            pip.terminate()  # where the interrupt was sent to this process alone
            pip.wait()
            line.end()
            return 130
    line.end("ready" if code == 0 else "")
    if code != 0:
        sys.stderr.write("\n".join([*last_lines(log.read_text(errors="replace")), ""]))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
