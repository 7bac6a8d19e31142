"""When a site's reply leaves: at a multiple of `policy.pace_s`, so that its time says nothing of rows.

A moment that followed the work would answer, of this site alone and past every sum, whatever a
server made the work's length depend on. The app notes where it is about to look at rows; the site's
process, which is the only thing here with a clock, waits for the multiple. In simulation nobody
waits: there is no clock to hide from. See docs/decisions/0058.
"""

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import ConfigRecord, Context

from client.config import Site

EDGE = 0.1  # of a multiple: work that ends so shortly before one may wait for the next, by chance
_NOTE = "rows-were-looked-at"


@dataclass(frozen=True)
class Clock:
    """A clock that never goes back, a sleep by it, both in seconds; and a secret die from 0 to 1."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = lambda: secrets.randbelow(2**32) / 2**32


@dataclass(frozen=True)
class Leaving:
    """When a reply leaves."""

    moment: float  # of the clock, in seconds
    number: int  # of multiples after the order came; at least 1


def leaves_at(came: float, now: float, pace_s: float) -> Leaving:
    """The first multiple of `pace_s` (> 0) after `came` that is not before `now`."""
    number = max(1, math.floor((now - came) / pace_s))
    while came + number * pace_s < now:
        number += 1
    return Leaving(came + number * pace_s, number)


def wait(clock: Clock, came: float, pace_s: float) -> int:
    """Sleep until a reply may leave that is ready now; the number of its multiple.

    A server may choose the work so that it ends about when a multiple does, and read milliseconds
    off which of the two the reply leaves at: the edge is drawn anew each time.
    """
    leaving = leaves_at(came, clock.now() + EDGE * pace_s * clock.draw(), pace_s)
    while (left := leaving.moment - clock.now()) > 0:
        clock.sleep(left)
    return leaving.number


def note_rows(context: Context, site: Site) -> None:
    """Rows are about to be looked at: from here on whatever leaves, also a failure, waits."""
    if site.is_deployed and site.policy.pace_s > 0:
        context.state[_NOTE] = ConfigRecord()


def take_note(context: Context) -> bool:
    """Whether rows were looked at since this was last asked."""
    return context.state.pop(_NOTE, None) is not None
