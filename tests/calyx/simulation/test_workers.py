"""Worker processes: results, death, deadlines, and what is left behind."""

import logging
import os
import signal
import time

import numpy as np
import pytest

from calyx.simulation.engine import EmbeddedConfig
from calyx.simulation.jobs import Died, Done, Failed, Job, Parcel, find_parcel, mark, tell
from calyx.simulation.workers import WorkerPool


def double(value):
    return value * 2


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds):
    time.sleep(seconds)
    return "woke"


def fail(_):
    raise ValueError("not for the parent's eyes")


def pid(_):
    return os.getpid()


def count(number):
    for step in range(number):
        tell(step)
    return number


def warn(text):
    logging.getLogger("client.somewhere").warning("%s", text)


class Counted:
    """Knows how often it was packed."""

    def __init__(self, value):
        self.value, self.packed = value, 0

    def __getstate__(self):
        self.packed += 1
        return vars(self)


def look_up(place):
    return find_parcel(place)


def count_up(number):
    return np.arange(number, dtype=np.uint32)


def die_at(position):
    mark(position)
    os._exit(3)


def run(pool, *jobs, timeout=None):
    """The result of each job, which any worker may do."""
    return run_jobs(pool, [Job(None, f, (a,)) for f, a in jobs], timeout)


def run_jobs(pool, jobs, timeout=None):
    results = {}
    pool.run(jobs, timeout, results.__setitem__)
    return [results[i] for i in range(len(jobs))]


def test_more_workers_than_clients_or_cores_are_as_many_as_there_are_and_it_is_said(monkeypatch):
    monkeypatch.setattr("calyx.simulation.engine.cores", lambda: 4)
    engine = EmbeddedConfig(name="embedded", workers=9, cohort=False)
    assert (engine.count(3), engine.count(100)) == (3, 4)
    assert "9 is more than the 3 clients of the run" in engine.remarks(3)[0]
    assert "9 is more than the 4 cores of this machine" in engine.remarks(100)[0]
    assert EmbeddedConfig(name="embedded", workers=2, cohort=False).remarks(100) == []


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_each_job_has_its_own_result(workers):
    with WorkerPool(workers) as pool:
        assert run(pool, *((double, i) for i in range(7))) == [Done(2 * i) for i in range(7)]
        assert run(pool) == []


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_job_tells_how_far_it_is_before_its_result(workers):
    said = []
    with WorkerPool(workers) as pool:
        jobs = [Job(None, count, (n,)) for n in (2, 0, 3)]
        pool.run(jobs, 30, lambda *ended: said.append(ended), lambda *told: said.append(told))
    for index, number in enumerate((2, 0, 3)):
        own = [what for i, what in said if i == index]
        assert own == [*range(number), Done(number)]
    assert count(2) == 2  # nobody listens outside a pool


def test_workers_persist_and_a_job_with_a_home_is_done_there():
    with WorkerPool(2) as pool:
        first = run_jobs(pool, [Job(home, pid, (0,)) for home in range(4)])
        assert first == run_jobs(pool, [Job(home, pid, (0,)) for home in range(4)])
        assert first[0] == first[2] != first[1] == first[3]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_parcel_is_one_object_to_all_jobs_of_a_worker_until_another_takes_its_place(workers):
    with WorkerPool(workers) as pool:
        for value in ("first", "second"):
            parcel = Parcel("here", Counted(value))
            jobs = [Job(home, look_up, ("here",), (parcel,)) for home in range(6)]
            found = [result.value for result in run_jobs(pool, jobs)]
            assert [one.value for one in found] == [value] * 6
            assert parcel.value.packed == workers


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_large_arrives_whole_however_often_it_comes(workers):
    """Arrays go through memory as far as it reaches, and through the pipe beyond."""
    sizes = [1, 2**16, 2**23, 2**16, 2**24 + 1, 3]
    with WorkerPool(workers) as pool:
        results = run(pool, *((count_up, n) for n in sizes))
        for n, result in zip(sizes, results, strict=True):
            np.testing.assert_array_equal(result.value, np.arange(n, dtype=np.uint32))
            result.value[0] = 7  # it is its receiver's own


def test_a_worker_that_dies_fails_its_job_only_and_is_replaced():
    with WorkerPool(2) as pool:
        results = run(pool, (die, 0), (double, 1), (double, 2), (double, 3), (die_at, 4))
        assert results[1:4] == [Done(2), Done(4), Done(6)]
        assert results[0] == Died("its worker process died (signal 9)", -1)
        assert results[4] == Died("its worker process died (exit code 3)", 4)
        assert run(pool, *((double, i) for i in range(4))) == [Done(2 * i) for i in range(4)]


def test_a_job_that_hangs_fails_at_the_deadline_and_holds_up_nobody_else():
    with WorkerPool(2) as pool:
        results = run(pool, (sleep, 600), *((double, i) for i in range(1, 6)), timeout=1.0)
        assert results[1:] == [Done(2 * i) for i in range(1, 6)]
        assert (results[0].reason, results[0].at) == ("no reply before the deadline", -1)
        assert results[0].seconds > 0.9
        assert run(pool, (double, 1), (double, 2)) == [Done(2), Done(4)]


def test_an_exception_fails_its_job_by_type_and_not_by_text():
    with WorkerPool(1) as pool:
        assert run(pool, (fail, 0), (double, 1)) == [Failed("ValueError in the engine"), Done(2)]


def test_what_a_worker_logs_comes_home(caplog):
    with WorkerPool(1) as pool:
        run(pool, (warn, "look here"))
    assert ("client.somewhere", logging.WARNING, "look here") in caplog.record_tuples


def test_no_process_is_left_when_the_pool_is_left():
    pids = []

    def stopped():
        with WorkerPool(2) as pool:
            jobs = [Job(home, pid, (0,)) for home in range(2)]
            pids.extend(result.value for result in run_jobs(pool, jobs))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert len(pids) == 2
    for number in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
