"""Robust accuracy: the sum over clients is that of the pooled rows, encrypted or not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.federation import Federation
from support.orders import TERMS, order
from support.site_files import POLICY
from torch.nn import functional

from calyx.config.section import parse
from calyx.model.attack_config import AttackConfig
from calyx.model.weights import initial_model, load_into
from calyx.run.order import from_json, to_json
from client.gate.policy import PolicyConfig, all_beyond
from client.rows.data import prepare_rows
from server.exchange.exchange import Exchange, TooFewReplies
from strategies.algorithm import NoKeys
from strategies.base import AlgorithmStrategy
from strategies.fedavg import FedAvg

EPSILON = 0.05
FGSM = AttackConfig(method="fgsm", epsilon=EPSILON, steps=1, step_size=EPSILON)
WORDS = ("robust.every=1", "robust.method=fgsm", f"robust.epsilon={EPSILON}")


@pytest.fixture(scope="module")
def federation():
    return Federation(*WORDS)


def asked(federation, kind, weights=None):
    strategy = AlgorithmStrategy(FedAvg(NoKeys()), federation.template)
    exchange = Exchange(kind, 1, (tuple(federation.nodes),))
    answer = federation.attempt(strategy, exchange, weights=weights)
    return answer.outcome.figures(federation.setting.contents).values


def skilled(federation):
    """The digits' model after a few steps on one client's rows: one that a moved row can mislead."""
    name = next(iter(federation.nodes))
    data = prepare_rows(federation.setting.terms, federation.plan.preprocessing, name, None)
    model = initial_model(data.task, data.num_inputs, federation.plan.run.seed)
    x, y = (torch.from_numpy(one) for one in (data.parts["train"].x, data.parts["train"].y))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


def pooled(federation, weights, part):
    """Accuracy on everybody's rows, and on them as Goodfellow et al. 2015 move them within 0 to 1."""
    rows = [
        prepare_rows(federation.setting.terms, federation.plan.preprocessing, n, None).parts[part]
        for n in federation.nodes
    ]
    x, y = (torch.from_numpy(np.concatenate([getattr(r, k) for r in rows])) for k in "xy")
    model = initial_model(federation.plan.task, x.shape[1], federation.plan.run.seed)
    load_into(model, weights)
    x.requires_grad_()
    functional.cross_entropy(model(x), y).backward()
    moved = torch.clamp(x + EPSILON * x.grad.sign(), 0, 1)
    return [float((model(one).argmax(1) == y).double().mean()) for one in (x, moved)]


@pytest.mark.parametrize(("kind", "part"), [("robust", "validation"), ("test", "test")])
def test_the_figure_is_that_of_the_pooled_rows_as_each_is_moved(federation, kind, part):
    weights = skilled(federation)
    plain, moved = pooled(federation, weights, part)
    figures = asked(federation, kind, weights)
    assert figures["robust_accuracy"] == pytest.approx(moved, abs=1e-9)
    assert moved < plain
    assert figures.get("accuracy", plain) == pytest.approx(plain, abs=1e-9)


def test_an_encrypted_sum_says_the_same_as_a_plain_one():
    words = ("task.num_clients=5", *WORDS)
    plain, encrypted = Federation(*words), Federation("privacy=secagg", *words)
    assert asked(encrypted, "test") == asked(plain, "test")


def test_nobody_answers_an_order_that_names_no_attack():
    federation = Federation()
    with pytest.raises(TooFewReplies, match="order-refused"):
        asked(federation, "robust")


def test_a_test_of_a_run_that_asks_nothing_has_no_such_figure():
    assert not [name for name in asked(Federation(), "test") if "robust" in name]


def test_an_attack_travels_in_the_order_and_is_bounded_by_a_sites_policy():
    wanted = order("robust", terms=replace(TERMS, robust=FGSM))
    assert from_json(to_json(wanted)) == wanted
    policy = parse(PolicyConfig, POLICY | {"bounds": BOUNDS}, "client.policy")
    assert all_beyond(TERMS, (9, 60.0), policy) == []
    (refused,) = all_beyond(wanted.terms, (9, 60.0), policy)
    named = {f"robust.{key}" for key in ("method", "epsilon", "steps", "step_size")}
    assert named == set(refused.removeprefix("there is no bound for ").split(", "))


SECTIONS = ("task", "training", "preprocessing", "privacy", "statistics")
BOUNDS = dict.fromkeys((*(f"{one}.*" for one in SECTIONS), "strategy.*"), "any")
BOUNDS |= dict.fromkeys(("cohort_size", "seed", "rounds", "deadline_s"), "any")
