"""Persistent worker processes that run one job at a time, and are replaced when they die.

Forked before any thread is started and before PyTorch computes anything. Where fork is not to be had,
or something that was imported has started a thread, they are spawned: a forked process has only the
thread that forked, and waits forever for what another would do. A pool knows nothing of clients or
rounds: it runs functions. What many jobs need goes to each worker once, as a parcel. See
docs/decisions/0008 and 0073.
"""

import logging
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from calyx.machine import spans
from calyx.simulation.jobs import LATE, Died, Expired, Failed, Job, Result, Told, attempt, listen
from calyx.simulation.worker import Worker

OnResult = Callable[[int, Result], None]  # index of the job, its result
OnTold = Callable[[int, Any], None]  # index of the job, what it says


def _do_nothing() -> None:
    """What a worker needs before its first job, where nobody says otherwise."""


class WorkerPool:
    """`workers` processes, or none: then jobs run in this process, one after another.

    Use as a context manager: leaving it ends every process, whatever happened.
    """

    def __init__(self, workers: int, prepare: Callable[[], None] = _do_nothing) -> None:
        """Start the processes; each calls `prepare`, a function of a module, before its first job."""
        main = threading.main_thread()
        # What keeps the pool from forking, by name.
        self.threads = [one.name for one in threading.enumerate() if one is not main and workers]
        is_forked = "fork" in multiprocessing.get_all_start_methods() and not self.threads
        self._context = multiprocessing.get_context("fork" if is_forked else "spawn")
        self._prepare = prepare
        self._workers = [Worker(self._context, prepare) for _ in range(workers)]
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
            for number, worker in enumerate(self._workers):
                new = None if number in running else _next(queues[number], loose, queues, jobs)
                if new is not None:
                    running[number] = new
                    worker.send(jobs[new])
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
            with listen(self._parcels, partial(on_told, index)):
                on_result(index, Failed(LATE) if late else attempt(job.function, *job.arguments))

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
        self._workers[number] = Worker(self._context, self._prepare)


def _next(
    own: deque[int], loose: deque[int], queues: Sequence[deque[int]], jobs: Sequence[Job]
) -> int | None:
    """The job for an idle worker: of its own, or anybody's, or the last that the busiest can spare."""
    if own or loose:
        return (own or loose).popleft()
    spare = [queue for queue in queues if queue and jobs[queue[-1]].is_movable]
    return max(spare, key=len).pop() if spare else None
