"""A detector of model stealing: it looks at each caller's queries, slows, then stops, and alerts.

It reads two signs of the rows that a caller sent last (`calyx/serving/traces.py`): that many lie close to
earlier ones, as when a thief steps along gradients, and that they lie away from the training's rows, as
values drawn from the declared ranges do. A sign counts when it is beyond its limit by three standard
errors. What it cannot see: rows like the population's, several keys, a slow thief; the daily budget bounds
those. `python -m benchmarks.stealing` measures what it catches and how often it is wrong, and why it is
not PRADA's test is said in docs/decisions/0090.

Its memory is this process's, and begins anew with a release: of R replicas each sees a part of the rows.
Stops are in files, so that all replicas have them, and a restart does not lift one.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from calyx.config.section import config
from calyx.errors import printable
from calyx.serving.holds import Hold, Holds
from calyx.serving.population import Population
from calyx.serving.traces import Inputs, Queries, Signs, Trace

log = logging.getLogger(__name__)

Action = Literal["answer", "slow", "stop"]
LEAST_ROWS = 32  # judged rows, before which nothing is said of a caller
PATIENCE = 64  # rows that a slowed caller may ask, at once and in all, before it is stopped
MOST_BYTES = 2**26  # of all callers' traces; those that asked least lately are forgotten
NEARNESS = 0.1  # of the distance between unrelated rows, within which two are near
_EVERY = 8  # judged rows between two looks at the signs


@config
class DetectorConfig:
    """The section `serve.detector`."""

    mode: Literal["off", "alert", "slow", "stop"] = "stop"  # the most that is done about a caller
    near: Annotated[float, Field(gt=0, le=1)] = 0.2  # share of rows close to earlier ones
    away: Annotated[float, Field(gt=0, le=2)] = 0.15  # 0: as in training; 1: drawn evenly
    row_s: Annotated[float, Field(ge=0, le=60)] = 1.0  # seconds a row costs a slowed caller
    hold_s: Annotated[int, Field(ge=1, le=10**8)] = 86_400  # seconds for which a caller is stopped


@dataclass(frozen=True)
class Verdict:
    """What becomes of a request. `slow` and `stop` are both refused with 429 and Retry-After.

    A slowed caller that comes back after `retry_after_s` is answered; no connection is kept waiting.
    """

    action: Action
    retry_after_s: int = 0
    reason: str = ""  # sentences for the caller; the sign is in the log and in the stop's file
    is_alert: bool = False  # this request is the one by which the caller became slowed or stopped


_ANSWER = Verdict("answer")
_TOLD = (  # a thief need not know by which sign
    "What this caller asks looks like copying the model, and not like asking about cases."
)
_SLOWED = (
    f"{_TOLD} Until that has changed, ask for at most {PATIENCE} rows at a time, and wait between."
)
_STOPPED = f"{_TOLD} Whoever runs this gateway can say more, and lift the stop."


@dataclass(eq=False)
class _Suspect:
    """One caller: its queries' trace, and since when it is suspected."""

    trace: Trace
    looked: int = 0  # judged rows at the last look
    since: float | None = None  # when it became suspected; None: it is not
    asked: int = 0  # rows since then
    free_at: float = 0.0  # when a slowed caller is answered again
    reason: str = ""


class Detector:
    """One a release and process. It is called from one thread at a time."""

    def __init__(
        self,
        cfg: DetectorConfig,
        population: Population,
        reference: Inputs,
        holds: Holds,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`reference` [M, F]: inputs of rows as `draw_rows` makes them, by which distances are judged."""
        self._cfg, self._population, self._holds, self._now = cfg, population, holds, now
        self._radius = NEARNESS * typical_distance(reference)
        self._suspects: OrderedDict[str, _Suspect] = OrderedDict()
        self._bytes = 0

    def observe(self, caller: str, queries: Queries) -> Verdict:
        """Look at the rows of a request, before it is answered, and say what becomes of it.

        Rows of a request that is refused are not looked at again when they are sent again.
        """
        if self._cfg.mode == "off":
            return _ANSWER
        now = self._now()
        hold = self._find_hold(caller, now) if self._cfg.mode == "stop" else None
        if hold is not None:
            return Verdict("stop", math.ceil(hold.until - now), _STOPPED)
        suspect = self._take(caller, now)
        if suspect.since is not None and self._cfg.mode != "alert":
            if now < suspect.free_at:
                return Verdict("slow", math.ceil(suspect.free_at - now), _SLOWED)
            if len(queries) > PATIENCE:
                return Verdict("slow", 1, _SLOWED)
        before = suspect.trace.num_bytes
        suspect.trace.watch(queries, self._population)
        self._bytes += suspect.trace.num_bytes - before
        return self._judge(caller, suspect, len(queries), now)

    def _find_hold(self, caller: str, now: float) -> Hold | None:
        """The caller's stop, of whichever replica; where that cannot be read, nobody is let in by it."""
        try:
            return self._holds.find(caller, now)
        except OSError as error:
            log.error("whether %s is stopped cannot be read: %s", _show(caller), error.strerror)
            return Hold(
                caller=caller, since=now, until=now + 60, reason="The stops cannot be read."
            )

    def _take(self, caller: str, now: float) -> _Suspect:
        """The caller's trace, now the newest; the oldest go where there is no room.

        A suspicion that came to nothing for as long as a stop lasts is forgotten.
        """
        suspect = self._suspects.get(caller)
        if suspect and suspect.since is not None and now > suspect.since + self._cfg.hold_s:
            self._forget(caller)
            suspect = None
        if suspect is None:
            suspect = self._suspects[caller] = _Suspect(Trace(self._radius))
            self._bytes += suspect.trace.num_bytes
        self._suspects.move_to_end(caller)
        while self._bytes > MOST_BYTES and len(self._suspects) > 1:
            self._forget(next(iter(self._suspects)))
        return suspect

    def _forget(self, caller: str) -> None:
        self._bytes -= self._suspects.pop(caller).trace.num_bytes

    def _judge(self, caller: str, suspect: _Suspect, rows: int, now: float) -> Verdict:
        judged = suspect.trace.judged
        if judged < LEAST_ROWS:
            return _ANSWER
        if judged >= suspect.looked + _EVERY:
            suspect.looked = judged
            suspect.reason = find_reason(suspect.trace.read_signs(self._cfg.away), self._cfg)
        if not suspect.reason:
            suspect.since = None
            return _ANSWER
        is_first = suspect.since is None
        suspect.asked = 0 if is_first else suspect.asked + rows
        if is_first:
            suspect.since = now
            log.warning("%s may be copying the model: %s", _show(caller), suspect.reason)
        if self._cfg.mode == "alert":
            return Verdict("answer", is_alert=is_first)
        if self._cfg.mode == "stop" and suspect.asked > PATIENCE:
            return self._stop(caller, suspect, now)
        wait_s = min(rows, PATIENCE) * self._cfg.row_s
        suspect.free_at = now + wait_s
        if not is_first:
            return _ANSWER
        return Verdict("slow", math.ceil(wait_s), _SLOWED, is_alert=True)

    def _stop(self, caller: str, suspect: _Suspect, now: float) -> Verdict:
        until = now + self._cfg.hold_s
        try:
            self._holds.add(Hold(caller=caller, since=now, until=until, reason=suspect.reason))
        except OSError as error:  # it stays slowed, and is stopped again as soon as it asks
            log.error("the stop of %s cannot be written: %s", _show(caller), error.strerror)
        else:
            self._forget(caller)
        log.error("%s is stopped for %d s: %s", _show(caller), self._cfg.hold_s, suspect.reason)
        return Verdict("stop", self._cfg.hold_s, _STOPPED, is_alert=True)


def _show(caller: str) -> str:
    """A caller's name, which a token may have brought, on one line of a log."""
    return printable(caller, 80)


def find_reason(signs: Signs, cfg: DetectorConfig) -> str:
    """Why a caller with these signs is suspected; "" where it is not."""
    if signs.near_least > cfg.near:
        return (
            f"Of the last {signs.judged:,} rows {signs.near:.0%} lie close to earlier ones and differ in "
            "many columns, as rows that search for the model's boundary do."
        )
    if signs.away_least > cfg.away:
        return (
            f"The last {signs.judged:,} rows lie away from those of the training (by {signs.away:.2f}, "
            "where 1 is drawn evenly from the declared ranges)."
        )
    return ""


def typical_distance(inputs: Inputs) -> float:
    """The median distance between two of inputs [M, F]; 0 where there are fewer than two."""
    if len(inputs) < 2:
        return 0.0
    wide = inputs.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    pairs = np.triu_indices(len(wide), 1)
    distances = squares[:, None] + squares - 2 * wide @ wide.T
    return float(np.sqrt(np.median(np.maximum(distances[pairs], 0))))
