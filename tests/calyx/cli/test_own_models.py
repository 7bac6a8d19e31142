"""Whose model predicts: by the strategy's interface, and of the round that was judged."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.run_folders import HEAD

from calyx.cli import own_models
from calyx.cli.fitted import Whose
from calyx.cli.own_models import model_of
from calyx.errors import UserError
from calyx.model.makeup import Makeup
from calyx.model.released import ReleasedModel
from calyx.run.folder import RunFolder
from client.learning.store import Store
from strategies.ditto import DittoLocal
from strategies.fedbn import FedBNLocal
from strategies.local import LocalObjective
from strategies.scaffold import ScaffoldLocal

COMMON = {
    "0.weight": np.zeros((2, 2), np.float32),
    "1.weight": np.zeros(2, np.float32),
    "seen": np.array(0),
}
RUN_ID = "a-run"
SUMMARY = HEAD | {"run": RUN_ID, "best_round": None, "released_round": 5}
MAKEUP = Makeup(COMMON, trained=frozenset(COMMON) - {"seen"}, head=("1.weight",))


class Mixed(LocalObjective):
    """Somebody's own strategy: nothing stays at home, and the half of its own is mixed in."""

    has_state = True

    def localised(self, model, own):
        return {k: (v + own[k]) / 2 if k in own else v for k, v in model.items()}


class OwnAndLast(FedBNLocal):
    """Somebody's own strategy: a personal model, and a last layer that stays at home."""

    def personal(self):
        return LocalObjective()


def whole(value):
    """A model all of whose floats are `value`."""
    return {k: np.full_like(v, value) if v.dtype.kind == "f" else v for k, v in COMMON.items()}


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Ask for the model of `whose` under an objective, where clients kept `files` by round."""

    def asked(objective, whose, files=(), engine="embedded"):
        monkeypatch.setattr(own_models, "load_objective", lambda *_: objective)
        store = Store(tmp_path / "clients", RUN_ID, "site-0")
        for number, own in dict(files).items():
            store.write(number, own)
        strategy = SimpleNamespace(name="theirs", local={})
        run = SimpleNamespace(strategy=strategy, engine={"name": engine})
        (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
        named = whose and Whose(whose, None if engine == "superlink" else tmp_path / "clients")
        released = ReleasedModel(None, None, COMMON, None)
        vars(released)["makeup"] = MAKEUP
        return model_of(RunFolder(tmp_path), run, released, named)

    return asked


def test_a_personal_model_is_that_of_the_round_that_was_judged(answer):
    files = {n: whole(n) for n in (2, 4, 7)}
    found = answer(DittoLocal(lam=0.0), "site-0", files)
    assert (found.model.weights["0.weight"] == 4).all()  # the last that was kept until round 5
    assert list(found.model.weights) == list(COMMON)
    assert found.note == (
        "This is site-0's own model, of round 4, the run's model being that of round 5; the summary's "
        "personal_* figures are of these."
    )


def test_what_was_dropped_already_is_answered_by_the_oldest_that_is_left(answer):
    # As the test of the best round read it: Store.until.
    found = answer(DittoLocal(lam=1.0), "site-0", {n: whole(n) for n in (8, 9)})
    assert (found.model.weights["1.weight"] == 8).all()


def test_layers_of_a_client_stand_in_the_common_model(answer):
    own = {"1.weight": np.ones(2, np.float32), "seen": np.array(3)}
    found = answer(FedBNLocal(keep=("1.*",)), "site-0", {5: own})
    assert (found.model.weights["1.weight"] == 1).all()
    assert (found.model.weights["0.weight"] == 0).all()
    assert "own layers in the common model, of round 5; the summary's test_*" in found.note


def test_strategies_of_ones_own_work_by_their_interface(answer):
    assert (answer(Mixed(), "site-0", {5: whole(4)}).model.weights["0.weight"] == 2).all()
    assert (
        answer(OwnAndLast(keep="last"), "site-0", {5: whole(4)}).model.weights["0.weight"] == 4
    ).all()


def test_without_a_client_it_is_the_common_model_and_says_so(answer):
    found = answer(DittoLocal(lam=1.0), None)
    assert found.model.weights is COMMON
    assert "personal_* are of the clients' own models: give client=NAME" in found.note
    with pytest.raises(UserError, match="so that there is no common model: give client=NAME"):
        answer(FedBNLocal(keep=("1.*",)), None)


@pytest.mark.parametrize("objective", [LocalObjective(), ScaffoldLocal()])
def test_a_strategy_with_one_model_has_nothing_to_say(answer, objective):
    found = answer(objective, "site-0", {5: {"0.weight": np.ones(2, np.float32)}})
    assert found.model.weights is COMMON
    assert not found.note


@pytest.mark.parametrize("objective", [DittoLocal(lam=1.0), FedBNLocal(keep=("1.*",)), Mixed()])
def test_who_never_took_part_has_no_model(answer, objective):
    answer(objective, "site-0", {5: whole(1)})  # another client did
    with pytest.raises(UserError, match="site-1 has no model of its own: it took part in no round"):
        answer(objective, "site-1")


def test_a_store_that_is_gone_and_a_file_that_is_damaged_are_sentences(answer, tmp_path):
    with pytest.raises(UserError, match="clients is gone, where the run kept"):
        answer(DittoLocal(lam=1.0), "site-0")
    with pytest.raises(UserError, match="holds not all"):
        answer(FedBNLocal(keep="last"), "site-0", {5: {"0.weight": COMMON["0.weight"]}})
    with pytest.raises(UserError, match=r"0\.weight is missing or of another shape"):
        answer(DittoLocal(lam=1.0), "site-0", {5: whole(1) | {"0.weight": np.zeros(3, np.float32)}})
    next((tmp_path / "clients").iterdir()).write_bytes(b"no safetensors")
    with pytest.raises(UserError, match=r"own model of round 5 in .* is damaged"):
        answer(DittoLocal(lam=1.0), "site-0")


def test_a_deployments_own_models_are_said_to_lie_at_the_clients(answer):
    with pytest.raises(UserError, match=r"in the folder strategy of client\.state_dir"):
        answer(DittoLocal(lam=1.0), "site-0", engine="superlink")
