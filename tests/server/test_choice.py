"""Which round is chosen: by everybody's rows, by the figure that is watched, and what if by none."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.federation import Federation
from support.taps import Tap, run_server

from calyx.cli.results import print_results
from calyx.files.plain import read_lines
from calyx.model.weights import initial_model
from calyx.pages.page import write_report
from calyx.run.folder import RunFolder
from calyx.vector.figures import none_of
from client.learning.store import Store
from client.rows.data import prepare_rows

SIX = ["task.num_clients=6", "task.min_rows=40", "rounds=3"]


def rows_of(federation):
    """Everybody's validation rows, by client."""
    plan = federation.plan
    return {
        name: prepare_rows(plan.terms, plan.preprocessing, name, None).parts["validation"]
        for name in plan.task.clients
    }


def loss_sum(federation, weights, part):
    """Cross-entropy in nats, by PyTorch alone, summed over a client's rows."""
    model = initial_model(federation.plan.task, part.x.shape[1], 1)
    model.load_state_dict({name: torch.as_tensor(np.asarray(v)) for name, v in weights.items()})
    model.eval()
    with torch.no_grad():
        log_p = torch.log_softmax(model(torch.from_numpy(part.x)).double(), dim=1)
    return -float(log_p[torch.arange(len(part)), torch.from_numpy(part.y)].sum())


def mean_loss(federation, weights):
    parts = rows_of(federation)
    total = sum(loss_sum(federation, weights, part) for part in parts.values())
    return total / sum(map(len, parts.values()))


def result_of(folder):
    return json.loads((folder / "summary.json").read_text()), read_lines(folder / "rounds.jsonl")


def test_with_drawn_cohorts_everybody_validates_each_round(tmp_path):
    federation = Federation(*SIX, "cohort_size=2")
    summary, rows = result_of(run_server(federation, federation.inner, tmp_path / "run"))
    assert [len(row["cohort"]) for row in rows] == [2, 2, 2]
    assert [row["validated_on"]["clients"] for row in rows] == [6, 6, 6]
    best = min(rows, key=lambda row: row["val_loss"])
    assert summary["best_round"] == summary["released_round"] == best["round"]
    expected = mean_loss(federation, load_file(tmp_path / "run" / "model.safetensors"))
    assert summary["best_val_loss"] == pytest.approx(expected, rel=1e-5)
    assert (summary["monitor"], summary["mode"]) == ("val_loss", "min")
    told = {key: summary["training"][key] for key in ("epochs", "lr", "rounds", "patience")}
    assert told == {"epochs": 1, "lr": 0.5, "rounds": 3, "patience": 10}


def test_what_the_next_cohort_says_does_not_rank_and_the_last_model_is_released(tmp_path, capsys):
    federation = Federation(*SIX, "cohort_size=2", "evaluate=with_training", "stopping.patience=1")
    folder = run_server(federation, federation.inner, tmp_path / "run")
    summary, rows = result_of(folder)
    assert [row["best_round"] for row in rows] == [None, None, None]
    assert (summary["rounds"], summary["best_round"], summary["released_round"]) == (3, None, 3)
    assert summary["best_val_loss"] is summary["best_val_accuracy"] is None
    assert "(2 of 6)" in summary["absent"]["best_val_loss"]
    assert summary["final_val_loss"] == rows[-1]["val_loss"]
    last = sorted((folder / "checkpoints").iterdir())[-1]
    kept, released = (
        load_file(last / "weights.safetensors"),
        load_file(folder / "model.safetensors"),
    )
    assert kept.keys() == released.keys()
    assert all(torch.equal(kept[name], released[name]) for name in kept)
    assert "unranked" in [event["event"] for event in read_lines(folder / "events.jsonl")]
    assert "No round is called best" in write_report(folder).read_text()
    print_results(RunFolder(folder).read_summary(), folder, None)
    assert "no round is called best: with evaluate=with_training" in capsys.readouterr().out
    run_server(federation, federation.inner, folder, resume=True, rounds=4)
    assert result_of(folder)[0]["released_round"] == 4


def test_a_round_that_misses_its_worst_client_is_not_the_best(tmp_path):
    federation = Federation(*SIX, "evaluate=separate", "training.lr=0.000001")
    start = {
        k: v.numpy() for k, v in initial_model(federation.plan.task, 64, 1).state_dict().items()
    }
    parts = rows_of(federation)
    means = {name: loss_sum(federation, start, part) / len(part) for name, part in parts.items()}
    worst, tap, seen = (
        federation.nodes[max(means, key=means.__getitem__)],
        Tap(federation.inner),
        [],
    )

    def request(message):
        if message.metadata.message_type == "evaluate":
            seen.append(message)
            is_second = 6 < len(seen) <= 12
            return None if is_second and message.metadata.dst_node_id == worst else message
        return message

    tap.request = request
    folder = run_server(federation, tap, tmp_path / "run")
    summary, rows = result_of(folder)
    assert rows[1]["val_loss"] < min(rows[0]["val_loss"], rows[2]["val_loss"])
    assert rows[1]["validated_on"]["clients"] == 5
    assert summary["best_round"] != 2
    said = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "other-rows"]
    assert [event["round"] for event in said] == [2]


def test_a_run_in_which_nothing_can_be_validated_ends_and_says_so(tmp_path, monkeypatch):
    nothing = none_of(("loss", "accuracy"), "no client of this round has validation rows")
    monkeypatch.setattr("calyx.questions.evaluate.figures_of", lambda *_: nothing)
    federation = Federation("rounds=2", "stopping.patience=1")
    folder = run_server(federation, federation.inner, tmp_path / "run")
    summary, rows = result_of(folder)
    assert [(row["val_loss"], row["best_round"]) for row in rows] == [(None, None)] * 2
    assert rows[0]["absent"]["val_loss"] == "no client of this round has validation rows"
    assert (summary["best_round"], summary["released_round"]) == (None, 2)
    assert summary["absent"]["best_round"] == "no round has a val_loss"
    assert summary["absent"]["best_val_loss"] == rows[-1]["absent"]["val_loss"]
    assert summary["test_loss"] is not None
    assert "no round has a val_loss" in write_report(folder).read_text()
    run_server(federation, federation.inner, folder, resume=True, rounds=3)
    assert result_of(folder)[0]["released_round"] == 3


def test_dittos_best_round_is_the_one_with_the_best_personal_models(tmp_path):
    words = [*SIX, "task.alpha=0.1", "strategy=ditto", "strategy.local.lam=0.001", "rounds=4"]
    federation = Federation(*words, "training.lr=2.0", store=tmp_path / "clients")
    summary, rows = result_of(run_server(federation, federation.inner, tmp_path / "run"))
    parts, means = rows_of(federation), []
    for number in range(1, 5):
        own = {n: Store(tmp_path / "clients", summary["run"], n).until(number) for n in parts}
        total = sum(loss_sum(federation, own[n], part) for n, part in parts.items())
        means.append(total / sum(map(len, parts.values())))
    assert [row["val_personal_loss"] for row in rows] == pytest.approx(means, rel=1e-5)
    assert summary["best_round"] == 1 + int(np.argmin(means))
    assert summary["best_val_personal_loss"] == pytest.approx(min(means), rel=1e-5)
    assert (summary["monitor"], summary["objective"]) == (
        "val_personal_loss",
        "val_personal_accuracy",
    )
    assert summary["best_round"] != 1 + int(np.argmin([row["val_loss"] for row in rows]))
