"""How the model of a round stands an attack: asked every so many rounds, beside its validation.

It is asked after the round's training and before the next: an evaluation of a model may not come after
a training that goes on from it (docs/secagg.md §10, A6).
"""

import time
from dataclasses import replace

from calyx.model.metrics import ROBUST
from calyx.run.rows import RoundRow
from server.checkpoints import RunState
from server.config import RunConfig
from server.exchange.asking import ask
from server.exchange.exchange import Exchange
from server.federation import Training
from server.sampling import Groups

_NAMES = f"val_{ROBUST}"  # how the figures of a round's row begin


def is_due(state: RunState, run: RunConfig) -> bool:
    """Whether the model of the round that is pending is still to be attacked.

    Never one that the round left as it was: clients answer for a model once.
    """
    every, pending = run.robust.every, state.pending
    if every is None or pending is None or state.is_stalled or state.round % every:
        return False
    return not any(name.startswith(_NAMES) for name in pending.figures)


def withstand(federation: Training, state: RunState, pending: RoundRow, groups: Groups) -> RunState:
    """The state whose pending row says how these clients' rows, moved, are judged, and what that cost.

    Raises TooFewReplies, as `ask`.
    """
    started = time.monotonic()
    exchange = Exchange("robust", state.round, groups, previous=state.links)
    outcome = ask(federation, exchange, state.weights).outcome
    figures = outcome.figures(federation.contents).with_prefix("val_")
    row = replace(
        pending,
        figures=pending.figures | figures.values,
        absent=pending.absent | figures.absent,
        bytes_up=pending.bytes_up + outcome.sums.bytes_up,
        bytes_down=pending.bytes_down + outcome.sums.bytes_down,
        seconds=pending.seconds + time.monotonic() - started,
    )
    return replace(state, pending=row)
