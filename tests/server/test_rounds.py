"""What a run does next, and a strategy that makes no model that can be used."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.federation import Federation
from support.taps import run_server

from calyx.errors import RoundFailed
from calyx.files.plain import read_lines
from calyx.model.attack_config import NO_ROBUST
from calyx.run.rows import RoundRow
from calyx.wire import records
from server.checkpoints import Best, RunState
from server.rounds import Stop, Train, Validate, Withstand, next_step
from strategies.base import AlgorithmStrategy


def after(round, pending=False, best=None, **changes):
    """The state after so many rounds; `best` is the best one so far."""
    best = best and Best(best, 0.5, {})
    row = {"round": round} if pending else None
    return RunState("run", "digest", round, {}, {}, best, row, **changes)


def begun(kind, round):
    return SimpleNamespace(is_of=lambda *exchange: exchange == (kind, round))


@pytest.mark.parametrize(
    ("state", "evaluate", "record", "step"),
    [
        # Every round's model is validated: by the next round's training, or by everybody alone.
        (after(0), "with_training", None, Train(validates=False)),
        (after(1, pending=True), "with_training", None, Train(validates=True)),
        (after(0), "separate", None, Train(validates=False)),
        (after(1, pending=True), "separate", None, Validate()),
        (after(1), "separate", None, Train(validates=False)),
        # No training follows the last round, nor one that left the model as it was.
        (after(3, pending=True), "with_training", None, Validate()),
        (after(3), "with_training", None, Stop("all rounds are done")),
        (after(2, pending=True, is_stalled=True), "with_training", None, Validate()),
        (
            after(2, is_stalled=True),
            "with_training",
            None,
            Stop("round 2 left the model as it was"),
        ),
        # Two rounds may bring nothing better. The training that says so is of the third already.
        (after(2, best=1, waited=1), "with_training", None, Train(validates=False)),
        (after(3, best=1, waited=1, pending=True), "separate", None, Validate()),
        (
            after(3, best=1, waited=2),
            "with_training",
            None,
            Stop("val_loss was not better than in round 1 for 2 rounds"),
        ),
        # What clients have begun to answer is ended as that, also where there are more rounds now.
        (after(2, pending=True), "with_training", begun("evaluate", 2), Validate()),
        (after(2, pending=True), "with_training", begun("evaluate", 1), Train(validates=True)),
        (after(2, pending=True), "with_training", begun("train", 3), Train(validates=True)),
        (after(2), "separate", begun("train", 3), Train(validates=False)),
    ],
)
def test_what_a_run_does_next_follows_from_its_state_and_config(state, evaluate, record, step):
    """Of three rounds, with patience for two. Oracle: the rules of docs/rounds.md, by hand."""
    stopping = SimpleNamespace(monitor="val_loss", mode="min", patience=2)
    run = SimpleNamespace(evaluate=evaluate, rounds=3, stopping=stopping, robust=NO_ROBUST)
    assert next_step(state, run, record) == step


def test_every_second_model_is_attacked_once_between_its_training_and_the_next():
    def pending(round, **figures):
        row = RoundRow(
            **{"round": round, "train_loss": 0.5, "figures": figures, "cohort": (), "replies": 0},
            **{"dropped": (), "bytes_up": 0, "bytes_down": 0, "seconds": 0.0},
        )
        return replace(after(round), pending=row)

    robust = replace(NO_ROBUST, every=2, epsilon=0.1, steps=1, step_size=0.1)
    run = SimpleNamespace(evaluate="with_training", rounds=9, robust=robust)
    assert next_step(pending(1), run, None) == Train(validates=True)
    assert next_step(pending(2), run, None) == Withstand()
    assert next_step(pending(2, val_robust_loss=0.5), run, None) == Train(validates=True)
    assert next_step(pending(2), run, begun("evaluate", 2)) == Validate()
    stalled = replace(pending(2), is_stalled=True)  # as the round before it was
    assert next_step(stalled, run, None) == Validate()


def broken(self, server_round, replies):
    """A model of NaN."""
    weights = {k: np.full_like(v, np.nan) for k, v in self._weights.items()}
    return records.weights_record(weights), None


@pytest.mark.parametrize(
    ("aggregate", "words"),
    [
        (lambda *_: (None, None), "The strategy made no model of round 1's replies. What was"),
        (broken, "holds NaN or infinity; lower training.lr, or see strategy.server. What was"),
    ],
    ids=["none", "NaN"],
)
def test_a_strategy_without_a_model_stops_the_run_in_whole_sentences(
    tmp_path, monkeypatch, aggregate, words
):
    monkeypatch.setattr(AlgorithmStrategy, "aggregate_train", aggregate)
    federation = Federation("rounds=1")
    with pytest.raises(RoundFailed) as caught:
        run_server(federation, federation.inner, tmp_path / "run")
    assert words in str(caught.value)
    (event,) = [e for e in read_lines(tmp_path / "run" / "events.jsonl") if e["event"] == "stopped"]
    assert event["message"].endswith(".")
    for said in (str(caught.value), event["message"]):
        assert ".." not in said.replace(str(tmp_path), "")
