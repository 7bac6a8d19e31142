"""The round loop, in sight: sample → train → aggregate → evaluate → record → checkpoint → stop?

It calls Flower's four strategy methods, so any Flower strategy drops in. It is ours, and not
`Strategy.start`, because sampling, stopping and resuming must be seen.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from calyx import wire
from calyx.config import RunConfig
from calyx.errors import RoundFailed
from calyx.files import append_lines
from calyx.order import Kind
from calyx.weights import Weights
from server.checkpoints import Best, RunState, save
from server.cohort_grid import CohortGrid, Outcome, Stage, TooFewReplies
from server.folder import Row, RunFolder, make_event
from server.sampling import Groups, sample_cohort
from server.stopping import is_better, reason_to_stop
from strategies.base import AlgorithmStrategy

log = logging.getLogger(__name__)
Configure = Callable[[int, ArrayRecord, ConfigRecord, Grid], Iterable[Message]]


@dataclass(frozen=True)
class Federation:
    """What the loop works with, the same in every round."""

    run: RunConfig
    grid: CohortGrid
    strategy: Strategy
    folder: RunFolder
    dealt: Groups  # the whole roster, in groups
    template: Weights  # names, shapes and types of the model


def run_rounds(federation: Federation, state: RunState) -> tuple[RunState, str]:
    """Run rounds from `state` on; the last state, and why it ended.

    Each round is on disk before the next begins. Raises RoundFailed if a round has too few replies
    after all retries; the state before it is saved.
    """
    run, folder = federation.run, federation.folder
    while state.round < run.rounds:
        reason = reason_to_stop(state, run.stopping)
        if reason:
            return state, reason
        state, row = _round(federation, state)
        append_lines(folder.rounds, [row])
        save(folder.checkpoints, state, run.keep_checkpoints)
        log.info(_line(row, run.rounds), extra={"row": row})
    return state, reason_to_stop(state, run.stopping) or "all rounds are done"


def _round(federation: Federation, state: RunState) -> tuple[RunState, Row]:
    started, number = time.monotonic(), state.round + 1
    run, strategy = federation.run, federation.strategy
    cohort = sample_cohort(federation.dealt, run.cohort_size, run.seed, number)

    trained, replies = ask(federation, "train", number, cohort, state.weights)
    arrays, _ = strategy.aggregate_train(number, replies)
    if arrays is None:
        raise RoundFailed(f"The strategy made no model of round {number}'s replies.")
    weights = wire.read_weights(arrays, federation.template)
    if not all(np.isfinite(v).all() for v in weights.values() if v.dtype.kind == "f"):
        raise RoundFailed(
            f"Round {number}'s model holds NaN or infinity; lower training.lr, or see strategy.server."
        )

    evaluated, replies = ask(federation, "evaluate", number, federation.dealt, weights)
    strategy.aggregate_evaluate(number, replies)

    row = _row(number, trained, evaluated, time.monotonic() - started)
    best = state.best
    if is_better(row[run.stopping.monitor], best, run.stopping.mode):
        best = Best(number, row[run.stopping.monitor], weights)
    own = strategy.state if isinstance(strategy, AlgorithmStrategy) else {}
    return replace(state, round=number, weights=weights, strategy=own, best=best), row


def ask(
    federation: Federation, kind: Kind, number: int, groups: Groups, weights: Weights
) -> tuple[Outcome, list[Message]]:
    """One stage with its retries: what came of it, and one reply a group for the strategy.

    Raises TooFewReplies after `retries` repeats.
    """
    run, grid, strategy = federation.run, federation.grid, federation.strategy
    configure: Configure = (
        strategy.configure_train if kind == "train" else strategy.configure_evaluate
    )
    for attempt in range(1, run.retries + 2):
        grid.open(Stage(kind, number, attempt, groups))
        messages = configure(number, wire.weights_record(weights), ConfigRecord(), grid)
        try:
            replies = list(grid.send_and_receive(messages, timeout=run.deadline_s))
        except TooFewReplies as error:
            _note_dropped(federation.folder, error.outcome)
            if attempt > run.retries:
                raise
            federation.folder.event("retry", "warning", f"{error}; it is repeated.", round=number)
            continue
        _note_dropped(federation.folder, grid.outcome)
        return grid.outcome, replies
    raise AssertionError("unreachable")


def _note_dropped(folder: RunFolder, outcome: Outcome) -> None:
    number = outcome.stage.round
    events = []
    for name, reason in sorted(outcome.dropped.items()):
        message = f"{name} is not in the sums of round {number} ({outcome.stage.kind}): {reason}."
        details = {"round": number, "client": name, "reason": reason}
        events.append(make_event("client-dropped", "warning", message, **details))
    trained = outcome.stage.kind == "train" and outcome.aggregates
    clipped = int(outcome.count("clipped")[0]) if trained else 0
    if clipped:
        message = (
            f"{clipped} coordinates of updates were cut to ±privacy.clip in round {number}; "
            "a larger privacy.clip would keep them."
        )
        events.append(make_event("clipped", "warning", message, round=number))
    if events:
        append_lines(folder.events, events)  # at once: each append is synced


def _row(number: int, trained: Outcome, evaluated: Outcome, seconds: float) -> Row:
    confusion = evaluated.count("confusion")
    size = round(len(confusion) ** 0.5)
    hits = int(np.trace(confusion.reshape(size, size)))
    return {
        "round": number,
        "train_loss": trained.loss,
        "val_loss": evaluated.loss,
        "val_accuracy": hits / max(1, int(confusion.sum())),
        "cohort": list(trained.stage.cohort),
        "replies": trained.replies,
        "dropped": sorted(trained.dropped),
        "bytes_up": trained.bytes_up + evaluated.bytes_up,
        "bytes_down": trained.bytes_down + evaluated.bytes_down,
        "seconds": round(seconds, 4),
    }


def _line(row: Row, rounds: int) -> str:
    return (
        f"round {row['round']}/{rounds}  train_loss {row['train_loss']:.4f}  "
        f"val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}  "
        f"clients {row['replies']}/{len(row['cohort'])}  {row['seconds']:.2f} s"
    )
