"""The round loop where a strategy makes no model that can be used: one sentence, and how to go on."""

import numpy as np
import pytest
from support.federation import Federation
from support.taps import run_server

from calyx.errors import RoundFailed
from calyx.files.plain import read_lines
from calyx.wire import records
from strategies.base import AlgorithmStrategy


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
