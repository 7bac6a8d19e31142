"""The round loop, in sight: sample → ask → validate → aggregate → record → save.

It calls Flower's four strategy methods, so any Flower strategy drops in. It is ours, and not
`Strategy.start`, because sampling, stopping and resuming must be seen.

With `evaluate=with_training` the model of a round is validated by the next round's training, in
the same vector: half the exchanges. See docs/decisions/0068. Its row is therefore written one
training later, and its figures are of the next round's clients: they rank only where all clients
take part in every round.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from flwr.app import Message

from calyx.errors import RoundFailed
from calyx.machine.spans import begin_round, span
from calyx.model.metrics import PERSONAL
from calyx.model.weights import Weights
from calyx.run.rows import RoundRow, round_line
from calyx.seeding import global_scope
from calyx.wire import records
from server.checkpoints import Best, RunState
from server.config import RunConfig
from server.exchange.asking import ask
from server.exchange.cohort_grid import Answer
from server.exchange.exchange import Exchange, Outcome, mean_loss
from server.exchange.underway import Record
from server.federation import Training
from server.robustness import is_due, withstand
from server.round_log import RoundLog
from server.sampling import Groups, sample_cohort
from server.stopping import compare, drop_best_of_fewer, reason_to_stop, why_unranked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stop:
    """The run has ended."""

    reason: str


@dataclass(frozen=True)
class Train:
    """Train the next round."""

    validates: bool  # the same vectors validate the last round's model, with which this one begins


@dataclass(frozen=True)
class Validate:
    """Validate the last round's model in an exchange of its own."""


@dataclass(frozen=True)
class Withstand:
    """Ask how the last round's model stands an attack."""


Step = Stop | Train | Validate | Withstand


def next_step(state: RunState, run: RunConfig, record: Record | None) -> Step:
    """What a run does after `state`.

    `record` is the exchange that an earlier server had begun, where clients remember it: an evaluation
    is ended as what it was begun as, though the run may have more rounds by now.
    """
    if state.pending is None:
        reason = _reason_to_stop(state, run)
        return Stop(reason) if reason else Train(validates=False)
    is_begun = record is not None and record.is_of("evaluate", state.round)
    if is_due(state, run) and not is_begun:
        return Withstand()
    is_last = state.is_stalled or state.round >= run.rounds
    if run.evaluate == "separate" or is_last or is_begun:
        return Validate()
    return Train(validates=True)


def _reason_to_stop(state: RunState, run: RunConfig) -> str | None:
    if state.is_stalled:  # no client answers for one model twice: docs/decisions/0012
        return f"round {state.round} left the model as it was"
    reason = reason_to_stop(state, run.stopping)
    return reason or ("all rounds are done" if state.round >= run.rounds else None)


def run_rounds(federation: Training, state: RunState) -> tuple[RunState, str]:
    """Run rounds from `state` on; the last state, and why it ended.

    Each round is told when it is on disk. Raises RoundFailed if a round has too few replies after all
    retries; the state before it is saved.
    """
    run, label = federation.run, federation.label

    def tell(row: RoundRow) -> None:
        log.info(f"{label}{round_line(row, run.rounds)}", extra={"row": row, "fold": label})

    step = next_step(state, run, federation.begun)
    with RoundLog(federation.folder, run.keep_checkpoints, tell) as rounds:
        while not isinstance(step, Stop):
            if isinstance(step, Train):
                state = _train(federation, rounds, state, validates=step.validates)
            elif isinstance(step, Withstand):
                state = withstand(federation, state, _pending(state), _judges(federation, state))
            else:
                state = _validate(federation, rounds, state)
            step = next_step(state, run, federation.begun)
            # 6. Save, beside the next training. Between a training and an exchange that validates it,
            # only clients that remember it need that: they would not train for it a second time, so
            # that nothing may be asked of them before it is durable.
            if federation.underway is not None:
                rounds.keep(state)
                rounds.drain()
            elif not isinstance(step, Validate | Withstand):
                rounds.keep(state)
    begin_round(0)
    return state, step.reason


def _train(federation: Training, rounds: RoundLog, state: RunState, *, validates: bool) -> RunState:
    """Train the next round; with `validates`, complete the round before by the same vectors.

    The new round's row is pending. Raises RoundFailed, also if the strategy makes no sound model.
    """
    started, number, run = time.monotonic(), state.round + 1, federation.run
    begin_round(number)
    # 1. Sample by seed and round alone: a resumed run draws the same cohort.
    cohort = sample_cohort(federation.clients.dealt, run.cohort_size, run.seed, number)
    # 2. Ask each client for one vector; clients keep what is their own of the best round so far.
    exchange = Exchange(
        "train",
        number,
        cohort,
        is_validated=validates,
        previous=state.links,
        best=state.best.round if state.best else 0,
    )
    answer = ask(federation, exchange, state.weights)
    # 3. Validate the model that this training began with. Only now is it known whether that one was
    # the last that is wanted: then the training is discarded.
    if validates:
        state = _complete(federation, rounds, state, answer)
        if _reason_to_stop(state, run):
            return state
    # 4. Aggregate: the strategy's step on the groups' means.
    weights = _aggregate(federation, number, answer.trained)
    _say_jumps(federation, number, _watch_step(federation, state.weights, weights))
    # 5. Record what it cost; the row is written when its validation figures are known.
    outcome = answer.outcome
    return replace(
        state,
        round=number,
        weights=weights,
        strategy=federation.strategy.state,
        pending=_training_row(outcome, time.monotonic() - started),
        links=outcome.sums.links,
        # Clients answer for a model once, so that an encrypted run cannot go on from here.
        is_stalled=run.privacy.is_encrypted and _is_same(weights, state.weights, federation.model),
    )


def _aggregate(federation: Training, number: int, replies: Iterable[Message]) -> Weights:
    """The strategy's model of these replies. Raises RoundFailed if it makes none, or one of NaN."""
    with span("aggregate"), global_scope(federation.run.seed, "strategy", number):
        arrays, _ = federation.strategy.aggregate_train(number, replies)
    if arrays is None:
        raise RoundFailed(f"The strategy made no model of round {number}'s replies")
    weights = records.read_weights(arrays, federation.template)
    if not all(np.isfinite(v).all() for v in weights.values() if v.dtype.kind == "f"):
        raise RoundFailed(
            f"Round {number}'s model holds NaN or infinity; lower training.lr, or see strategy.server"
        )
    return weights


def _watch_step(federation: Training, before: Weights, after: Weights) -> list[str]:
    own = federation.model
    step = {n: w for n, w in after.items() if n in own and w.dtype.kind == "f"}
    return federation.watch.of_step(before, step)


def _validate(federation: Training, rounds: RoundLog, state: RunState) -> RunState:
    """Complete the pending round by an evaluation: of every model, or only of the last one.

    The last one is asked of the cohort whose training would have validated it.
    """
    started = time.monotonic()
    if state.is_stalled and state.round > 1:
        # The model is that of the round before, and clients answer for a model once.
        return _record(federation, rounds, state, _row_of_same_model(rounds, state))
    # 1. Sample, 2. ask.
    cohort = _judges(federation, state)
    exchange = Exchange("evaluate", state.round, cohort, previous=state.links)
    answer = ask(federation, exchange, state.weights)
    # 3. Validate, and 5. record: the round costs this exchange, too. There is nothing to aggregate.
    row = _with_bytes(_pending(state), answer.outcome)
    row = replace(row, seconds=row.seconds + time.monotonic() - started)
    return _complete(federation, rounds, replace(state, pending=row), answer)


def _judges(federation: Training, state: RunState) -> Groups:
    """Who judges the last round's model where no training does: whose training would, or everybody."""
    run, clients = federation.run, federation.clients
    if run.evaluate == "with_training":
        return sample_cohort(clients.dealt, run.cohort_size, run.seed, state.round + 1)
    return clients.everybody


def _row_of_same_model(rounds: RoundLog, state: RunState) -> RoundRow:
    before = rounds.last or _pending(state)
    return replace(
        _pending(state),
        figures=before.figures,
        absent=before.absent,
        validated_on=before.validated_on,
    )


def _complete(federation: Training, rounds: RoundLog, state: RunState, answer: Answer) -> RunState:
    """Complete the pending round by what was evaluated."""
    contents, outcome = federation.contents, answer.outcome
    if answer.evaluated:  # a strategy of Flower's divides by their rows
        federation.strategy.aggregate_evaluate(state.round, answer.evaluated)
    figures = outcome.figures(contents).with_prefix("val_")
    whose = outcome.populations(contents)
    row = replace(
        _pending(state),
        figures=figures.values | _pending(state).figures,  # what withstood stands behind
        absent=figures.absent | _pending(state).absent,
        validated_on={f"{prefix}validated_on": of for prefix, of in whose.items()},
    )
    return _record(federation, rounds, state, row, outcome)


def _record(
    federation: Training,
    rounds: RoundLog,
    state: RunState,
    row: RoundRow,
    outcome: Outcome | None = None,
) -> RunState:
    """Rank the model of the round that was pending, and have its row written.

    Without an outcome the figures are those of the round before, whose model this round's still is.
    """
    run = federation.run
    watch = federation.watch
    _say_jumps(federation, state.round, watch.of_loss(row.figure("val_loss")))
    state = _rank(federation, rounds, replace(state, pending=None), row, outcome)
    if outcome and outcome.trained and _reason_to_stop(state, run):
        # That training is no row of its own: what it cost was spent on this one's figures.
        row = _with_bytes(row, outcome)
    best = state.best.round if state.best else None
    row = replace(row, best_round=best, seconds=round(row.seconds, 4))
    federation.folder.unfinish()
    rounds.add(row)
    return state


def _pending(state: RunState) -> RoundRow:
    """The row of the round whose model is not validated yet. Raises ValueError where there is none."""
    if state.pending is None:
        raise ValueError("no round waits for its validation")
    return state.pending


def _with_bytes(row: RoundRow, outcome: Outcome) -> RoundRow:
    """The row, with what another exchange cost for it."""
    sums = outcome.sums
    return replace(
        row, bytes_up=row.bytes_up + sums.bytes_up, bytes_down=row.bytes_down + sums.bytes_down
    )


def _rank(
    federation: Training,
    rounds: RoundLog,
    state: RunState,
    row: RoundRow,
    outcome: Outcome | None,
) -> RunState:
    """The state that knows whether this round is the best so far, where rounds can be compared."""
    run, folder = federation.run, federation.folder
    if state.best is not None and state.best.value is None:
        state = replace(state, best=None)  # released by a shorter run because it was the last one
    if outcome is None or why_unranked(run, sum(map(len, federation.clients.dealt))):
        return state
    clients = tuple(name for name in outcome.exchange.cohort if name not in outcome.dropped)
    contents, monitor = federation.contents, run.stopping.monitor
    is_personal = monitor.startswith(f"val_{PERSONAL}")
    if contents.is_localised or is_personal:
        now = rounds.trained.union(name for name in row.cohort if name not in row.dropped)
        clients = tuple(name for name in clients if name in now)
        state = replace(state, best=drop_best_of_fewer(state.best, clients))
    of = outcome.populations(contents)
    rows = of.get(PERSONAL, of[""]) if is_personal else of[""]
    this = Best(state.round, row.figure(monitor), state.weights, clients, rows)
    state, sentence = compare(state, this, run.stopping)
    if sentence:
        folder.event("other-rows", "warning", f"{sentence}.", round=state.round)
    return state


def _say_jumps(federation: Training, number: int, sentences: list[str]) -> None:
    for sentence in sentences:
        message = (
            f"In round {number} {sentence}: a training.lr that is too high does that, and so does a member "
            "that sends what it likes."
        )
        federation.folder.warn("jump", message, round=number)


def _is_same(left: Weights, right: Weights, names: Iterable[str]) -> bool:
    """Of the model's own tensors: what travels beside them makes no other model to a client."""
    return all(np.array_equal(left[name], right[name]) for name in names)


def _training_row(outcome: Outcome, seconds: float) -> RoundRow:
    return RoundRow(
        round=outcome.exchange.round,
        train_loss=mean_loss(outcome.trained),
        capped_clients=outcome.num_capped,
        cohort=outcome.exchange.cohort,
        replies=outcome.replies,
        dropped=tuple(sorted(outcome.dropped)),
        bytes_up=outcome.sums.bytes_up,
        bytes_down=outcome.sums.bytes_down,
        seconds=seconds,
    )
