"""Models with batch normalisation in whole runs, beside a plain loop over the same clients."""

import json

import numpy as np
import pytest
import torch
from flwr.serverapp import strategy as flowers
from support.federation import Federation
from support.taps import run_server
from torch import nn

from calyx.config.section import parse
from calyx.files.plain import read_lines
from calyx.machine.hardware import Hardware
from calyx.model.evaluation import evaluate
from calyx.model.training_config import TrainingConfig
from calyx.model.weights import initial_model, load_into, weights_of
from calyx.tasks.digits import Digits
from calyx.wire import records
from client.gate import assignment
from client.learning.training import LocalJob, train
from client.rows.data import prepare_rows
from strategies.flower import HOME
from strategies.local import LocalObjective

ROUNDS, BETA = 3, 0.9
SERVER = ("strategy.server.lr=1", f"strategy.server.beta={BETA}", "task.w_max=1024")


@pytest.fixture(autouse=True)
def normalised(monkeypatch):
    """The task's model has batch normalisation; caches know nothing of it."""
    monkeypatch.setattr(
        Digits,
        "model",
        lambda self, width: nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 10)),
    )
    assignment._pristine.cache_clear()
    yield
    assignment._pristine.cache_clear()


def run(folder, *overrides):
    words = [f"rounds={ROUNDS}", "training.lr=0.1", "privacy.clip=100", *overrides]
    made = Federation(*words)
    run_server(made, made.inner, folder)
    summary = json.loads((folder / "summary.json").read_text())
    return made, [row["val_loss"] for row in read_lines(folder / "rounds.jsonl")], summary


def test_fedavgm_is_momentum_on_parameters_and_a_mean_of_running_statistics(tmp_path):
    """A plain loop: local epochs, weighted means, v ← βv + Δ for what a gradient moves."""
    made, losses, _ = run(tmp_path / "run", "strategy=fedavgm", *SERVER)
    terms = made.plan.terms
    people = [
        prepare_rows(terms, made.plan.preprocessing, site.name, site.data_dir)
        for site in made.plan.sites
    ]
    cfg = parse(TrainingConfig, terms.training, "training")
    model = initial_model(made.plan.task, people[0].num_inputs, terms.seed)
    trained = {name for name, _ in model.named_parameters()}
    weights = {k: v.astype(float) for k, v in weights_of(model).items()}
    v = {k: np.zeros_like(weights[k]) for k in trained}
    for number, loss in enumerate(losses, 1):
        ways, counts, own = [], [], weights_of(model)
        for person in people:
            load_into(model, own)
            job = LocalJob(
                cfg,
                LocalObjective(),
                Hardware("cpu", 1, "float32", True),
                terms.seed,
                number,
                person.name,
            )
            train(model, person.parts["train"], person.parts["validation"], job)
            ways.append({k: a - own[k] for k, a in weights_of(model).items()})
            counts.append(len(person.parts["train"]))
        for k in own:
            mean = np.average([way[k] for way in ways], axis=0, weights=counts)
            if k in trained:
                v[k] = BETA * v[k] + mean
                mean = v[k]
            if own[k].dtype.kind == "f":
                own[k] = (own[k] + mean).astype(np.float32)
        load_into(model, own)
        judged = [evaluate(model, p.parts["validation"], torch.device("cpu")) for p in people]
        sizes = [len(p.parts["validation"]) for p in people]
        mean = np.average([e.loss for e in judged], weights=sizes)
        assert loss == pytest.approx(mean, abs=2e-4), number


def test_flowers_fedavg_runs_and_is_ours(tmp_path):
    _, losses, summary = run(tmp_path / "stock", "strategy=flower", "evaluate=separate")
    _, same, ours = run(tmp_path / "ours", "strategy=fedavg", "evaluate=separate")
    assert losses == pytest.approx(same, abs=1e-6)
    assert summary["rounds"] == ours["rounds"] == ROUNDS


@pytest.mark.parametrize(
    "words",
    [
        ["strategy=fedavg", "cv.k=2"],
        ["strategy=fedbn", "strategy.local.keep=norm"],
        ["strategy=ditto"],
        ["strategy=scaffold"],
        ["strategy=fednova"],
    ],
    ids=lambda words: words[0],
)
def test_a_client_takes_part_whatever_its_number_of_rows_leaves_over(tmp_path, words):
    """By batches of one less than the rows of the least client, which leave it one row."""
    made = Federation().plan
    few = min(
        len(prepare_rows(made.terms, made.preprocessing, s.name, None).parts["train"])
        for s in made.sites
    )
    federation = Federation(
        f"training.batch_size={few - 1}", "rounds=1", *words, store=tmp_path / "own"
    )
    run_server(federation, federation.inner, tmp_path / "run")
    (row,) = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert (row["replies"], row["dropped"]) == (3, [])
    assert "absentees" not in json.loads((tmp_path / "run" / "summary.json").read_text())


class Restless(nn.Module):
    """With a layer whose statistics begin anew in each round, and a plain number."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(width, momentum=None), nn.Linear(width, 10)
        self.step = 0

    def forward(self, x):
        self.step += self.training
        return self.out(self.norm(x))


def test_what_begins_anew_in_each_round_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(Digits, "model", lambda self, width: Restless(width))
    made = Federation("rounds=1")
    run_server(made, made.inner, tmp_path)
    events = read_lines(tmp_path / "events.jsonl")
    said = {e["severity"]: e["message"] for e in events if e["event"] == "stays-behind"}
    assert said["info"].startswith("norm.num_batches_tracked does not travel: with momentum=None")
    assert said["warning"].startswith("Training moves step of the model, which is no tensor")


class Noisy(flowers.FedAvg):
    """A user's own that draws on the server, as differential privacy does."""

    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        noise = {k: a.numpy() + np.random.randn(*a.shape) for k, a in arrays.items()}
        return records.weights_record(noise), metrics


def test_what_a_strategy_draws_on_the_server_repeats(tmp_path, monkeypatch):
    monkeypatch.setattr(flowers, "Noisy", Noisy, raising=False)
    words = ["strategy=flower", f"strategy.server._target_={HOME}.Noisy", "privacy.groups=all"]
    one, other = (run(tmp_path / name, *words, "rounds=2")[2] for name in ("one", "other"))
    assert one["model_sha256"] == other["model_sha256"]
