"""The round loop, in sight: sample → train → validate → record → aggregate → checkpoint → stop?

It calls Flower's four strategy methods, so any Flower strategy drops in. It is ours, and not
`Strategy.start`, because sampling, stopping and resuming must be seen.

With `evaluate=with_training` the model of a round is validated by the next round's training, in
the same vector: half the exchanges. Its row is therefore written one training later, and its figures
are of the next round's clients: they rank only where all clients take part in every round.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from flwr.app import Message

from calyx.config.section import RunConfig
from calyx.errors import RoundFailed
from calyx.files.plain import append_lines
from calyx.model.metrics import PERSONAL
from calyx.model.weights import Weights
from calyx.run.json_rows import as_json
from calyx.run.rows import RoundRow, round_line
from calyx.seeding import global_scope
from calyx.wire import records
from server.checkpoints import RunState, save
from server.exchange.asking import ask
from server.exchange.exchange import Exchange, Outcome, judged, mean_loss, populations
from server.federation import Federation
from server.sampling import sample_cohort
from server.stopping import Validated, compared, of_the_most, reason_to_stop, why_unranked
from server.weighing import num_capped

log = logging.getLogger(__name__)


def run_rounds(federation: Federation, state: RunState) -> tuple[RunState, str]:
    """Run rounds from `state` on; the last state, and why it ended.

    Each round is on disk before the next begins. Raises RoundFailed if a round has too few replies
    after all retries; the state before it is saved.
    """
    run, folder = federation.run, federation.folder
    while True:
        if state.pending is None and (reason := _reason(state, run)):
            return state, reason
        if state.pending is None or not _is_validated_alone(federation, state):
            state = _train(federation, state)
        if state.pending is not None and _is_validated_alone(federation, state):
            if federation.grid.is_remembered:  # clients would not train for it a second time
                save(folder.checkpoints, state, run.keep_checkpoints)
            state = _validate(federation, state)
        save(folder.checkpoints, state, run.keep_checkpoints)


def _train(federation: Federation, state: RunState) -> RunState:
    """The next round's training, which also validates the model that it begins with if it must.

    Where that says that the run should stop, the training is discarded.
    """
    started, number = time.monotonic(), state.round + 1
    run, strategy = federation.run, federation.strategy
    cohort = sample_cohort(federation.dealt, run.cohort_size, run.seed, number)
    is_validated = state.pending is not None
    best = state.best.round if state.best else 0
    exchange = Exchange("train", number, 1, cohort, is_validated, state.links, best=best)
    outcome, replies = ask(federation, exchange, state.weights)
    if is_validated:
        state = _validated(federation, state, outcome, federation.grid.evaluations)
        if _reason(state, run):
            return state
    with global_scope(run.seed, "strategy", number):
        arrays, _ = strategy.aggregate_train(number, replies)
    if arrays is None:
        raise RoundFailed(f"The strategy made no model of round {number}'s replies")
    weights = records.read_weights(arrays, federation.template)
    if not all(np.isfinite(v).all() for v in weights.values() if v.dtype.kind == "f"):
        raise RoundFailed(
            f"Round {number}'s model holds NaN or infinity; lower training.lr, or see strategy.server"
        )
    own = federation.model
    step = {n: w for n, w in weights.items() if n in own and w.dtype.kind == "f"}
    _say_jumps(federation, number, federation.grid.watch.of_step(state.weights, step))
    row = _training_row(outcome, time.monotonic() - started)
    return replace(
        state,
        round=number,
        weights=weights,
        strategy=strategy.state,
        pending=row,
        links=outcome.collected.links,
        # Clients answer for a model once, so that an encrypted run cannot go on from here.
        is_stalled=run.privacy["name"] == "secagg"
        and _is_same(weights, state.weights, federation.model),
    )


def _validate(federation: Federation, state: RunState) -> RunState:
    """An evaluation of its own: of every model, or only of the last one.

    The last one is asked of the cohort whose training would have validated it.
    """
    if state.is_stalled and state.round > 1:
        # The model is that of the round before, and clients answer for a model once.
        before = federation.folder.read_rounds()[-1]
        row = replace(
            _pending(state),
            figures=before.figures,
            absent=before.absent,
            validated_on=before.validated_on,
        )
        return _recorded(federation, state, row)
    started, run, groups = time.monotonic(), federation.run, federation.dealt
    if run.evaluate == "with_training":
        groups = sample_cohort(groups, run.cohort_size, run.seed, state.round + 1)
    exchange = Exchange("evaluate", state.round, 1, groups, previous=state.links)
    outcome, replies = ask(federation, exchange, state.weights)
    row = _with_bytes(_pending(state), outcome)
    row = replace(row, seconds=row.seconds + time.monotonic() - started)
    return _validated(federation, replace(state, pending=row), outcome, replies)


def _validated(
    federation: Federation, state: RunState, outcome: Outcome, replies: list[Message]
) -> RunState:
    """Complete the pending round by what was evaluated."""
    contents = federation.grid.contents
    if replies:  # a strategy of Flower's divides by their rows
        federation.strategy.aggregate_evaluate(state.round, replies)
    figures = judged(outcome.evaluated, contents).named("val_")
    whose = populations(outcome, contents)
    row = replace(
        _pending(state),
        figures=figures.values,
        absent=figures.absent,
        validated_on={f"{prefix}validated_on": of for prefix, of in whose.items()},
    )
    return _recorded(federation, state, row, outcome)


def _recorded(
    federation: Federation, state: RunState, row: RoundRow, outcome: Outcome | None = None
) -> RunState:
    """The row of the round that was pending on disk, and the best model so far.

    Without an outcome the figures are those of the round before, whose model this round's still is.
    """
    run = federation.run
    _say_jumps(federation, state.round, federation.grid.watch.of_loss(row.figure("val_loss")))
    state = _ranked(federation, replace(state, pending=None), row, outcome)
    if outcome and outcome.exchange.kind == "train" and _reason(state, run):
        # That training is no row of its own: what it cost was spent on this one's figures.
        row = _with_bytes(row, outcome)
    best = state.best.round if state.best else None
    row = replace(row, best_round=best, seconds=round(row.seconds, 4))
    federation.folder.unfinish()
    append_lines(federation.folder.rounds, [as_json(row)])
    label = federation.label
    log.info(f"{label}{round_line(row, run.rounds)}", extra={"row": row, "fold": label})
    return state


def _pending(state: RunState) -> RoundRow:
    """The row of the round whose model is not validated yet. Raises ValueError where there is none."""
    if state.pending is None:
        raise ValueError("no round waits for its validation")
    return state.pending


def _with_bytes(row: RoundRow, outcome: Outcome) -> RoundRow:
    """The row, with what another exchange cost for it."""
    collected = outcome.collected
    return replace(
        row,
        bytes_up=row.bytes_up + collected.bytes_up,
        bytes_down=row.bytes_down + collected.bytes_down,
    )


def _ranked(
    federation: Federation, state: RunState, row: RoundRow, outcome: Outcome | None
) -> RunState:
    """The state that knows whether this round is the best so far, where rounds can be compared."""
    run, folder = federation.run, federation.folder
    if state.best is not None and state.best.value is None:
        state = replace(state, best=None)  # released by a shorter run because it was the last one
    if outcome is None or why_unranked(run, sum(map(len, federation.dealt))):
        return state
    clients = tuple(name for name in outcome.exchange.cohort if name not in outcome.dropped)
    contents, monitor = federation.grid.contents, run.stopping.monitor
    is_personal = monitor.startswith(f"val_{PERSONAL}")
    if contents.is_localised or is_personal:
        trained = _trained([*folder.read_rounds(), row])
        clients = tuple(name for name in clients if name in trained)
        state = replace(state, best=of_the_most(state.best, clients))
    of = populations(outcome, contents)
    rows = of.get(PERSONAL, of[""]) if is_personal else of[""]
    validated = Validated(row.figure(monitor), clients, rows)
    state, sentence = compared(state, validated, run.stopping)
    if sentence:
        folder.event("other-rows", "warning", f"{sentence}.", round=state.round)
    return state


def _trained(rows: list[RoundRow]) -> set[str]:
    """Who took part in a training so far, and has a model of its own by that."""
    return {name for row in rows for name in row.cohort if name not in row.dropped}


def _reason(state: RunState, run: RunConfig) -> str | None:
    if state.is_stalled:
        return f"round {state.round} left the model as it was"
    reason = reason_to_stop(state, run.stopping)
    return reason or ("all rounds are done" if state.round >= run.rounds else None)


def _is_validated_alone(federation: Federation, state: RunState) -> bool:
    """Whether the pending round's model is evaluated by itself, and not by the next training."""
    run, record = federation.run, federation.grid.underway
    if record and (record.kind, record.round) == ("evaluate", state.round):
        return True  # as it was begun, when the run was to have fewer rounds
    return run.evaluate == "separate" or state.is_stalled or state.round >= run.rounds


def _say_jumps(federation: Federation, number: int, found: list[str]) -> None:
    for sentence in found:
        message = (
            f"In round {number} {sentence}: a training.lr that is too high does that, and so does a member "
            "that sends what it likes."
        )
        log.warning(message)
        federation.folder.event("jump", "warning", message, round=number)


def _is_same(left: Weights, right: Weights, names: Iterable[str]) -> bool:
    """Of the model's own tensors: what travels beside them makes no other model to a client."""
    return all(np.array_equal(left[name], right[name]) for name in names)


def _training_row(outcome: Outcome, seconds: float) -> RoundRow:
    return RoundRow(
        round=outcome.exchange.round,
        train_loss=mean_loss(outcome.trained),
        capped_clients=num_capped(outcome),
        cohort=outcome.exchange.cohort,
        replies=outcome.replies,
        dropped=tuple(sorted(outcome.dropped)),
        bytes_up=outcome.collected.bytes_up,
        bytes_down=outcome.collected.bytes_down,
        seconds=seconds,
    )
