"""FedNova, Wang et al. 2020: objective inconsistency, and its cure."""

import json

import numpy as np
import pytest
import torch

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.model.training_config import EarlyStopping, TrainingConfig
from calyx.simulation.planning import check_config, plan
from calyx.simulation.run import simulate
from client.learning.optimizers import make_optimizer
from strategies.algorithm import Mean, NoKeys
from strategies.fedavg import FedAvg
from strategies.fednova import TAU, FedNova, FedNovaLocal, effective_steps
from strategies.local import Finished, LocalObjective

# Three clients in two dimensions: f_i(w) = ½‖w − b_i‖², with shares p_i and local steps τ_i.
TARGETS = np.array([[4.0, 0.0], [0.0, 2.0], [-3.0, -3.0]])
SHARES, STEPS, LR = np.array([0.5, 0.25, 0.25]), (2, 30, 8), 2e-4


def training(**changes):
    values = {"epochs": 1, "batch_size": 1, "lr": 0.1, "optimizer": "sgd", "momentum": 0.0}
    stopping = EarlyStopping(patience=None, min_delta=0.0)
    return TrainingConfig(name="x", weight_decay=0.0, early_stopping=stopping, **(values | changes))


def move(start, gradient, steps, **changes):
    """Where our own optimiser goes in `steps` steps."""
    w = torch.tensor(start)
    optimizer = make_optimizer([w], training(**changes))
    for _ in range(steps):
        optimizer.step([gradient(w)])
    return w.numpy()


def one_round(algorithm, objective, start, momentum):
    """Where one round of the algorithm goes."""
    weights, sent = {"w": start}, []
    for target, steps in zip(TARGETS.astype(np.float32), STEPS, strict=True):
        pull = torch.from_numpy(target)
        local = move(start, lambda w, b=pull: w - b, steps, lr=LR, momentum=momentum)
        done = Finished(weights, {"w": local}, {}, {}, clip=1.0, steps=steps, lr=LR)
        sent.append(objective.send(done))
    update = {"w": np.average([s.update["w"] for s in sent], axis=0, weights=SHARES)}
    means = {k: float(SHARES @ [s.metrics[k] for s in sent]) for k in sent[0].metrics}
    return algorithm.apply(weights, Mean(update, means, 1.0), {})[0]["w"]


def limit(algorithm, objective, momentum=0.0):
    """Where its rounds end: one of them goes from w to A w + b, and three say what A and b are."""
    starts = np.float32([[0, 0], [1, 0], [0, 1]])
    b, *columns = (one_round(algorithm, objective, w, momentum).astype(float) for w in starts)
    a = np.column_stack(columns) - b[:, None]
    assert np.linalg.norm(a, 2) < 1  # each round goes nearer
    return np.linalg.solve(np.eye(2) - a, b)


def test_fedavg_ends_at_the_optimum_of_another_objective():
    """Theorem 1: the clients' shares become p_i τ_i / Σ p τ."""
    shares = SHARES * STEPS / (SHARES @ STEPS)
    found = limit(FedAvg(NoKeys()), LocalObjective())
    assert found == pytest.approx(shares @ TARGETS, abs=0.02)
    assert np.linalg.norm(found - SHARES @ TARGETS) > 1.5


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_fednova_ends_at_the_optimum_of_the_true_objective(momentum):
    found = limit(FedNova(NoKeys()), FedNovaLocal(rho=momentum), momentum)
    assert found == pytest.approx(SHARES @ TARGETS, abs=0.02)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_effective_steps_are_the_way_of_a_constant_gradient(rho, steps):
    """‖a‖₁ is how far SGD goes along a gradient of 1, in units of the learning rate."""
    way = move(np.zeros(1), torch.ones_like, steps, lr=1.0, momentum=rho)[0]
    assert effective_steps(steps, rho) == pytest.approx(-way)


def test_two_clients_by_hand():
    start = {"w": np.zeros(1, np.float32)}
    sent = [
        FedNovaLocal(rho=0.0).send(
            Finished(start, {"w": np.float32([way])}, {}, {}, clip=1.0, steps=steps, lr=0.1)
        )
        for way, steps in ((8.0, 4), (1.0, 1))
    ]
    assert [(s.update["w"].tolist(), s.metrics) for s in sent] == [
        ([2.0], {TAU: 4.0}),
        ([1.0], {TAU: 1.0}),
    ]
    # Equal shares: τ_eff = 2.5 and mean d = 1.5.
    after, _ = FedNova(NoKeys()).apply(start, Mean({"w": np.array([1.5])}, {TAU: 2.5}, 1.0), {})
    assert after["w"].tolist() == [3.75]


def test_no_number_of_steps_is_cut():
    """More than 2^20 once counted as that many, and the update was divided by too little."""
    start = {"w": np.zeros(1, np.float32)}
    end = {"w": np.float32([1.0])}
    sent = FedNovaLocal(rho=0.0).send(Finished(start, end, {}, {}, clip=1.0, steps=2**22, lr=0.1))
    assert (sent.metrics, sent.update["w"].tolist()) == ({TAU: 2.0**22}, [2.0**-22])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["training.optimizer=adam"], "needs training.optimizer=sgd, not adam"),
        (["strategy.local.rho=0.5"], "rho=0.5 must be training.momentum=0.0"),
    ],
)
def test_an_optimiser_whose_steps_cannot_be_counted_is_refused(overrides, words):
    with pytest.raises(ConfigError) as caught:
        check_config(resolve(compose(["strategy=fednova", *overrides])))
    assert words in str(caught.value)


def test_rho_follows_the_optimisers_momentum():
    config = resolve(compose(["strategy=fednova", "training.momentum=0.75"]))
    check_config(config)
    assert parse(FedNovaLocal, config["strategy"]["local"], "strategy.local").rho == 0.75


def run(folder, *overrides):
    small = ["task.num_clients=4", "baselines=false", "engine.workers=0", "rounds=3"]
    checked = plan(resolve(compose([*small, *overrides])))
    simulate(checked, folder, resume=False, progress=lambda *_: None)
    rows = read_lines(folder / "rounds.jsonl")
    losses = [row["val_loss"] for row in rows]
    return losses, json.loads((folder / "summary.json").read_text())["test_accuracy"]


def test_where_all_clients_make_one_step_a_run_is_fedavgs(tmp_path):
    one_step = ["training.batch_size=10000", "training.epochs=1", "privacy=none"]
    nova, _ = run(tmp_path / "nova", "strategy=fednova", *one_step)
    assert nova == pytest.approx(run(tmp_path / "avg", *one_step)[0], abs=1e-4)
    several, _ = run(tmp_path / "several", "strategy=fednova", "privacy=none")
    assert several != pytest.approx(run(tmp_path / "other", "privacy=none")[0], abs=1e-2)


def test_encryption_changes_no_figure(tmp_path):
    six = ["strategy=fednova", "task.num_clients=6"]
    plain, masked = (run(tmp_path / p, *six, f"privacy={p}") for p in ("none", "secagg"))
    assert plain == masked
