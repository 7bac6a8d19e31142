"""How many questions a server gets that chooses its weights, by the limits of docs/secagg.md §11.

The names are those of the attacks of the review (C1 to C10, W3, W4, Q4, Q8). A number here is what
`docs/security.md` may say, and no more: what is rationed is not refused.
"""

from dataclasses import replace

import pytest
from support.clients import LINKS, Clients, code_of
from support.federation import Federation
from support.ledgers import DAILY, Site
from support.orders import TERMS, digit, link, order

from calyx.model.weights import hash_weights
from calyx.run.order import Cv
from server.run_context import make_initial


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, replace(DAILY, sums=60))


def chosen(n):
    """Weights that no training has made."""
    return digit(10_000 + n)


def taken(site, orders, **how):
    """How many of them are answered."""
    return [site.take(one, **how) for one in orders].count("")


@pytest.mark.parametrize(
    "first",
    [order(round=2), order("evaluate", 3), order("test", 1)],
    ids=["C1 train", "C3 evaluate", "C4 test"],
)
def test_of_runs_that_never_were_two_are_answered_a_day(site, first):
    runs = (replace(first, run=f"run{n}", weights=chosen(n)) for n in range(20))
    assert taken(site, runs) == 2


@pytest.mark.parametrize("previous", [(), (link(88),)], ids=["C5", "C6"])
def test_after_an_honest_round_no_weights_are_answered_that_do_not_name_its_sum(site, previous):
    assert site.take(order()) == ""
    diverted = (order(round=2, previous=previous, weights=chosen(n), attempt=n) for n in (1, 2, 3))
    assert taken(site, diverted) == 0


@pytest.mark.parametrize("kind", ["train", "evaluate"], ids=["C7", "C8"])
def test_of_weights_that_differ_by_one_bit_one_is_answered_a_round(site, kind):
    assert site.take(order()) == ""
    number = {"train": 2, "evaluate": 1}[kind]
    cohorts = (("a", "b", "c", "d", "e", "f"), ("a", "b", "c", "d", "e"))
    pair = [
        order(kind, number, weights=chosen(n), groups=(names,), attempt=n + 1)
        for n, names in enumerate(cohorts)
    ]
    assert [site.take(one) for one in pair] == ["", "weights-refused"]


def test_w3_trainings_of_chosen_weights_are_as_many_as_the_rounds_of_a_run(site):
    """They name the sum before: /1 cannot see that it did not make them."""
    assert site.take(order()) == ""
    assert taken(site, (order(round=n, weights=chosen(n), rounds=9) for n in range(2, 10))) == 8


def test_w4_and_q8_evaluations_and_tests_of_chosen_weights_are_counted(site):
    assert site.take(order()) == ""
    judged = (order("evaluate", n, weights=chosen(n)) for n in range(1, 10))
    assert taken(site, judged) == 3  # one was trained, and two more
    tested = (order("test", n, weights=chosen(n)) for n in (1, 2, 3, 4, 5))
    assert taken(site, tested) == 2  # and one more for each other `rounds` that it trains for


def test_w4_a_server_that_trains_for_ever_more_rounds_gets_a_test_for_each(site):
    for n in range(1, 6):
        assert site.take(order(round=n, rounds=n + 4)) == ""
    assert taken(site, (order("test", n, weights=chosen(n)) for n in range(5, 20))) == 6


def test_stacks_of_chosen_folds_are_scored_twice_a_cross_validation(site):
    fold = {"run": "run-fold-0", "terms": replace(TERMS, cv=Cv(k=10, fold=0))}
    assert site.take(order(**fold)) == ""
    scores = order("cv", 9, run="run-cv", terms=replace(TERMS, cv=Cv(k=10, fold=None)))
    stacks = (
        replace(scores, round=9 + n // 3, rounds=9 + n // 3, attempt=n % 3 + 1, weights=chosen(n))
        for n in range(12)
    )
    assert taken(site, stacks) == 2


@pytest.mark.parametrize("kind", ["evaluate", "test", "cv"])
def test_q4_a_model_is_not_judged_again_after_a_patient_has_come(site, kind):
    if kind == "cv":
        fold = {"run": "run-fold-0", "terms": replace(TERMS, cv=Cv(k=10, fold=0))}
        before = order("cv", 9, run="run-cv", terms=replace(TERMS, cv=Cv(k=10, fold=None)))
    else:
        fold, before = {"weights": digit(77)}, order(kind, 1)
    assert site.take(order(**fold)) == ""
    assert site.take(before) == ""
    after = [replace(before, attempt=2), replace(before, run=f"x{before.run}")]
    assert "" not in [site.take(one, rows="and one more") for one in after]


def test_of_all_that_a_day_allows_a_run_from_its_beginning_is_one_of_twelve(site):
    assert taken(site, (order(run=f"run{n}", weights=chosen(n)) for n in range(20))) == 12


def test_orders_that_end_before_their_vector_are_a_hundred_a_day(tmp_path):
    site = Site(tmp_path, DAILY)
    assert taken(site, (order(attempt=n) for n in range(1, 120)), opened=False) == 100


def test_l10_a_wrong_root_of_its_own_sum_is_refused_however_many_sums_lie_between(site):
    assert site.take(order()) == ""
    for n in range(2, 13):
        assert site.take(order("evaluate", n, run=f"run{n % 3}", weights=chosen(n))) in (
            "",
            "daily-limit",
        )
    assert site.take(order(round=13, previous=(link(1, "e"),))) == "chain-broken"


def test_what_travels_beside_a_model_makes_no_other_model_of_it(tmp_path):
    """C9: a control variate of scaffold's that differs by 1e-30."""
    federation = Federation("privacy=secagg", "task.num_clients=5", "strategy=scaffold")
    clients = Clients(federation)
    for name in clients.names:
        clients.contexts[name] = clients.fresh(name, state_dir=str(tmp_path / name))
    plan = federation.plan
    weights = make_initial(plan.task, plan.terms, plan.preprocessing).template
    (beside, *_) = [name for name in weights if name not in federation.template]
    other = weights | {beside: weights[beside] + weights[beside].dtype.type(1e-30)}
    assert hash_weights(other) != hash_weights(weights)
    judged = {"kind": "evaluate", "previous": LINKS}
    clients.advance(clients.order(**judged, weights=hash_weights(weights)), 2, weights)
    again = clients.order(**judged, run="another", weights=hash_weights(other))
    assert code_of(clients.ask(clients.names[0], again, weights=other)) == "second-vector"
