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

from calyx.config.section import RunConfig
from calyx.errors import RoundFailed
from calyx.files.plain import append_lines, read_lines
from calyx.model.metrics import PERSONAL
from calyx.model.weights import Weights
from calyx.run.folder import Row, figure_text, shown_figures
from calyx.seeding import global_scope
from calyx.vector.figures import as_row
from calyx.wire import records
from server.checkpoints import RunState, save
from server.exchange.asking import ask
from server.exchange.cohort_grid import Answer
from server.exchange.exchange import Exchange, Outcome, judged, mean_loss, populations
from server.exchange.underway import Record
from server.federation import Federation
from server.sampling import sample_cohort
from server.stopping import Validated, compare, drop_best_of_fewer, reason_to_stop, why_unranked

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


def next_step(state: RunState, run: RunConfig, record: Record | None) -> Stop | Train | Validate:
    """What a run does after `state`.

    `record` is the exchange that an earlier server had begun, where clients remember it: an evaluation
    is ended as what it was begun as, though the run may have more rounds by now.
    """
    if state.pending is None:
        reason = _reason_to_stop(state, run)
        return Stop(reason) if reason else Train(validates=False)
    is_begun = record is not None and (record.kind, record.round) == ("evaluate", state.round)
    is_last = state.is_stalled or state.round >= run.rounds
    if run.evaluate == "separate" or is_last or is_begun:
        return Validate()
    return Train(validates=True)


def _reason_to_stop(state: RunState, run: RunConfig) -> str | None:
    if state.is_stalled:  # no client answers for one model twice: docs/decisions/0012
        return f"round {state.round} left the model as it was"
    reason = reason_to_stop(state, run.stopping)
    return reason or ("all rounds are done" if state.round >= run.rounds else None)


def run_rounds(federation: Federation, state: RunState) -> tuple[RunState, str]:
    """Run rounds from `state` on; the last state, and why it ended.

    Each round is on disk before the next begins. Raises RoundFailed if a round has too few replies
    after all retries; the state before it is saved.
    """
    run, setting = federation.run, federation.setting
    step = next_step(state, run, setting.begun)
    while not isinstance(step, Stop):
        if isinstance(step, Train):
            state = _train(federation, state, step.validates)
        else:
            state = _validate(federation, state)
        step = next_step(state, run, setting.begun)
        # 6. Save before anything else is asked. Between a training and an exchange that validates it,
        # only clients that remember it need that: they would not train for it a second time.
        if setting.underway is not None or not isinstance(step, Validate):
            save(federation.folder.checkpoints, state, run.keep_checkpoints)
    return state, step.reason


def _train(federation: Federation, state: RunState, validates: bool) -> RunState:
    """Train the next round; with `validates`, complete the round before by the same vectors.

    The new round's row is pending. Raises RoundFailed, also if the strategy makes no sound model.
    """
    started, number, run = time.monotonic(), state.round + 1, federation.run
    # 1. Sample by seed and round alone: a resumed run draws the same cohort.
    cohort = sample_cohort(federation.dealt, run.cohort_size, run.seed, number)
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
        state = _complete(federation, state, answer)
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
        is_stalled=run.privacy["name"] == "secagg"
        and _is_same(weights, state.weights, federation.model),
    )


def _aggregate(federation: Federation, number: int, replies: Iterable[Message]) -> Weights:
    """The strategy's model of these replies. Raises RoundFailed if it makes none, or one of NaN."""
    with global_scope(federation.run.seed, "strategy", number):
        arrays, _ = federation.strategy.aggregate_train(number, replies)
    if arrays is None:
        raise RoundFailed(f"The strategy made no model of round {number}'s replies")
    weights = records.read_weights(arrays, federation.template)
    if not all(np.isfinite(v).all() for v in weights.values() if v.dtype.kind == "f"):
        raise RoundFailed(
            f"Round {number}'s model holds NaN or infinity; lower training.lr, or see strategy.server"
        )
    return weights


def _watch_step(federation: Federation, before: Weights, after: Weights) -> list[str]:
    own = federation.model
    step = {n: w for n, w in after.items() if n in own and w.dtype.kind == "f"}
    return federation.setting.watch.of_step(before, step)


def _validate(federation: Federation, state: RunState) -> RunState:
    """Complete the pending round by an evaluation: of every model, or only of the last one.

    The last one is asked of the cohort whose training would have validated it.
    """
    started, run, cohort = time.monotonic(), federation.run, federation.dealt
    if state.is_stalled and state.round > 1:
        # The model is that of the round before, and clients answer for a model once.
        return _record(federation, state, _figures_of_last_row(federation))
    # 1. Sample, 2. ask.
    if run.evaluate == "with_training":
        cohort = sample_cohort(cohort, run.cohort_size, run.seed, state.round + 1)
    exchange = Exchange("evaluate", state.round, cohort, previous=state.links)
    answer = ask(federation, exchange, state.weights)
    # 3. Validate, and 5. record: the round costs this exchange, too. There is nothing to aggregate.
    spent = {
        "bytes_up": answer.outcome.sums.bytes_up,
        "bytes_down": answer.outcome.sums.bytes_down,
        "seconds": time.monotonic() - started,
    }
    row = dict(state.pending or {})
    row |= {key: row[key] + value for key, value in spent.items()}
    return _complete(federation, replace(state, pending=row), answer)


def _figures_of_last_row(federation: Federation) -> Row:
    before = read_lines(federation.folder.rounds)[-1]
    return {
        key: value
        for key, value in before.items()
        if key.startswith("val_") or key.endswith("validated_on") or key == "absent"
    }


def _complete(federation: Federation, state: RunState, answer: Answer) -> RunState:
    """Complete the pending round by what was evaluated."""
    contents, outcome = federation.setting.contents, answer.outcome
    if answer.evaluated:  # a strategy of Flower's divides by their rows
        federation.strategy.aggregate_evaluate(state.round, answer.evaluated)
    figures = as_row(judged(outcome.evaluated, contents).named("val_"))
    for prefix, population in populations(outcome, contents).items():
        figures[f"{prefix}validated_on"] = population.to_json()
    return _record(federation, state, figures, outcome)


def _record(
    federation: Federation, state: RunState, figures: Row, outcome: Outcome | None = None
) -> RunState:
    """Write the pending round's row with these figures, and rank its model.

    Without an outcome the figures are those of the round before, whose model this round's still is.
    """
    run = federation.run
    row = _ordered((state.pending or {}) | figures)
    watch = federation.setting.watch
    _say_jumps(federation, state.round, watch.of_loss(row.get("val_loss")))
    state = _rank(federation, replace(state, pending=None), row, outcome)
    row["best_round"] = state.best.round if state.best else None
    if outcome and outcome.trained and _reason_to_stop(state, run):
        # That training is no row of its own: what it cost was spent on this one's figures.
        row["bytes_up"] += outcome.sums.bytes_up
        row["bytes_down"] += outcome.sums.bytes_down
    federation.folder.unfinish()
    append_lines(federation.folder.rounds, [row])
    label = federation.label
    log.info(f"{label}{_line(row, run.rounds)}", extra={"row": row, "fold": label})
    return state


def _rank(federation: Federation, state: RunState, row: Row, outcome: Outcome | None) -> RunState:
    """The state that knows whether this round is the best so far, where rounds can be compared."""
    run, folder = federation.run, federation.folder
    if state.best is not None and state.best.value is None:
        state = replace(state, best=None)  # released by a shorter run because it was the last one
    if outcome is None or why_unranked(run, sum(map(len, federation.dealt))):
        return state
    clients = tuple(name for name in outcome.exchange.cohort if name not in outcome.dropped)
    contents, monitor = federation.setting.contents, run.stopping.monitor
    is_personal = monitor.startswith(f"val_{PERSONAL}")
    if contents.is_localised or is_personal:
        trained = _names_that_trained([*read_lines(folder.rounds), row])
        clients = tuple(name for name in clients if name in trained)
        state = replace(state, best=drop_best_of_fewer(state.best, clients))
    of = populations(outcome, contents)
    rows = of.get(PERSONAL, of[""]) if is_personal else of[""]
    state, sentence = compare(state, Validated(row.get(monitor), clients, rows), run.stopping)
    if sentence:
        folder.event("other-rows", "warning", f"{sentence}.", round=state.round)
    return state


def _names_that_trained(rows: list[Row]) -> set[str]:
    """Who took part in a training so far, and has a model of its own by that."""
    return {name for row in rows for name in row["cohort"] if name not in row["dropped"]}


def _say_jumps(federation: Federation, number: int, sentences: list[str]) -> None:
    for sentence in sentences:
        message = (
            f"In round {number} {sentence}: a training.lr that is too high does that, and so does a member "
            "that sends what it likes."
        )
        log.warning(message)
        federation.folder.event("jump", "warning", message, round=number)


def _is_same(left: Weights, right: Weights, names: Iterable[str]) -> bool:
    """Of the model's own tensors: what travels beside them makes no other model to a client."""
    return all(np.array_equal(left[name], right[name]) for name in names)


def _training_row(outcome: Outcome, seconds: float) -> Row:
    return {
        "round": outcome.exchange.round,
        "train_loss": mean_loss(outcome.trained),
        "capped_clients": outcome.num_capped,
        "cohort": list(outcome.exchange.cohort),
        "replies": outcome.replies,
        "dropped": sorted(outcome.dropped),
        "bytes_up": outcome.sums.bytes_up,
        "bytes_down": outcome.sums.bytes_down,
        "seconds": seconds,
    }


def _ordered(row: Row) -> Row:
    first = ["round", "train_loss", *(key for key in row if key.startswith("val_"))]
    return {key: row[key] for key in first} | row | {"seconds": round(row["seconds"], 4)}


def _line(row: Row, rounds: int) -> str:
    return (
        f"round {row['round']}/{rounds}  train_loss {figure_text('train_loss', row['train_loss'])}  "
        f"{shown_figures(row)}  "
        f"clients {row['replies']}/{len(row['cohort'])}  {row['seconds']:.2f} s"
    )
