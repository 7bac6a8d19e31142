"""How much one client may weigh where the task leaves it to the federation, and who counts as less."""

import logging

from calyx.run.folder import RunFolder
from calyx.run.rows import Severity
from calyx.survey.blocks import ALL
from calyx.vector.weighing import (
    LARGEST_W_MAX,
    SITES_BY_ROWS,
    UNKNOWN_W_MAX,
    is_possible,
    least_w_max,
)
from server.run_context import RunContext

log = logging.getLogger(__name__)
NARROW = 32  # bits on the wire, below which a bound far above the rows costs accuracy


def find_w_max(context: RunContext) -> int | None:
    """The largest weight as this run's orders carry it; None where nothing is left to find.

    It is the least power of two that no site's training rows exceed, of the audit's sums; or 2^20
    where some site has not said how many it has, and that is said. Once found it stays: a run's orders
    have one, whoever is there when it is resumed.
    """
    if context.task.w_max is not None or context.run.privacy.weighting == "equal":
        return None
    if context.state.w_max is not None:
        return context.state.w_max
    cells = context.counted.sums.get(SITES_BY_ROWS) if context.counted else None
    if context.counted is None or cells is None:
        _say_unknown(context, "No audit has asked how many training rows the sites have")
        return UNKNOWN_W_MAX
    sites = max(len(context.clients.nodes), context.counted.sites)
    missing = sites - int(cells.sum())
    if missing > 0:
        _say_unknown(
            context, f"{missing} of {sites} sites did not say how many training rows they have"
        )
        return UNKNOWN_W_MAX
    if not is_possible(cells, sites, int(context.counted.sums[f"{ALL}/rows"][0])):
        _say_unknown(
            context,
            "What the sites said of their training rows contradicts how many rows they have",
        )
        return UNKNOWN_W_MAX
    k = context.run.cv.k
    # Folds leave less out than the test part does, never so much that a training part doubles.
    is_doubled = isinstance(k, int) and context.counted.folds != k
    w_max = min(LARGEST_W_MAX, least_w_max(cells) * (2 if is_doubled else 1))
    message = (
        f"A client weighs up to {w_max} training rows in the mean, the least power of two that no "
        "site exceeds."
    )
    context.folder.event_once("w-max", "info", message)
    return w_max


def _say_unknown(context: RunContext, why: str) -> None:
    severity: Severity = "info" if context.run.privacy.bits >= NARROW else "warning"
    message = (
        f"{why}: a client weighs up to {UNKNOWN_W_MAX} rows in the mean, and its update is sent in "
        "coarser steps for it; task.w_max, a power of two above the training rows of all clients, "
        "makes them finer."
    )
    context.folder.event_once("w-max", severity, message)


def say_capped(folder: RunFolder, capped: int, cohort: int, w_max: int) -> None:
    """That `capped` of a cohort count as fewer rows than they have: an event, and a line, once."""
    have = "has" if capped == 1 else "have"
    message = (
        f"{capped} of {cohort} clients {have} more training rows than {w_max}, the most that a client "
        "may weigh, so that means of updates and training losses are not those over all rows; a "
        "greater task.w_max, a power of two, counts them all."
    )
    if folder.event_once("capped", "warning", message):
        log.warning(message)
