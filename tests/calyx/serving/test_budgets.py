"""Budgets: what a caller may ask for, over replicas and restarts."""

import contextlib
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.errors import UserError
from calyx.serving.access_config import LimitsConfig
from calyx.serving.budgets import Budgets, Window, find_wait_s
from calyx.serving.caller import Caller
from calyx.serving.refusals import Refused
from calyx.serving.shared_windows import SharedWindows

WARD, LAB = Caller("ward", frozenset()), Caller("lab", frozenset())
DAY = 86_400.0


class Clock:
    """Begins at midnight UTC."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY

    def __call__(self) -> float:
        return self.now


def make(path: Path, clock: Clock, **limits: int) -> Budgets:
    return Budgets(LimitsConfig(**limits), SharedWindows(path / "budgets.sqlite", clock))


def refusal(budgets: Budgets, caller: Caller, rows: int) -> Refused:
    with pytest.raises(Refused) as caught:
        budgets.spend(caller, rows)
    return caught.value


def test_rows_are_counted_by_caller_and_a_refused_request_costs_nothing(tmp_path: Path):
    budgets = make(tmp_path, Clock(), rows_per_day=100)
    budgets.spend(WARD, 90)
    refused = refusal(budgets, WARD, 11)
    assert refused.status == 429
    budgets.spend(WARD, 10)
    budgets.spend(LAB, 100)


def test_a_key_with_limits_of_its_own_has_those(tmp_path: Path):
    budgets = make(tmp_path, Clock(), rows_per_day=100, requests_per_minute=100)
    own = Caller("own", frozenset(), requests_per_minute=1, rows_per_day=1)
    budgets.spend(own, 1)
    budgets.spend_request(own)
    assert refusal(budgets, own, 1).retry_after_s is not None
    with pytest.raises(Refused, match="1 requests a minute"):
        budgets.spend_request(own)


def test_the_wait_that_is_told_is_enough_and_not_a_second_too_long(tmp_path: Path):
    clock = Clock()
    budgets = make(tmp_path, clock, rows_per_day=100)
    budgets.spend(WARD, 100)
    wait_s = refusal(budgets, WARD, 50).retry_after_s
    # The day ends after 86,400 s; of its 100 rows 50 count until the half of the next, less the last one.
    assert wait_s is not None
    assert DAY * 1.48 < wait_s < DAY * 1.5
    clock.now += wait_s - 1
    refusal(budgets, WARD, 50)
    clock.now += 1
    budgets.spend(WARD, 50)


def test_a_request_larger_than_a_days_budget_is_told_no_time_to_come_back(tmp_path: Path):
    assert refusal(make(tmp_path, Clock(), rows_per_day=10), WARD, 11).retry_after_s is None


@given(
    before=st.integers(0, 100),
    current=st.integers(0, 100),
    left_s=st.floats(0.01, 60),
    cost=st.integers(1, 100),
)
def test_after_the_wait_as_much_fits_as_was_asked_for(before, current, left_s, cost):
    wait_s = find_wait_s(Window(before, current, left_s, 60), 100, cost)
    if wait_s < left_s:
        older, newer, left = before, current, left_s - wait_s
    elif wait_s < left_s + 60:
        older, newer, left = current, 0, left_s + 60 - wait_s
    else:
        older, newer, left = 0, 0, 60.0
    assert int(older * left / 60) + newer + cost <= 100


def test_what_was_spent_before_a_restart_stays_spent(tmp_path: Path):
    clock = Clock()
    make(tmp_path, clock, rows_per_day=100).spend(WARD, 100)
    refusal(make(tmp_path, clock, rows_per_day=100), WARD, 1)


def spend_many(path: Path) -> int:
    budgets, spent = make(path, Clock(), rows_per_day=300), 0
    for _ in range(200):
        with contextlib.suppress(Refused):
            budgets.spend(WARD, 1)
            spent += 1
    return spent


def test_two_replicas_together_spend_no_more_than_one(tmp_path: Path):
    with multiprocessing.get_context("fork").Pool(2) as replicas:
        both = replicas.map_async(spend_many, [tmp_path, tmp_path], chunksize=1)
        assert sum(both.get(timeout=60)) == 300


def test_a_damaged_file_is_a_sentence_at_the_start_and_503_later(tmp_path: Path):
    budgets = make(tmp_path, Clock())
    (tmp_path / "budgets.sqlite").write_bytes(b"no database" * 100)
    for name in ("budgets.sqlite-wal", "budgets.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert refusal(budgets, WARD, 1).status == 503
    with pytest.raises(UserError, match="move the file away"):
        make(tmp_path, Clock())


def test_windows_that_are_over_are_forgotten(tmp_path: Path):
    clock = Clock()
    budgets = make(tmp_path, clock)
    for number in range(999):
        budgets.spend(Caller(f"caller {number}", frozenset()), 1)
    clock.now += 3 * DAY
    budgets.spend(WARD, 1)
    with sqlite3.connect(tmp_path / "budgets.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM counts").fetchone() == (1,)
