"""What a server learns from how rows are read, and from what fails on them, is bounded by the site."""

from dataclasses import replace

import pytest
from support.clients import LINKS, Clients, code_of
from support.csv_files import write_folder, write_schema
from support.federation import Federation

from calyx.model.weights import hash_weights, stack
from calyx.run.order import Cv


@pytest.fixture
def sites(tmp_path):
    """Seven sites of a csv task, each with a state folder of its own, and their files' folder."""
    folder = write_folder(tmp_path / "rows")
    federation = Federation("task=csv", f"task.data_dir={folder}", "privacy=secagg")
    made = Clients(federation)
    for name in made.names:
        made.contexts[name] = made.fresh(name, state_dir=str(tmp_path / "state" / name))
    return made, folder


def statistics(clients, **changes):
    return clients.order(kind="statistics", round=0, weights=hash_weights({}), **changes)


def asked_of_column(clients, run, **column):
    """Statistics by a schema that the server would rather have."""
    terms = clients.federation.setting.terms
    schema = terms.task["schema"]
    columns = schema["columns"] | {"age": column}
    task = terms.task | {"schema": schema | {"columns": columns}}
    return statistics(clients, run=run, terms=replace(terms, task=task))


def test_a_site_reads_by_the_schema_beside_its_rows(sites):
    clients, _ = sites
    name = clients.names[0]
    ages = [str(age) for age in range(121)]
    for missing in ("50", "51"):
        # Refused rows would tell that this age is among them.
        known = [age for age in ages if age != missing]
        order = asked_of_column(
            clients, missing, kind="categorical", categories=known, unknown="refuse"
        )
        assert code_of(clients.ask(name, order, weights={})) == "order-refused"
    # Other columns would be another version of the same rows.
    narrow = asked_of_column(clients, "narrow", kind="numeric", low=0, high=60)
    assert code_of(clients.ask(name, narrow, weights={})) == "order-refused"
    assert clients.ask(name, statistics(clients), weights={}).has_content()


def test_a_site_without_a_schema_of_its_own_takes_none_from_the_server(sites):
    clients, folder = sites
    (folder / "schema.yaml").unlink()
    assert code_of(clients.ask(clients.names[0], statistics(clients), weights={})) == (
        "order-refused"
    )
    assert code_of(clients.ask(clients.names[0], clients.order())) == "order-refused"


def test_an_order_that_no_row_was_read_for_is_none_of_a_days_failures(sites, tmp_path):
    """An operator's slip of the keyboard, asked as often as one likes, does not lock a site."""
    clients, folder = sites
    name = clients.names[0]
    policy = clients.section["policy"] | {"failures_a_day": 1, "sums_a_day": 1}
    state = {"state_dir": str(tmp_path / "state" / name), "policy": policy}
    clients.contexts[name] = clients.fresh(name, **state)
    file = folder / f"{name}.csv"
    file.rename(folder / f"{name}.old")  # the wrong folder
    narrow = {"kind": "numeric", "low": 0, "high": 60}
    strange = replace(clients.federation.setting.terms, task={"name": "vowel", "w_max": 64})
    for order in (statistics(clients), asked_of_column(clients, "typo", **narrow)):
        assert code_of(clients.ask(name, order, weights={})) == "order-refused"
    assert code_of(clients.ask(name, clients.order(terms=strange))) == "order-refused"
    (folder / f"{name}.old").rename(file)
    assert clients.ask(name, statistics(clients), weights={}).has_content()


def test_rows_that_cannot_be_read_are_one_failure_until_they_or_the_order_are_others(
    sites, tmp_path
):
    """A run asks again: its retries, and its test, would use up the day of a site with one bad cell."""
    clients, folder = sites
    name = clients.names[0]
    policy = clients.section["policy"] | {"failures_a_day": 2}
    state = {"state_dir": str(tmp_path / "state" / name), "policy": policy}
    clients.contexts[name] = clients.fresh(name, **state)
    file = folder / f"{name}.csv"
    whole = file.read_text()

    def asked(attempt, **changes):
        order = statistics(clients, attempt=attempt, **changes)
        return clients.ask(name, order, weights={})

    file.write_text(whole + "1,old,120,no,no,3\n")
    for attempt in (1, 2, 3):
        assert code_of(asked(attempt)) == "data-unreadable"
    file.write_text(whole + "1,young,120,no,no,3\n")
    assert code_of(asked(4)) == "data-unreadable"
    file.write_text(whole)
    assert code_of(asked(5)) == "daily-limit"


def test_a_schema_counts_by_what_it_says_and_not_by_how_it_is_written(sites):
    clients, folder = sites
    write_schema(folder, delimiter=",")
    assert clients.ask(clients.names[0], statistics(clients), weights={}).has_content()


def test_in_simulation_the_order_brings_the_schema(tmp_path):
    folder = write_folder(tmp_path / "rows")
    federation = Federation("task=csv", f"task.data_dir={folder}", "privacy=secagg")
    (folder / "schema.yaml").unlink()
    clients = Clients(federation)
    assert clients.ask(clients.names[0], statistics(clients), weights={}).has_content()


def test_orders_that_fail_on_rows_are_limited(clients):
    name = clients.names[0]
    policy = clients.section["policy"] | {"failures_a_day": 2}
    clients.contexts[name] = clients.fresh(name, policy=policy)

    def wild(run):
        order = clients.with_terms("training", lr=1e6, weight_decay=100.0, epochs=10)
        return clients.ask(name, replace(order, run=run))

    assert code_of(wild("a")) == "non-finite-update"
    # What is refused without a look at rows counts as none.
    assert code_of(clients.ask(name, clients.order(run="b", weights="0" * 64))) == "weights-refused"
    assert code_of(wild("c")) == "non-finite-update"
    assert code_of(wild("d")) == "daily-limit"
    assert code_of(clients.ask(name, clients.order(run="e"))) == "daily-limit"
    assert code_of(clients.ask(name, statistics(clients), weights={})) == "daily-limit"


SENSELESS = {
    "momentum 1e300": ("training", {"momentum": 1e300}),
    "momentum 1": ("training", {"momentum": 1.0}),
    "lr 1e308": ("training", {"lr": 1e308}),
    "lr 5e-324": ("training", {"lr": 5e-324}),
    "weight_decay 1e308": ("training", {"weight_decay": 1e308}),
    "batch_size 1e30": ("training", {"batch_size": 10**30}),
    "epochs 1e12": ("training", {"epochs": 10**12}),
    "min_delta 1e300": ("training", {"early_stopping": {"patience": 1, "min_delta": 1e300}}),
    "iqr_factor 1e308": ("preprocessing", {"iqr_factor": 1e308}),
    "fill_value 1e300": ("preprocessing", {"fill_value": 1e300}),
    "bins 1e9": ("statistics", {"bins": 10**9}),
    "no optimizer": ("training", {"optimizer": None}),
    "a hidden key": ("training", {"x" * 10_000: 1}),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_what_nothing_could_be_learned_with_is_refused_before_rows_and_costs_nothing(
    clients, monkeypatch, what
):
    monkeypatch.setattr(
        "client.learning.preparation.prepare_rows", lambda *_: pytest.fail("it read rows")
    )
    section, changes = SENSELESS[what]
    order = clients.with_terms(section, **changes)
    context = clients.contexts[clients.names[0]]
    assert code_of(clients.ask(clients.names[0], order)) == "order-refused"
    assert not context.state  # nothing of it is in the ledger


def test_a_model_that_cannot_be_made_is_the_orders_fault_and_not_the_rows(clients, monkeypatch):
    def model(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] you tried to allocate 5e18 bytes")

    monkeypatch.setattr("client.gate.assignment._pristine", model)
    assert code_of(clients.ask(clients.names[0], clients.order())) == "order-refused"
    assert not clients.contexts[clients.names[0]].state


def test_an_order_is_counted_before_its_rows_are_read(clients, monkeypatch):
    name = clients.names[0]
    policy = clients.section["policy"] | {"sums_a_day": 1}
    clients.contexts[name] = clients.fresh(name, policy=policy)
    read = []
    monkeypatch.setattr(
        "client.learning.preparation.prepare_rows", lambda *_: read.append(1) or 1 / 0
    )
    assert code_of(clients.ask(name, clients.order(run="a"))) == "internal-error"
    assert code_of(clients.ask(name, clients.order(run="b"))) == "daily-limit"
    assert len(read) == 1


def test_a_model_for_one_client_alone_is_scored_only_where_the_policy_says_so(clients):
    name = clients.names[0]
    terms = replace(clients.federation.setting.terms, cv=Cv(k="clients", fold=0))
    order = clients.order(run="fold", terms=terms)
    policy = clients.section["policy"] | {"leave_one_out": False}
    clients.contexts[name] = clients.fresh(name, policy=policy)
    assert code_of(clients.ask(name, order)) == "outside-policy"
    by_rows = replace(terms, cv=Cv(k=3, fold=None))
    assert clients.ask(name, statistics(clients, terms=by_rows), weights={}).has_content()


def test_scores_are_of_a_cross_validation_that_the_order_names(clients):
    name = clients.names[0]
    policy = clients.section["policy"] | {"leave_one_out": False}
    clients.contexts[name] = clients.fresh(name, policy=policy)
    model = clients.federation.template
    models = stack([model] * len(clients.names))
    order = clients.order(kind="cv", run="run-cv", weights=hash_weights(models))
    assert code_of(clients.ask(name, order, weights=models)) == "order-refused"


def test_folds_are_counted_and_trained_in_runs_that_do_nothing_else(clients):
    def asked(k, fold, **changes):
        terms = replace(clients.federation.setting.terms, cv=Cv(k=k, fold=fold))
        return code_of(clients.ask(clients.names[0], clients.order(terms=terms, **changes)))

    assert asked(2, 2) == "order-refused"  # C10
    late = {"round": 2, "previous": LINKS}  # whose weights nobody can compare with a seed's
    assert asked("clients", 6, **late) == "order-refused"  # of five
    assert asked(2, None) == "order-refused"  # a training of all folds
    assert asked(2, None, kind="cv", round=5) == "order-refused"  # in a run that may train
    assert asked(2, 0, kind="cv", round=5, run="run-cv") == "order-refused"
    assert asked(2, 0, run="run-cv") == "order-refused"
    assert asked(2, None, kind="cv", round=4, run="run-cv") == "order-refused"  # of 5 rounds


@pytest.mark.parametrize("kind", ["train", "evaluate", "test", "statistics"])
def test_what_is_about_a_model_has_a_round_and_statistics_have_none(clients, kind, monkeypatch):
    """C2; the seed's own weights, which a first round would begin with."""
    monkeypatch.setattr("client.reply.open_assignment", lambda *_: pytest.fail("it was taken"))
    order = clients.order(kind=kind, round=int(kind == "statistics"))
    weights = {} if kind == "statistics" else None
    assert code_of(clients.ask(clients.names[0], order, weights)) == "order-refused"


def test_a_run_that_began_with_statistics_counts_as_a_run_all_the_same(clients):
    name = clients.names[0]
    policy = clients.section["policy"] | {"runs_a_day": 1}
    clients.contexts[name] = clients.fresh(name, policy=policy)
    for run in ("a", "b"):
        assert clients.ask(name, statistics(clients, run=run), weights={}).has_content()
    # An audit is a run of its own by its id; here a server reuses it.
    assert clients.ask(name, clients.order(run="a")).has_content()
    assert clients.ask(name, clients.order(run="a", attempt=2)).has_content()
    assert code_of(clients.ask(name, clients.order(run="b"))) == "daily-limit"


@pytest.mark.parametrize("k", [1, 21, 100])
def test_so_many_folds_that_a_site_would_have_a_row_or_two_in_each_are_refused(clients, k):
    from support.clients import edited

    terms = clients.federation.setting.terms
    values = {"cv": {"k": k, "fold": None}}
    import json

    from calyx.run.order import to_json

    whole = json.loads(to_json(clients.order(terms=terms)))["terms"] | values
    refused = clients.ask(clients.names[0], edited(clients.order(), terms=whole))
    assert code_of(refused) == "order-refused"
