"""Every code that a client may send has a sentence for the operator."""

import pytest

from calyx.cli.meanings import MEANINGS, explain
from calyx.secagg.refusals import RefusalCode
from calyx.wire.messages import FailureCode


def test_every_code_has_a_meaning_of_one_line():
    assert set(MEANINGS) == {*FailureCode, *RefusalCode}
    for meaning in MEANINGS.values():
        assert meaning
        assert "\n" not in meaning
        assert not meaning.endswith(".")


def test_a_sentence_is_followed_by_the_meaning_of_each_code_once():
    said = explain("Round 1 failed (va: no-rows; north: second-vector (stage 0); south: no-rows).")
    assert said.count("no-rows: the client has no rows") == 1
    assert said.count("second-vector: the site has answered") == 1
    assert explain(said) == said
    assert explain("All is well.") == "All is well."
    assert explain("non-malformed-x") == "non-malformed-x"


@pytest.mark.e2e
def test_a_training_that_diverges_at_every_client_says_what_to_do(calyx):
    words = [
        "privacy=none",
        "engine.workers=0",
        "baselines=false",
        "rounds=1",
        "task.num_clients=3",
    ]
    done = calyx(
        "simulate", *words, "training.lr=1e6", "training.weight_decay=100", "hydra.run.dir=run"
    )
    assert done.returncode == 1
    assert "non-finite-update: the client's training diverged; lower training.lr." in done.stderr
    assert done.stderr.count("\n") == 1
