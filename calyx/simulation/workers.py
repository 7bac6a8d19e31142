"""Persistent worker processes that run one job at a time, and are replaced when they die.

Forked before any thread is started and before PyTorch computes anything (spawned where fork is
not to be had). A pool knows nothing of clients or rounds: it runs functions. See docs/decisions/0008.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A function of a module, and its arguments, both picklable; `home` prefers a worker."""

    home: int
    function: Callable[..., Any]  # whatever the caller of the pool wants done
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Done:
    """A job's result."""

    value: Any  # what the function returned


@dataclass(frozen=True)
class Failed:
    """Why a job has no result, as a clause for a person."""

    reason: str


Result = Done | Failed
OnResult = Callable[[int, Result], None]  # index of the job, its result


@dataclass(frozen=True)
class Told:
    """What a job says of itself while it runs."""

    value: Any


OnTold = Callable[[int, Any], None]  # index of the job, what it says
_telling: ContextVar[Callable[[Any], None] | None] = ContextVar("telling", default=None)


def tell(value: object) -> None:
    """Tell from within a job how far it is; outside of a pool, nobody is told."""
    said = _telling.get()
    if said is not None:
        said(value)


class WorkerPool:
    """`workers` processes, or none: then jobs run in this process, one after another.

    Use as a context manager: leaving it ends every process, whatever happened.
    """

    def __init__(self, workers: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self._workers = [_Worker(self._context) for _ in range(workers)]

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
        if not self._workers:
            self._run_here(jobs, deadline, on_result, on_told)
            return
        queues = [deque[int]() for _ in self._workers]
        for index, job in enumerate(jobs):
            queues[job.home % len(queues)].append(index)
        running: dict[int, int] = {}  # worker → job
        while True:
            for number, own in enumerate(queues):
                # An idle worker helps out: one job that hangs must not hold up those behind it.
                queue = own or max(queues, key=len)
                if number not in running and queue:
                    running[number] = queue.popleft()
                    self._workers[number].send(jobs[running[number]])
            if not running:
                return
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = wait([self._workers[number].connection for number in running], left)
            for number in [n for n in running if self._workers[n].connection in ready]:
                came = self._collect(number)
                if isinstance(came, Told):
                    on_told(running[number], came.value)
                else:
                    on_result(running.pop(number), came)
            if not ready:
                self._expire(
                    [*running], on_result, [*running.values(), *(i for q in queues for i in q)]
                )
                return

    def _run_here(
        self, jobs: Sequence[Job], deadline: float | None, on_result: OnResult, on_told: OnTold
    ) -> None:
        for index, job in enumerate(jobs):
            late = deadline is not None and time.monotonic() > deadline
            before = _telling.set(partial(on_told, index))
            try:
                on_result(index, Failed("no reply before the deadline") if late else _perform(job))
            finally:
                _telling.reset(before)

    def _collect(self, number: int) -> Result | Told:
        worker = self._workers[number]
        try:
            result, records = worker.receive()
        except (EOFError, OSError):
            reason = worker.cause_of_death()
            self._replace(number)
            return Failed(f"its worker process died ({reason})")
        for record in records:
            logging.getLogger(record.name).handle(record)
        return result

    def _expire(self, busy: list[int], on_result: OnResult, jobs: list[int]) -> None:
        for number in busy:
            self._replace(number)
        for index in jobs:
            on_result(index, Failed("no reply before the deadline"))

    def _replace(self, number: int) -> None:
        self._workers[number].kill()
        self._workers[number] = _Worker(self._context)


class _Worker:
    """One process and this end of its pipe."""

    def __init__(self, context: Any) -> None:  # noqa: ANN401 - multiprocessing's contexts share no public type
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, job: Job) -> None:
        """Hand over a job; a worker that is already dead is found out when its result is read."""
        try:
            self.connection.send_bytes(pickle.dumps(job))
        except OSError:
            log.debug("the worker %s is gone", self.process.pid)

    def receive(self) -> tuple[Result | Told, list[logging.LogRecord]]:
        """The job's result, or what it tells, and what was logged. Raises EOFError if it died."""
        # Our own forked process wrote it: nothing here comes from a network.
        result, records = pickle.loads(self.connection.recv_bytes())  # noqa: S301
        return result, records

    def cause_of_death(self) -> str:
        """How the process ended, in two words."""
        self.process.join(timeout=5)
        code = self.process.exitcode
        if code is None:
            return "no longer answering"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process now, and wait until it is gone."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def _serve(connection: Connection) -> None:
    """A worker's life: jobs in, results out, until its parent closes the pipe or dies."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    records = _keep_records()
    _telling.set(lambda value: connection.send_bytes(pickle.dumps((Told(value), []))))
    while True:
        try:
            job = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
        except EOFError:
            return
        result = _perform(job)
        connection.send_bytes(pickle.dumps((result, list(records))))
        records.clear()


def _perform(job: Job) -> Result:
    try:
        return Done(job.function(*job.arguments))
    except Exception as error:
        log.exception("a job failed")
        return Failed(f"{type(error).__name__} in the engine")


def _end_with_parent() -> None:
    # A parent that is killed cannot say goodbye; its end of this pipe closes all the same.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _keep_records() -> list[logging.LogRecord]:
    """Send log records home with the next result, instead of into the terminal's display."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        """Keeps what the parent will show."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep the record with its text made, since a traceback cannot be pickled."""
            record.msg, record.args, record.exc_info = self.format(record), None, None
            records.append(record)

    logging.getLogger().handlers[:] = [Keep()]
    return records
