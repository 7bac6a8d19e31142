"""Figures of clients' own models are of clients that have one; the others are counted and said."""

import json

import pytest
import torch
from support.federation import Federation
from support.taps import Tap, run_server

from calyx.files.plain import read_lines
from calyx.model.weights import initial_model, load_into, load_weights
from client.learning.store import Store
from client.rows.data import prepare_rows

RUN = ("task.num_clients=4", "rounds=2", "preprocessing=local")


def run(folder, *overrides, lost=()):
    """A run in which training orders never reach the clients `lost`; its federation and folder."""
    made = Federation(*RUN, *overrides, store=folder / "clients")
    tap = Tap(made.inner)
    nodes = {made.nodes[name] for name in lost}

    def request(message):
        is_train = message.metadata.message_type == "train"
        return None if is_train and message.metadata.dst_node_id in nodes else message

    tap.request = request
    return made, run_server(made, tap, folder / "run")


def right_by_hand(made, folder, summary):
    """Right answers and rows of each client that has an own model, by PyTorch alone."""
    terms, found = made.setting.terms, {}
    common = load_weights(folder / "model.safetensors")
    for name in made.plan.task.clients:
        own = Store(folder.parent / "clients", summary["run"], name).until(
            summary["released_round"]
        )
        if own:
            part = prepare_rows(terms, made.plan.preprocessing, name, None).parts["test"]
            model = initial_model(made.plan.task, part.x.shape[1], 0)
            load_into(model, common | own)
            model.eval()
            with torch.no_grad():
                predicted = model(torch.from_numpy(part.x)).argmax(dim=1).numpy()
            found[name] = (int((predicted == part.y).sum()), len(part.y))
    return found


@pytest.mark.parametrize("strategy", ["fedbn", "ditto"])
@pytest.mark.parametrize(
    ("overrides", "lost"),
    [
        (("cohort_size=1", "evaluate=separate"), ()),  # two rounds, one client each
        ((), ("client-00",)),  # asked in every round, and failed
    ],
)
def test_who_never_trained_is_in_no_figure_of_own_models(tmp_path, strategy, overrides, lost):
    made, folder = run(tmp_path, f"strategy={strategy}", *overrides, lost=lost)
    summary = json.loads((folder / "summary.json").read_text())
    rounds = read_lines(folder / "rounds.jsonl")
    trained = {n for row in rounds for n in row["cohort"] if n not in row["dropped"]}
    hits = right_by_hand(made, folder, summary)
    assert set(hits) == trained
    assert 0 < len(trained) < 4
    right, rows = (sum(both) for both in zip(*hits.values(), strict=True))
    assert summary["personal_accuracy"] == pytest.approx(right / rows, abs=1e-12)
    key = "tested_on" if strategy == "fedbn" else "personal_tested_on"
    assert summary[key]["clients"] == len(trained)
    assert summary[key]["rows"] == rows
    assert summary[key]["untrained"] == 4 - len(trained)
    if strategy == "ditto":  # the common model is everybody's
        assert summary["tested_on"]["clients"] == 4
    (said,) = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "untrained"]
    assert said["message"].startswith(f"{4 - len(trained)} of 4 clients ha")


def test_a_figure_of_own_models_is_absent_where_nobody_has_one(tmp_path):
    """Each client that is left out has had no part in its fold's training."""
    _, folder = run(tmp_path, "strategy=fedbn", "rounds=1", "cv.k=clients")
    cv = json.loads((folder / "summary.json").read_text())["cv"]
    assert cv["mean"] is None
    assert "own" in cv["absent"]["mean"]


def test_a_round_before_more_clients_had_models_is_no_rival(tmp_path):
    _, folder = run(tmp_path, "strategy=fedbn", "cohort_size=1", "rounds=3", "seed=3")
    summary = json.loads((folder / "summary.json").read_text())
    known = [row["validated_on"]["untrained"] for row in read_lines(folder / "rounds.jsonl")]
    assert summary["tested_on"]["untrained"] == min(known)
