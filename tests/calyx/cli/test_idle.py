"""What was written and has no effect is said; a default that has none is not."""

import pytest

from calyx.cli.idle import idle_settings
from calyx.composing.compose import compose, settle


def said(*words):
    return idle_settings(words, settle(compose(list(words)), single=True))


IDLE = [
    (["task.partition=shards", "task.alpha=0.1"], "task.alpha=0.1 has no effect: it is of"),
    (["task.partition=iid", "task.alpha=0.1"], "task.alpha=0.1 has no effect"),
    (["task.shards_per_client=3"], "task.shards_per_client=3 has no effect"),
    (["privacy.weighting=equal", "task.w_max=64"], "every client weighs 1"),
    (
        ["strategy=fedopt", "strategy.server.optimizer=adagrad", "strategy.server.beta2=0.5"],
        "adagrad has no such decay",
    ),
    (["privacy=none", "privacy.n_min=3"], "privacy=none sums openly"),
    (["rounds=1", "stopping.patience=1"], "stopping.patience=1 has no effect"),
    (["rounds=3", "stopping.patience=2"], "so few rounds"),
    (["training.epochs=3", "training.early_stopping.patience=2"], "so few training.epochs"),
    (["phases=[preprocess,train,validate,release]", "audit.bins=8"], "phases has no audit"),
    (["phases=[audit]", "cv.k=3"], "phases trains nothing"),
    (["phases=[audit]", "baselines=true"], "phases trains nothing"),
]


@pytest.mark.parametrize(("words", "why"), IDLE, ids=[" ".join(w) for w, _ in IDLE])
def test_an_override_without_effect_is_said_once(words, why):
    (sentence,) = said(*words)
    assert why in sentence


WORKING = [
    ["task.partition=quantity", "task.alpha=0.1"],
    ["task.partition=shards", "task.shards_per_client=3"],
    ["task.w_max=64"],
    ["strategy=fedopt", "strategy.server.beta2=0.5"],
    ["privacy.n_min=6"],
    ["rounds=4", "stopping.patience=2"],  # it may end after round 3
    ["rounds=1", "stopping.patience=null"],
    ["training.epochs=4", "training.early_stopping.patience=2"],
    ["phases=[audit]", "audit.bins=8", "baselines=false"],
    ["privacy=none", "task.partition=iid", "rounds=1"],  # defaults without effect are nobody's
]


@pytest.mark.parametrize("words", WORKING, ids=" ".join)
def test_what_has_an_effect_or_was_not_written_is_not_said(words):
    assert said(*words) == []
