"""SCAFFOLD, Karimireddy et al. 2020, algorithm 1, option II."""

import numpy as np
import pytest
import torch

from calyx.config.section import parse
from calyx.model.weights import apply_update
from strategies.algorithm import Mean
from strategies.local import Finished, Start
from strategies.scaffold import Scaffold, ScaffoldLocal, ScaffoldServer

# Two clients, one dimension: f_i(w) = a_i/2·(w − b_i)². The mean's optimum is Σ a_i b_i / Σ a_i.
CLIENTS = ((1.0, 0.4), (3.0, 0.0))
OPTIMUM = 0.1
STEPS, LR = 10, 0.1


def local(weights, own, client, objective):
    """Ten local steps with the objective's penalty, and what is sent."""
    a, b = client
    model = {"w": weights["w"]}
    beside = {k: v for k, v in weights.items() if k != "w"}
    p = torch.tensor(model["w"], requires_grad=True)
    tensors = [{k: torch.tensor(v) for k, v in d.items()} for d in (model, beside, own)]
    for _ in range(STEPS):
        loss = a / 2 * (p - b) ** 2
        penalty = objective.penalty({"w": p}, Start(*tensors))
        total = loss if penalty is None else loss + penalty
        (gradient,) = torch.autograd.grad(total.sum(), p)
        p = (p - LR * gradient).detach().requires_grad_()
    after = {"w": p.detach().numpy().copy()}
    return objective.send(Finished(model, after, beside, own, clip=10.0, steps=STEPS, lr=LR))


def rounds(number):
    objective, algorithm = ScaffoldLocal(), Scaffold(ScaffoldServer(lr=1.0))
    weights = {"w": np.array([1.0], np.float32)}
    weights |= objective.beside(weights)
    kept = [{}, {}]
    for _ in range(number):
        sent = [local(weights, kept[i], c, objective) for i, c in enumerate(CLIENTS)]
        kept = [s.own for s in sent]
        update = {k: np.mean([s.update[k] for s in sent], axis=0, dtype=float) for k in weights}
        weights, _ = algorithm.apply(weights, Mean(update, {}, 1.0), {})
    return weights, kept


def test_clients_that_differ_reach_the_optimum_of_their_mean():
    """The paper's claim; local steps alone end elsewhere."""
    weights, _ = rounds(200)
    assert weights["w"] == pytest.approx([OPTIMUM], abs=1e-3)
    # FedAvg's fixed point: each client moves by (1 − (1 − ηa)^K)(b − w).
    pull = [1 - (1 - LR * a) ** STEPS for a, _ in CLIENTS]
    drifted = sum(p * b for p, (_, b) in zip(pull, CLIENTS, strict=True)) / sum(pull)
    assert abs(drifted - OPTIMUM) > 0.03


def test_the_servers_variate_is_the_mean_of_the_clients():
    weights, kept = rounds(7)
    mean = np.mean([own["w"] for own in kept], axis=0)
    assert weights["control/w"] == pytest.approx(mean, abs=1e-5)


def test_option_ii_is_the_mean_gradient_of_the_way():
    objective = ScaffoldLocal()
    sent = local(
        {"w": np.array([1.0], np.float32), "control/w": np.zeros(1, np.float32)},
        {},
        (1.0, 0.0),
        objective,
    )
    way = float(sent.update["w"][0])
    assert sent.own["w"] == pytest.approx([-way / (STEPS * LR)])


def test_what_the_sum_cuts_is_cut_at_the_client_too():
    done = Finished(
        start={"w": np.zeros(1, np.float32)},
        local={"w": np.full(1, 50, np.float32)},
        beside={"control/w": np.zeros(1, np.float32)},
        own={},
        clip=0.5,
        steps=1,
        lr=1.0,
    )
    sent = ScaffoldLocal().send(done)
    assert sent.update["control/w"] == sent.own["w"] == pytest.approx([-0.5])
    assert sent.clipped == 1


def test_c_moves_by_the_share_of_clients_that_were_asked():
    weights = {"w": np.zeros(1, np.float32), "control/w": np.zeros(1, np.float32)}
    mean = Mean({k: np.ones(1) for k in weights}, {}, share=0.25)
    after, _ = Scaffold(ScaffoldServer(lr=0.5)).apply(weights, mean, {})
    assert (after["w"][0], after["control/w"][0]) == (0.5, 0.25)
    assert apply_update(weights, {})["w"][0] == 0


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adam"}, {"momentum": 0.9}, {"weight_decay": 0.1}]
)
def test_it_needs_plain_sgd(changes):
    plain = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    objective = parse(ScaffoldLocal, {}, "strategy.local")
    objective.check(plain)
    with pytest.raises(ValueError, match="needs training"):
        objective.check(plain | changes)
