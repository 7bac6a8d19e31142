"""Which order of a run a client admits after those that it has taken: docs/secagg.md §10 and §11.

The ledger alone is asked, as `client.gate.secure_mod` asks it: no rows, no training.
"""

from dataclasses import replace

import pytest
from support.ledgers import DAILY, NOW, Site, context
from support.orders import NAMES, TERMS, digit, link, order

from calyx.run.order import Cv, Link
from calyx.secagg.refusals import Refusal
from client.gate.ledger import Ledger
from client.gate.limits import DAY_S
from client.gate.tombstones import Answers, Tombstone


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def run_of(rounds, validated=True):
    """What a client is asked in a run that validates with its training, or separately."""
    for number in range(1, rounds + 1):
        yield order(round=number, is_validated=validated and number > 1)
        if not validated or number == rounds:
            yield order("evaluate", number)
    yield order("test", rounds)


@pytest.mark.parametrize("validated", [True, False])
def test_an_honest_run_passes_with_a_restart_between_any_two_orders(site, validated):
    assert [site.take(one) for one in run_of(4, validated)] == [""] * (6 if validated else 9)


def test_a_model_is_judged_on_moved_rows_once_beside_its_evaluation_and_not_later(site):
    asked = [order(), order("robust", 1), order(round=2, is_validated=True), order("robust", 2)]
    assert [site.take(one) for one in [*asked, order("evaluate", 2)]] == [""] * 5
    assert site.take(order("robust", 2, attempt=2)) == "second-vector"
    assert site.take(order(round=3)) == ""
    other = order("robust", 2, attempt=3)  # A6: that model has been trained on
    assert site.take(other) == "round-replayed"


def test_models_that_were_only_judged_on_moved_rows_count_as_evaluated(site):
    """A7: as many as were trained, and two more, whichever of the two kinds asks."""
    assert site.take(order(run="x")) == ""
    kinds = ("robust", "evaluate", "robust", "robust")
    said = [site.take(order(kind, n, run="x")) for n, kind in enumerate(kinds, 1)]
    assert said == ["", "", "", "daily-limit"]


def test_a_run_of_drawn_cohorts_passes_that_asks_a_client_now_and_then(site):
    terms = replace(TERMS, cohort_size=3)
    asked = [order("evaluate", 1), order("evaluate", 2), order(round=3), order("evaluate", 3)]
    asked += [order("evaluate", n) for n in range(4, 8)] + [order("test", 5)]
    assert [site.take(replace(one, terms=terms)) for one in asked] == [""] * len(asked)


def test_more_rounds_bring_a_test_of_a_better_model_and_a_server_that_asks_has_one_more(site):
    assert not any(site.take(one) for one in run_of(2))
    more = {"rounds": 20}  # `resume rounds=20`
    for one in (order(round=3, **more), order("evaluate", 3, **more), order("test", 3, **more)):
        assert site.take(one) == ""
    assert site.take(order("test", 4, rounds=99)) == ""  # any `rounds` stands in a test
    assert site.take(order("test", 5, rounds=100)) == "daily-limit"


@pytest.mark.parametrize(
    "first",
    [order(round=2), order("evaluate", 1), order("test", 1), order("train", 7)],
    ids=["train", "evaluate", "test", "late"],
)
def test_a_run_that_is_met_in_its_middle_is_rationed(site, first):
    for run in ("a", "b"):
        assert site.take(replace(first, run=run, weights=digit(ord(run)))) == ""
    assert site.take(replace(first, run="c")) == "daily-limit"
    assert site.take(order(run="d")) == ""  # from its beginning it is any run
    assert site.take(replace(first, run="c"), now=NOW + 2 * DAY_S) == ""


def test_a_run_that_is_met_in_its_middle_is_one_of_the_days_runs(site):
    site.limits = replace(DAILY, runs=1)
    assert site.take(order("evaluate", 1)) == ""
    assert site.take(order(run="other")) == "daily-limit"


def test_folds_are_scored_where_one_of_them_was_trained(site):
    cv = replace(TERMS, cv=Cv(k=2, fold=None))
    scores = order("cv", 9, run="run-cv", terms=cv)
    assert site.take(scores) == "order-refused"
    for fold in (0, 1):
        fold_run = {"run": f"run-fold-{fold}", "terms": replace(TERMS, cv=Cv(k=2, fold=fold))}
        assert site.take(order(**fold_run, weights=digit(100 + fold))) == ""
    assert site.take(scores) == ""
    assert site.take(replace(scores, run="other-cv", weights=digit(5))) == "order-refused"
    later = replace(scores, round=10, rounds=10, weights=digit(6))
    assert site.take(later) == ""  # `resume rounds=10`
    assert site.take(replace(later, attempt=2, weights=digit(8))) == "weights-refused"
    assert site.take(replace(later, attempt=2)) == "second-vector"
    assert site.take(replace(later, round=11, rounds=11, weights=digit(7))) == "daily-limit"


BROKEN = {
    "no link": order(round=2, previous=()),
    "two links of one group": order(round=2, previous=(link(1), link(2))),
    "a link to a context that never was": order(round=2, previous=(link(77),)),
    "its own context with another root": order(round=2, previous=(link(1, "e"),)),
    "its own sum for a model of another round": order(round=5, previous=(link(1),)),
    "an evaluation without a link": order("evaluate", 1, previous=()),
    "an evaluation of another sum": order("evaluate", 1, previous=(link(77),)),
    "a test with a link": order("test", 1, previous=(link(1),)),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_model_that_does_not_come_from_this_clients_last_sum_is_refused(site, broken):
    assert site.take(order()) == ""
    assert site.take(broken) == "chain-broken"


def test_a_first_training_comes_from_no_sum(site):
    assert site.take(order(previous=(link(1),))) == "chain-broken"


def test_training_and_evaluation_of_one_model_name_the_same_sums(site):
    """Of a client that took no part in them, and so has nothing else to compare."""
    assert site.take(order("evaluate", 3)) == ""
    assert site.take(order(round=4, previous=(link(88),))) == "chain-broken"
    assert site.take(order(round=4)) == ""


def test_what_was_masked_and_never_opened_binds_nothing(site):
    assert site.take(order()) == ""
    assert site.take(order(round=2), opened=False) == ""
    assert site.take(order(round=2, attempt=2)) == ""  # abandoned, and asked for again
    retried = Link(ctx=context(order(round=2, attempt=2)).hex(), root="f" * 64)
    assert site.take(order(round=3)) == "chain-broken"
    assert site.take(order(round=3, previous=(retried,))) == ""


def test_of_several_groups_a_sum_that_another_client_kept_from_being_finished_is_said(site):
    groups = (NAMES[:3], NAMES[3:])
    assert site.take(order(groups=groups)) == ""
    assert site.take(order(round=2, groups=groups, previous=(link(1, "e"),))) == "chain-broken"
    assert site.take(order(round=2, groups=groups, previous=(link(66),))) == ""
    assert len(site.odd) == 1
    assert "does not name the sum of this client's own group in round 1" in site.odd[0]


def test_a_number_stands_for_one_model_in_every_order_and_attempt(site):
    other = digit(500)
    assert site.take(order()) == ""
    assert site.take(order("evaluate", 1)) == ""
    assert site.take(order(round=2, weights=other)) == "weights-refused"
    assert site.take(order(round=2), opened=False) == ""
    for one in (order(round=2, attempt=2), order("evaluate", 1, attempt=2), order("test", 1)):
        assert site.take(replace(one, weights=other)) == "weights-refused"
    assert site.take(order(round=2, attempt=2)) == ""


def test_a_run_goes_forward(site):
    assert not any(site.take(one) for one in run_of(3))
    assert site.take(order("evaluate", 2)) == "round-replayed"
    joined = {"run": "joined"}
    assert site.take(order("evaluate", 4, **joined)) == ""
    assert site.take(order(round=4, **joined)) == "round-replayed"
    assert site.take(order(round=5, **joined)) == ""
    assert site.take(order("evaluate", 3, **joined)) == "round-replayed"


def test_what_was_trained_on_since_is_not_evaluated(site):
    assert [site.take(order(round=number)) for number in (1, 2, 3)] == [""] * 3
    assert site.take(order("evaluate", 2)) == "round-replayed"
    assert site.take(order("evaluate", 3)) == ""


def test_no_more_models_are_evaluated_than_were_trained_and_two(site):
    assert site.take(order()) == ""
    answers = [site.take(order("evaluate", number)) for number in range(1, 6)]
    assert answers == ["", "", "", "daily-limit", "daily-limit"]
    assert site.take(order(round=6)) == ""
    assert site.take(order("evaluate", 6)) == ""


def test_a_site_that_is_down_in_each_third_round_stays_in_its_run(site):
    taken = [
        site.take(one)
        for number in range(1, 10)
        if number % 3
        for one in (order(round=number), order("evaluate", number))
    ]
    assert taken == [""] * 12
    assert site.take(order("evaluate", 9)) == ""
    assert site.take(order("test", 8)) == ""


def test_an_answer_that_ends_before_its_vector_is_rationed(site):
    few = replace(DAILY, unfinished=3)
    site.limits = few
    for attempt in range(1, 4):
        assert site.take(order(attempt=attempt), opened=False) == ""
    assert site.take(order(attempt=4)) == "daily-limit"
    assert site.take(order(attempt=4), now=NOW + 2 * DAY_S) == ""


def test_an_answer_that_ends_with_its_vector_is_not_rationed(site):
    site.limits = replace(DAILY, unfinished=1)
    assert [site.take(one) for one in run_of(4)] == [""] * 6


def test_times_of_a_clock_that_was_ahead_end_a_day_after_it_was_set_right(site):
    site.limits = replace(DAILY, runs=2)
    for run in ("a", "b"):
        assert site.take(order(run=run), opened=False, now=NOW + 365 * DAY_S) == ""
    assert site.take(order(run="c"), now=NOW) == "daily-limit"
    assert len(site.odd) == 1
    assert "The ledger has times up to 2028-01-" in site.odd[0]
    assert site.take(order(run="c"), now=NOW + DAY_S - 1) == "daily-limit"
    assert site.take(order(run="c"), opened=False, now=NOW + DAY_S) == ""


def test_a_clock_that_leaps_ahead_and_is_set_right_frees_nothing(site):
    site.limits = replace(DAILY, runs=2)
    assert site.take(order(run="a"), opened=False, now=NOW) == ""
    assert site.take(order(run="b"), opened=False, now=NOW + 365 * DAY_S) == ""
    assert site.take(order(run="c"), now=NOW + 9) == "daily-limit"


def test_a_clock_that_is_set_back_frees_nothing(site):
    site.limits = replace(DAILY, runs=2)
    assert site.take(order(run="a"), opened=False, now=NOW) == ""
    assert site.take(order(run="b"), opened=False, now=NOW - 2 * DAY_S) == ""
    assert site.take(order(run="c"), now=NOW - 2 * DAY_S + 9) == "daily-limit"
    assert site.take(order(run="c"), now=5.0) == "daily-limit"  # 1970


def test_a_clock_that_is_set_back_and_right_again_frees_nothing(site):
    site.limits = replace(DAILY, runs=2)
    for run in ("a", "b"):
        assert site.take(order(run=run), opened=False, now=NOW) == ""
    for now in (NOW - 2 * DAY_S, NOW + DAY_S / 2, NOW + DAY_S - 1):
        assert site.take(order(run="c"), now=now) == "daily-limit"
    assert site.take(order(run="c"), now=NOW + DAY_S) == ""


def test_a_ledger_of_before_these_rules_is_read_and_forbids_nothing_that_it_cannot_know(site):
    old = (
        '{"event": "order", "time": 1.7e9, "run": "run", "kind": "train", "at": [3, 1], '
        f'"terms": "{terms_digest()}", "group": 0, "ctx": "{digit(3)}"}}\n'
    )
    site.path.write_text(old)
    assert site.take(order("evaluate", 3)) == ""
    assert site.take(order(round=4)) == ""
    assert site.take(order("test", 2)) == ""
    assert site.take(order("test", 3)) == ""


@pytest.mark.parametrize("written", [False, True])
def test_a_crash_beside_the_line_of_an_opened_sum_binds_exactly_what_is_on_disk(site, written):
    """The shares leave after it, so that what is not on disk was not opened by this client."""
    assert site.take(order()) == ""
    lines = site.path.read_bytes().splitlines(keepends=True)
    assert b'"revealed"' in lines[-1]
    if not written:
        site.path.write_bytes(b"".join([*lines[:-1], lines[-1][:40]]))
    abandoned = order(round=2, previous=(link(77),))
    assert site.take(abandoned) == ("chain-broken" if written else "")


DAMAGES = {
    "a sum of no run": '{"event": "revealed", "time": 1.0, "run": "other", "sum": ["a", "b", "1"]}',
    "no sum": '{"event": "revealed", "time": 1.0, "run": "run", "sum": [1]}',
    "half an order": '{"event": "order", "time": 1.0, "run": "run", "kind": "train", "ctx": "a"}',
    "another event": '{"event": "other"}',
}


@pytest.mark.parametrize("line", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_ledger_with_a_line_that_is_none_of_its_own_answers_nothing_and_says_where(site, line):
    assert site.take(order(), opened=False) == ""
    with site.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"Line 2 of .*ledger\.jsonl"):
        site.take(order(round=2))


def terms_digest():
    ledger = Ledger()
    ledger.note_order(order(), 0, bytes(32), NOW)
    return ledger.runs["run"].terms


def test_a_fold_that_did_not_improve_is_scored_again_and_of_other_rows_it_is_not():
    ledger = Ledger()
    stone = Tombstone(digit(1), "f" * 64, [0], 1)
    ledger.note_vector(Answers(("k1",), ("fold 0", "fold 1"), "rows"), (), stone, NOW)
    ledger.check_scored(("fold 0", "better fold 1"), "rows")
    for folds, rows in ((("fold 0", "new"), "other rows"), (("same", "same"), "rows")):
        with pytest.raises(Refusal) as caught:
            ledger.check_scored(folds, rows)
        assert caught.value.code == "second-vector"


def test_drawn_cohorts_loosen_no_scores_of_folds(site):
    cv = replace(TERMS, cv=Cv(k=2, fold=None), cohort_size=3)
    for fold in (0, 1):
        terms = replace(cv, cv=Cv(k=2, fold=fold))
        assert (
            site.take(order(run=f"run-fold-{fold}", terms=terms, weights=digit(100 + fold))) == ""
        )
    answers = [
        site.take(order("cv", 9 + n, run="run-cv", terms=cv, rounds=9 + n, weights=digit(n + 1)))
        for n in range(4)
    ]
    assert answers == ["", "", "daily-limit", "daily-limit"]


def test_a_name_alone_makes_no_fold_of_a_run_that_was_joined(site):
    answers = [
        site.take(order("evaluate", 1, run=f"x-fold-{n}", weights=digit(n + 50))) for n in range(4)
    ]
    assert answers == ["", "", "daily-limit", "daily-limit"]


def test_an_empty_group_excuses_no_foreign_sum(site):
    groups = (NAMES, ())
    assert site.take(order(groups=groups)) == ""
    assert site.take(order(round=2, groups=groups, previous=(link(66),))) == "chain-broken"


def test_folds_are_judged_together_once_and_only_those_that_were_scored(site):
    terms = replace(TERMS, cv=Cv(k=2, fold=None, combine="mean"))
    scores = order("cv", 9, run="run-cv", terms=terms)
    together = order("ensemble", 9, run="run-cv", terms=terms)
    assert site.take(together) == "order-refused"  # nothing was scored yet
    for fold in range(2):
        own = replace(terms, cv=Cv(k=2, fold=fold, combine="mean"))
        trained = order(run=f"run-fold-{fold}", terms=own, weights=digit(100 + fold))
        assert site.take(trained) == ""
    assert site.take(scores) == ""
    assert site.take(replace(together, weights=digit(5))) == "order-refused"  # other models
    assert site.take(together) == ""
    assert site.take(replace(together, attempt=2)) == "second-vector"
