"""When a site's reply leaves: at a multiple of `policy.pace_s`, so that its time says nothing of rows.

A moment that followed the work would answer, of this site alone and past every sum, whatever a
server made the work's length depend on. The app notes where it is about to look at rows; the site's
process, which is the only thing here with a clock, waits for the multiple. In simulation nobody
waits: there is no clock to hide from.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import ConfigRecord, Context

from client.config import Site

_NOTE = "rows-were-looked-at"


@dataclass(frozen=True)
class Clock:
    """A clock that never goes back, and a sleep by it; both in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


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


def note_rows(context: Context, site: Site) -> None:
    """Rows are about to be looked at: from here on whatever leaves, also a failure, waits."""
    if site.state_dir is not None and site.policy.pace_s > 0:
        context.state[_NOTE] = ConfigRecord()


def take_note(context: Context) -> bool:
    """Whether rows were looked at since this was last asked."""
    return context.state.pop(_NOTE, None) is not None
