"""One worker: its process, and the parent's end of the line to it."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from calyx.machine import spans
from calyx.simulation.jobs import Job, Parcel, Result, Told, attempt, listen
from calyx.simulation.line import Lanes, Line
from calyx.simulation.log_records import keep_records

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Came:
    """What a worker sends home at once."""

    result: Result | Told
    records: list[logging.LogRecord] = field(default_factory=list)  # what was logged
    pieces: list[spans.Piece] = field(default_factory=list)  # where its time went


@dataclass(frozen=True)
class Mark:
    """Where a job is and since when, in two numbers that both processes see."""

    numbers: Any  # multiprocessing's shared arrays have no public type

    def write(self, position: int) -> None:
        """Be at a position from now on; -1 is before all of them."""
        self.numbers[0], self.numbers[1] = position, time.monotonic()

    def read(self) -> tuple[int, float]:
        """The position, and the seconds since it was reached."""
        return int(self.numbers[0]), time.monotonic() - self.numbers[1]


class Worker:
    """One process and this end of its pipe."""

    def __init__(self, context: Any, prepare: Callable[[], None]) -> None:  # noqa: ANN401 - multiprocessing's contexts share no public type
        ours, theirs = context.Pipe()
        lanes = Lanes.make() if context.get_start_method() == "fork" else Lanes()
        self.line = Line(ours, lanes.down, lanes.up)
        self.mark = Mark(context.RawArray("d", 2))
        self._parcels: dict[str, Parcel] = {}  # that it has
        arguments = (theirs, lanes, self.mark, logging.root.level, prepare)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def send(self, job: Job) -> None:
        """Hand over a job; a worker that is already dead is found out when its result is read."""
        self.mark.write(-1)
        try:
            with spans.span("move"):
                for parcel in job.parcels:
                    if self._parcels.get(parcel.place) is not parcel:
                        self.line.send(parcel)
                        self._parcels[parcel.place] = parcel
                self.line.send(replace(job, parcels=()))
        except OSError:
            log.debug("the worker %s is gone", self.process.pid)

    def receive(self) -> Came:
        """The job's result, or what it tells, and what was logged. Raises EOFError if it died."""
        with spans.span("move"):
            came: Came = self.line.receive()
        return came

    def cause_of_death(self) -> str:
        """How the process ended, in two words."""
        self.process.join(timeout=5)
        code = self.process.exitcode
        if code is None:
            return "no longer answering"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process now, and wait until it is gone."""
        self.line.close()
        self.process.kill()
        self.process.join()


def _serve(
    connection: Connection, lanes: Lanes, place: Mark, level: int, prepare: Callable[[], None]
) -> None:
    """A worker's life: jobs in, results out, until its parent closes the pipe or dies."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.root.setLevel(level)
    records = keep_records()
    prepare()
    line = Line(connection, lanes.up, lanes.down)
    parcels: dict[str, Any] = {}

    def on_told(value: Any) -> None:  # noqa: ANN401 - whatever a job says
        line.send(Came(Told(value)))

    with listen(parcels, on_told, place.write):
        _work(connection, line, parcels, records)


def _work(
    connection: Connection, line: Line, parcels: dict[str, Any], records: list[logging.LogRecord]
) -> None:
    while True:
        try:
            with spans.span("idle"):
                connection.poll(None)
            with spans.span("move"):
                job = line.receive()
        except EOFError:
            return
        if isinstance(job, Parcel):
            parcels[job.place] = job.value
            continue
        result = attempt(job.function, *job.arguments)
        with spans.span("move"):
            line.send(Came(result, list(records), spans.take()))
        records.clear()


def _end_with_parent() -> None:
    # A parent that is killed cannot say goodbye; its end of this pipe closes all the same.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
