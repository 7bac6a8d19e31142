"""What a client accepts of an order, before any training: its site's own bounds."""

from dataclasses import replace

import pytest
from support.clients import LINKS, code_of, edited

from calyx.model.attack_config import AttackConfig
from calyx.wire import messages as wire

OTHER_ORDERS = {
    "the weights": lambda c: c.order(weights="0" * 64),
    "the epochs": lambda c: c.with_terms("training", epochs=3),
    "the learning rate": lambda c: c.with_terms("training", lr=0.1),
    "the seed": lambda c: c.order(terms=replace(c.federation.setting.terms, seed=9)),
    "the preprocessing": lambda c: c.with_terms("preprocessing", scaling="standard"),
    "the strategy": lambda c: c.order(
        terms=replace(
            c.federation.setting.terms,
            strategy=replace(c.federation.setting.terms.strategy, name="median"),
        )
    ),
    "the privacy": lambda c: c.with_terms("privacy", clip=2.0),
    "the run": lambda c: c.order(run="another"),
    "the round, and the previous sums": lambda c: c.order(round=2, previous=LINKS),
    "the attempt": lambda c: c.order(attempt=2),
    "the number of rounds": lambda c: c.order(rounds=6),
    "the best round": lambda c: c.order(round=3, best=2, previous=LINKS),
    "the deadline": lambda c: c.order(deadline_s=61.0),
    "the cohort": lambda c: c.order(groups=(tuple(c.names[:4]),)),
    "the validation": lambda c: c.order(is_validated=True),
}


@pytest.mark.parametrize("change", OTHER_ORDERS.values(), ids=OTHER_ORDERS.keys())
def test_an_order_that_differs_for_one_client_ends_at_the_next(clients, change):
    order, other = clients.order(), change(clients)
    server = clients.aggregator(order)
    replies = {u: clients.ask(n, order) for u, n in enumerate(clients.names) if u}
    odd = clients.ask(clients.names[0], other)
    if not odd.has_content():
        assert code_of(odd) == "weights-refused"  # it looks at the weights that came
        return
    bodies = {u: wire.read_stage(reply)[1] for u, reply in replies.items()}
    requests = server.take_advertisements(bodies)
    # A server that goes on all the same: the odd one's advertisement among the others'.
    table = (0).to_bytes(4, "little") + wire.read_stage(odd)[1] + requests[1]
    for u in (1, 2):
        refused = clients.stage(clients.names[u], 1, server.ctx, table)
        assert code_of(refused) == "bad-signature"
        assert wire.read_refusal(refused).accused == 0


def with_policy(clients, **changes):
    policy = clients.section["policy"] | changes
    name = clients.names[0]
    return clients.fresh(name, policy=policy)


POLICIES = {
    "a smaller sum": {"n_min": 4},
    "fewer honest clients": {"h_min": 2},
    "fewer colluders": {"max_colluders": 2},
    "no encryption": {"privacy": "none"},
    "an unbounded key": {"bounds": {"training.*": "any"}},
}


@pytest.mark.parametrize("change", POLICIES.values(), ids=POLICIES.keys())
def test_an_order_outside_the_sites_policy_is_refused_before_any_training(
    clients, change, monkeypatch
):
    monkeypatch.setattr("client.learning.update.train", lambda *_: pytest.fail("it trained"))
    context = with_policy(clients, **change)
    refused = clients.ask(clients.names[0], clients.order(), context=context)
    assert code_of(refused) == "outside-policy"
    assert not context.state


def test_plaintext_is_refused_by_a_client_that_wants_encryption(clients):
    plain = clients.with_terms("privacy", name="none")
    assert code_of(clients.ask(clients.names[0], plain)) == "outside-policy"


def test_a_list_of_questions_without_robust_refuses_a_run_of_moved_rows_at_its_first_order(clients):
    attack = AttackConfig(method="fgsm", epsilon=0.1, steps=1, step_size=0.1)
    first = clients.order(terms=replace(clients.federation.setting.terms, robust=attack))
    context = with_policy(clients, questions=["train", "evaluate", "test", "cv", "statistics"])
    assert code_of(clients.ask(clients.names[0], first, context=context)) == "outside-policy"


def test_trusted_sampling_must_be_allowed(clients):
    trusted = clients.with_terms("privacy", sampling="trusted")
    assert code_of(clients.ask(clients.names[0], trusted)) == "outside-policy"


def test_bounds_allow_what_they_cover(clients):
    bounds = {
        "task.*": "any",
        "strategy.name": ["fedavg"],
        "training.*": "any",
        "training.epochs": {"min": 1, "max": 1},
        "preprocessing.*": "any",
        "privacy.*": "any",
        "statistics.*": "any",
        "cohort_size": "any",
        "seed": "any",
        "rounds": {"max": 5},
        "deadline_s": {"min": 1, "max": 100},
    }
    name, context = clients.names[0], with_policy(clients, bounds=bounds)
    assert clients.ask(name, clients.order(), context=context).has_content()
    other = clients.federation.setting.terms
    named = replace(other, strategy=replace(other.strategy, name="fedprox", local={"mu": 0.1}))
    for order in (
        clients.order(terms=named),
        clients.order(rounds=6),
        clients.with_terms("training", epochs=2),
        clients.order(deadline_s=0.5),
    ):
        context = with_policy(clients, bounds=bounds)
        assert code_of(clients.ask(name, order, context=context)) == "outside-policy"


def test_a_group_that_is_too_small_too_large_or_of_strangers_is_refused(clients):
    name, names = clients.names[0], tuple(clients.names)
    few = clients.order(groups=(names[:2],))
    assert code_of(clients.ask(name, few)) == "too-few-clients"
    many = clients.with_terms("privacy", n_max=4)
    assert code_of(clients.ask(name, many)) == "too-many-clients"
    sybils = clients.order(groups=((*names, "nobody-knows"),))
    assert code_of(clients.ask(name, sybils)) == "outside-policy"
    split = clients.order(groups=(names[:3], names[3:]))
    assert code_of(clients.ask(name, split)) == "outside-policy"  # privacy.groups says one


def test_an_unknown_field_is_refused(clients):
    assert (
        code_of(clients.ask(clients.names[0], edited(clients.order(), note=1))) == "order-refused"
    )


def test_a_client_without_keys_takes_no_part(clients):
    name = clients.names[0]
    context = clients.contexts[name]
    for key in ("client-identity", "client-roster"):
        del context.node_config[key]
    assert code_of(clients.ask(name, clients.order())) == "outside-policy"
