"""Spans: off until asked for, disjoint when nested, and of forked processes too."""

import threading
from contextlib import suppress

import pytest

from calyx.machine import spans


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves; recording is on, and off again afterwards."""
    now = [0.0]
    monkeypatch.setattr(spans.time, "monotonic", lambda: now[0])
    spans.record()
    yield now
    spans.finish()


def test_nothing_is_recorded_until_it_is_asked_for():
    with spans.span("train"):
        spans.begin_round(1)
    assert spans.take() == []
    assert spans.finish() is None
    assert spans.span("train") is spans.span("move")  # one empty context for all


def test_an_inner_span_has_the_time_of_the_outer_one(clock):
    with spans.span("prepare"):
        clock[0] = 1.0
        with spans.span("load"):
            clock[0] = 4.0
        clock[0] = 6.0
    pieces = [(p.phase, p.started, p.seconds) for p in spans.take()]
    assert pieces == [("prepare", 0.0, 1.0), ("load", 1.0, 3.0), ("prepare", 4.0, 2.0)]


def test_a_span_that_fails_has_its_time(clock):
    with suppress(ValueError), spans.span("train"):
        clock[0] = 2.0
        raise ValueError
    assert [p.seconds for p in spans.take()] == [2.0]


def test_a_thread_beside_is_a_lane_of_its_own(clock):
    def write():
        with spans.span("write"):
            clock[0] = 3.0

    thread = threading.Thread(target=write, name="checkpoint")
    with spans.span("idle"):
        thread.start()
        thread.join()
    assert {p.lane: (p.phase, p.seconds) for p in spans.take()} == {
        "server": ("idle", 3.0),
        "server, checkpoint": ("write", 3.0),
    }


def test_a_forked_process_takes_what_is_its_own_and_its_parent_names_it(clock):
    with spans.span("write"):
        clock[0] = 1.0
    spans.record()  # as each worker does
    with spans.span("train"):
        clock[0] = 3.0
    sent = spans.take()
    assert [p.phase for p in sent] == ["train"]
    assert spans.take() == []
    spans.add("worker 1", sent)
    assert [(p.lane, p.phase, p.seconds) for p in spans.take()] == [("worker 1", "train", 2.0)]
