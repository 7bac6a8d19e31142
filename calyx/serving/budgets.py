"""How much one caller may ask for: requests a minute and rows a day, over all replicas and restarts.

Both are sliding windows of the library `limits`: of the window before, as much counts as the last minute
or day still covers, so that nobody asks for twice as much around midnight. What is refused is not counted.
"""

import math
import sqlite3
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from calyx.serving.access_config import LimitsConfig
from calyx.serving.caller import Caller
from calyx.serving.refusals import Refused
from calyx.serving.shared_windows import SharedWindows

BUDGETS = "budgets.sqlite"  # file in serve.state_dir


class Budgets:
    """Counts requests and rows of callers."""

    def __init__(self, cfg: LimitsConfig, windows: SharedWindows) -> None:
        self._cfg, self._windows = cfg, windows
        self._limiter = SlidingWindowCounterRateLimiter(windows)

    def spend_request(self, caller: Caller) -> None:
        """Count a request. Raises Refused: 429 beyond the budget, 503 where nothing can be counted."""
        limit = caller.requests_per_minute or self._cfg.requests_per_minute
        if not self._spend(RateLimitItemPerMinute(limit, namespace="requests"), caller, 1):
            raise Refused(
                429,
                "Too many requests",
                f"This caller may send {limit:,} requests a minute; come back later.",
                retry_after_s=self._wait(
                    RateLimitItemPerMinute(limit, namespace="requests"), caller, 1
                ),
            )

    def spend(self, caller: Caller, rows: int) -> None:
        """Count the rows of a request, before they are answered. Raises Refused, as for requests."""
        limit = caller.rows_per_day or self._cfg.rows_per_day
        item = RateLimitItemPerDay(limit, namespace="rows")
        if self._spend(item, caller, rows):
            return
        if rows > limit:
            detail = f"This caller may ask for {limit:,} rows a day, and one request has {rows:,}."
            raise Refused(429, "Budget spent", detail)
        raise Refused(
            429,
            "Budget spent",
            f"This caller may ask for {limit:,} rows a day, and too few are left for {rows:,} now.",
            retry_after_s=self._wait(item, caller, rows),
        )

    def _spend(self, item: RateLimitItem, caller: Caller, cost: int) -> bool:
        try:
            return self._limiter.hit(item, caller.name, cost=cost)
        except sqlite3.Error:
            raise _uncounted() from None

    def _wait(self, item: RateLimitItem, caller: Caller, cost: int) -> int:
        try:
            seen = self._windows.get_sliding_window(item.key_for(caller.name), item.get_expiry())
        except sqlite3.Error:
            raise _uncounted() from None
        before, left_s, current, _ = seen
        return find_wait_s(Window(before, current, left_s, item.get_expiry()), item.amount, cost)


def _uncounted() -> Refused:
    detail = "What this caller asks for cannot be counted, and without that nothing is answered."
    return Refused(503, "Not counted", detail, retry_after_s=10)


@dataclass(frozen=True)
class Window:
    """What a sliding window holds now."""

    before: int  # counted in the window before, of which `left_s / length_s` still counts
    current: int  # counted in this one
    left_s: float  # until this one is the window before
    length_s: float


def find_wait_s(window: Window, limit: int, cost: int) -> int:
    """Whole seconds, at least 1, after which `cost` (at most `limit`) fits, if nothing else is counted."""
    room = limit - cost
    waited, counted, left = 0.0, window.before, window.left_s
    if window.current > room:  # not before this window is the one before
        waited, counted, left = window.left_s, window.current, window.length_s
    else:
        room -= window.current
    # The older window's share falls evenly, and counts as floor(counted · left / length).
    if counted > 0:
        waited += max(0.0, left - (room + 1) * window.length_s / counted)
    return max(1, math.floor(waited) + 1)
