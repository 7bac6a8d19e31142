"""Persistent worker processes that run one job at a time, and are replaced when they die.

Forked before any thread is started and before PyTorch computes anything (spawned where fork is
not to be had). A pool knows nothing of clients or rounds: it runs functions. What many jobs need goes
to each worker once, as a parcel. See docs/decisions/0008 and 0073.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

from calyx.machine import spans
from calyx.simulation.line import Lanes, Line
from calyx.simulation.log_records import keep_records

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Parcel:
    """What many jobs need: it goes to a worker once, and takes the place of an earlier one there."""

    place: str  # by which `find_parcel` finds it
    value: Any  # picklable; packed for each worker


@dataclass(frozen=True)
class Job:
    """A function of a module, and its arguments, both picklable."""

    home: int | None  # the one worker that can do it, counted round; None: whoever is idle
    function: Callable[..., Any]  # whatever the caller of the pool wants done
    arguments: tuple[Any, ...]
    parcels: tuple[Parcel, ...] = ()  # what it finds in its worker


@dataclass(frozen=True)
class Done:
    """A job's result."""

    value: Any  # what the function returned


@dataclass(frozen=True)
class Failed:
    """Why a job has no result, as a clause for a person."""

    reason: str


@dataclass(frozen=True)
class Died(Failed):
    """The worker of the job has died."""

    at: int  # what the job had marked last; -1: nothing


@dataclass(frozen=True)
class Expired(Failed):
    """The deadline came while the job ran, and its worker was replaced."""

    at: int  # what the job had marked last; -1: nothing
    seconds: float  # since then


Result = Done | Failed
LATE = "no reply before the deadline"
OnResult = Callable[[int, Result], None]  # index of the job, its result


@dataclass(frozen=True)
class Told:
    """What a job says of itself while it runs."""

    value: Any


@dataclass(frozen=True)
class _Came:
    """What a worker sends home at once."""

    result: Result | Told
    records: list[logging.LogRecord] = field(default_factory=list)  # what was logged
    pieces: list[spans.Piece] = field(default_factory=list)  # where its time went


OnTold = Callable[[int, Any], None]  # index of the job, what it says
_telling: ContextVar[Callable[[Any], None] | None] = ContextVar("telling", default=None)
_marking: ContextVar[Callable[[int], None] | None] = ContextVar("marking", default=None)
_parcels: ContextVar[dict[str, Any]] = ContextVar("parcels")


def tell(value: object) -> None:
    """Tell from within a job how far it is; outside of a pool, nobody is told."""
    said = _telling.get()
    if said is not None:
        said(value)


def mark(position: int) -> None:
    """Note within a job where it is, so that one knows what it died of; it costs no message."""
    noting = _marking.get()
    if noting is not None:
        noting(position)


def find_parcel(place: str) -> Any:  # noqa: ANN401 - what the job's maker has packed
    """Within a job: what one of its parcels holds; the same object until another takes its place."""
    return _parcels.get()[place]


class WorkerPool:
    """`workers` processes, or none: then jobs run in this process, one after another.

    Use as a context manager: leaving it ends every process, whatever happened.
    """

    def __init__(self, workers: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self._workers = [_Worker(self._context) for _ in range(workers)]
        self._parcels: dict[str, Any] = {}  # of a pool without workers

    @property
    def size(self) -> int:
        """Processes that work at once; 1 where jobs run in this one."""
        return max(1, len(self._workers))

    def __enter__(self) -> "WorkerPool":
        """The pool itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End every process."""
        for worker in self._workers:
            worker.kill()

    def run(
        self,
        jobs: Sequence[Job],
        timeout: float | None,
        on_result: OnResult,
        on_told: OnTold = lambda *_: None,
    ) -> None:
        """Run all jobs; call `on_result` here, once a job, as they end, and `on_told` as they `tell`.

        After `timeout` seconds every job without a result fails, and the workers that were busy
        are replaced. A job whose worker dies fails; the others go on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._workers:
            self._run_there(jobs, deadline, on_result, on_told)
        else:
            self._run_here(jobs, deadline, on_result, on_told)

    def _run_there(
        self, jobs: Sequence[Job], deadline: float | None, on_result: OnResult, on_told: OnTold
    ) -> None:
        loose, queues = deque[int](), [deque[int]() for _ in self._workers]
        for index, job in enumerate(jobs):
            (loose if job.home is None else queues[job.home % len(queues)]).append(index)
        running: dict[int, int] = {}  # worker → job
        while True:
            for number, own in enumerate(queues):
                queue = own or loose
                if number not in running and queue:
                    running[number] = queue.popleft()
                    self._workers[number].send(jobs[running[number]])
            if not running:
                return
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            with spans.span("idle"):
                ready = wait([self._workers[n].line.connection for n in running], left)
            if not ready:
                self._expire(running, on_result)
                for index in (*loose, *(i for queue in queues for i in queue)):
                    on_result(index, Failed(LATE))
                return
            for number in [n for n in running if self._workers[n].line.connection in ready]:
                came = self._collect(number)
                if isinstance(came, Told):
                    on_told(running[number], came.value)
                else:
                    on_result(running.pop(number), came)

    def _run_here(
        self, jobs: Sequence[Job], deadline: float | None, on_result: OnResult, on_told: OnTold
    ) -> None:
        for index, job in enumerate(jobs):
            late = deadline is not None and time.monotonic() > deadline
            self._parcels |= {parcel.place: parcel.value for parcel in job.parcels}
            before = _telling.set(partial(on_told, index)), _parcels.set(self._parcels)
            try:
                on_result(
                    index,
                    Failed(LATE) if late else attempt(job.function, *job.arguments),
                )
            finally:
                _telling.reset(before[0])
                _parcels.reset(before[1])

    def _collect(self, number: int) -> Result | Told:
        worker = self._workers[number]
        try:
            came = worker.receive()
        except (EOFError, OSError):
            reason, (at, _) = worker.cause_of_death(), worker.mark.read()
            self._replace(number)
            return Died(f"its worker process died ({reason})", at)
        for record in came.records:
            logging.getLogger(record.name).handle(record)
        spans.add(f"worker {number + 1}", came.pieces)
        return came.result

    def _expire(self, running: dict[int, int], on_result: OnResult) -> None:
        for number, index in running.items():
            at, seconds = self._workers[number].mark.read()
            self._replace(number)
            on_result(index, Expired(LATE, at, seconds))

    def _replace(self, number: int) -> None:
        self._workers[number].kill()
        self._workers[number] = _Worker(self._context)


@dataclass(frozen=True)
class _Mark:
    """Where a job is and since when, in two numbers that both processes see."""

    numbers: Any  # multiprocessing's shared arrays have no public type

    def write(self, position: int) -> None:
        """Be at a position from now on; -1 is before all of them."""
        self.numbers[0], self.numbers[1] = position, time.monotonic()

    def read(self) -> tuple[int, float]:
        """The position, and the seconds since it was reached."""
        return int(self.numbers[0]), time.monotonic() - self.numbers[1]


class _Worker:
    """One process and this end of its pipe."""

    def __init__(self, context: Any) -> None:  # noqa: ANN401 - multiprocessing's contexts share no public type
        ours, theirs = context.Pipe()
        lanes = Lanes.make() if context.get_start_method() == "fork" else Lanes()
        self.line = Line(ours, lanes.down, lanes.up)
        self.mark = _Mark(context.RawArray("d", 2))
        self._parcels: dict[str, Parcel] = {}  # that it has
        arguments = (theirs, lanes, self.mark)
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

    def receive(self) -> _Came:
        """The job's result, or what it tells, and what was logged. Raises EOFError if it died."""
        with spans.span("move"):
            came: _Came = self.line.receive()
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


def _serve(connection: Connection, lanes: Lanes, place: _Mark) -> None:
    """A worker's life: jobs in, results out, until its parent closes the pipe or dies."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    records = keep_records()
    line = Line(connection, lanes.up, lanes.down)
    _telling.set(lambda value: line.send(_Came(Told(value))))
    _marking.set(place.write)
    parcels: dict[str, Any] = {}
    _parcels.set(parcels)
    spans.restart()
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
            line.send(_Came(result, list(records), spans.take()))
        records.clear()


def attempt(function: Callable[..., Any], *arguments: Any) -> Done | Failed:  # noqa: ANN401 - its own
    """What `function` returns, or that it failed: the log has the traceback, and the result none."""
    try:
        return Done(function(*arguments))
    except Exception as error:
        log.exception("a job failed")
        return Failed(f"{type(error).__name__} in the engine")


def _end_with_parent() -> None:
    # A parent that is killed cannot say goodbye; its end of this pipe closes all the same.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
