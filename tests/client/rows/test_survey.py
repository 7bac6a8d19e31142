"""Statistics of a client's rows: once for each version of them, within its policy, of no model."""

import json
import stat
from dataclasses import replace

import numpy as np
import pytest
from support.clients import code_of

from calyx.files.plain import read_lines
from calyx.model.weights import hash_weights
from calyx.questions.registry import question_of
from calyx.run.order import Cv
from calyx.wire import messages as wire
from client import journal
from client.config import node_config
from client.rows import data


def statistics(clients, **changes):
    return clients.order(kind="statistics", round=0, weights=hash_weights({}), **changes)


def ask(clients, order, context=None):
    return clients.ask(clients.names[0], order, weights={}, context=context)


def test_statistics_are_given_once_for_the_same_rows_whatever_the_run_and_its_settings(clients):
    clients.advance(statistics(clients), 2, weights={})
    finer = replace(clients.federation.setting.terms, statistics={"bins": 17, "thorough": False})
    other_seed = replace(clients.federation.setting.terms, seed=2)
    for order in (
        statistics(clients, run="other"),
        statistics(clients, attempt=2),
        statistics(clients, run="finer", terms=finer),
        statistics(clients, run="folds", terms=finer, rounds=9),
    ):
        assert code_of(ask(clients, order)) == "second-vector"
    # Other rows of the same client are another matter: here a seed deals digits anew.
    assert ask(clients, statistics(clients, run="seed", terms=other_seed)).has_content()


def test_who_gave_statistics_of_folds_gives_none_without_them_nor_of_others(clients):
    terms = clients.federation.setting.terms
    five, four = (replace(terms, cv=Cv(k=k, fold=None)) for k in (5, 4))
    clients.advance(statistics(clients, run="folds", terms=five), 2, weights={})
    assert code_of(ask(clients, statistics(clients, run="again", terms=four))) == "second-vector"
    # The difference of two such sums over other clients would be nearly one client's own.
    assert code_of(ask(clients, statistics(clients, run="audit"))) == "second-vector"


def test_folds_are_counted_in_the_same_vector_as_all_rows(clients):
    terms = replace(clients.federation.setting.terms, cv=Cv(k=3, fold=None))
    _, total = clients.advance(statistics(clients, terms=terms), 4, weights={})
    from calyx.questions.segments import Contents, Inquiry
    from calyx.questions.statistics import segments, survey_of
    from calyx.vector.contribution import decode

    task = clients.federation.plan.task
    survey = survey_of(task, terms, clients.federation.setting.run.privacy)
    assert survey.samples == ("all", "train", "fold-0", "fold-1", "fold-2")
    inquiry = Inquiry(Contents(task), clients.federation.setting.run.privacy, terms)
    layout = segments(inquiry).layouts[0]
    counts = decode(total, len(clients.names), layout).counts
    for fold in range(3):
        parts = [data.read_rows(terms, n, None, fold).parts["train"] for n in clients.names]
        assert counts[f"fold-{fold}/rows"][0] == sum(len(p) for p in parts if len(p) >= 10)
    whole = [data.read_rows(terms, n, None) for n in clients.names]
    assert counts["train/rows"][0] == sum(len(r.parts["train"]) for r in whole)


def test_an_order_for_statistics_brings_no_model(clients):
    order = clients.order(kind="statistics", round=0)
    assert code_of(clients.ask(clients.names[0], order)) == "weights-refused"


@pytest.mark.parametrize("bins", [1, 257, 2.5, "many"])
def test_an_order_for_impossible_bins_is_refused(clients, bins):
    terms = replace(clients.federation.setting.terms, statistics={"bins": bins, "thorough": False})
    assert code_of(ask(clients, statistics(clients, terms=terms))) == "order-refused"


def test_the_sites_own_minimum_and_list_of_items_count():
    from support.federation import Federation

    narrow = Federation("client.policy.min_cell=40", "client.policy.statistics=[rows,histograms]")
    terms = narrow.setting.terms
    survey_parts = narrow.inner
    order = replace(_order(narrow), terms=terms)
    replies = survey_parts.send_and_receive(
        [_message(narrow, order, name) for name in narrow.nodes]
    )
    from calyx.questions.segments import Contents, Inquiry
    from calyx.questions.statistics import segments
    from calyx.vector.contribution import decode

    task = narrow.plan.task
    parts = segments(Inquiry(Contents(task), narrow.setting.run.privacy, terms))
    for reply in replies:
        layout = parts.layouts[0]
        vector = wire.read_vector(reply, parts.length, layout.fixed)
        counts = decode(vector, 1, layout).counts
        assert not counts["all/labels"].any()
        shown = counts["all/cells"]
        assert shown.any()
        assert ((shown == 0) | (shown >= 40)).all()


def _order(federation):
    from calyx.run.order import Order

    setting = federation.setting
    return Order(
        protocol="calyx/1",
        run="run",
        kind="statistics",
        round=0,
        attempt=1,
        weights=hash_weights({}),
        is_validated=False,
        previous=(),
        abandoned=(),
        groups=(tuple(federation.nodes),),
        members=None,
        rounds=5,
        best=0,
        deadline_s=60.0,
        terms=setting.terms,
    )


def _message(federation, order, name):
    from flwr.app import Message

    from calyx.run.order import to_json

    content = wire.order_content({}, to_json(order))
    return Message(content, federation.nodes[name], question_of("statistics").message_type)


def test_rows_that_change_have_another_version(clients):
    terms = clients.federation.setting.terms
    rows = data.read_rows(terms, clients.names[0], None)
    x = rows.table.x.copy()
    x[0, 0] += 1
    changed = replace(rows, table=replace(rows.table, x=x))
    assert rows.version == data.read_rows(terms, clients.names[0], None).version
    assert rows.version != changed.version


@pytest.mark.parametrize(
    "row",
    [
        [0.0, None, None, 0.0, 1e9],  # a scale wider than the column
        [0.0, None, None, 0.0, 0.0],
        [0.0, None, None, 0.0, -1.0],
        [0.0, None, None, 1e6, 1.0],  # a mean outside it
        [0.0, 5.0, 1.0, 0.0, 1.0],
        [0.0, 5.0, 5.0, 0.0, 1.0],  # every value the same
    ],
)
def test_constants_that_no_rows_can_have_given_are_refused(clients, row):
    columns = len(clients.federation.plan.task.schema.columns)
    sound = [0.0, None, None, 0.0, 1.0]
    order = clients.with_terms("preprocessing", name="federated", fitted=[[sound] * columns])
    assert clients.ask(clients.names[0], replace(order, run="sound")).has_content()
    bad = clients.with_terms(
        "preprocessing", name="federated", fitted=[[row] + [sound] * (columns - 1)]
    )
    assert code_of(clients.ask(clients.names[0], replace(bad, run="bad"))) == "order-refused"
    short = clients.with_terms("preprocessing", name="federated", fitted=[[sound]])
    assert code_of(clients.ask(clients.names[0], replace(short, run="short"))) == "order-refused"


def with_w_max(clients, w_max, **changes):
    terms = clients.federation.setting.terms
    return clients.order(run=f"{w_max}", terms=replace(terms, w_max=w_max, **changes))


def test_a_weight_that_is_no_power_of_two_or_not_the_tasks_is_refused(clients):
    def asked(order):
        reply = clients.ask(clients.names[0], order)
        return "taken" if reply.has_content() else code_of(reply)

    task = clients.federation.setting.terms.task
    assert asked(with_w_max(clients, 512)) == "taken"
    assert asked(with_w_max(clients, 500)) == "order-refused"
    own = task | {"w_max": 256}
    assert asked(with_w_max(clients, 128, task=own)) == "order-refused"
    assert asked(with_w_max(clients, 256, task=own)) == "taken"


def test_a_site_bounds_the_weight_that_an_order_names(clients):
    bounds = {"task.w_max": {"max": 1024}} | {
        f"{key}.*": "any" for key in ("task", "strategy", "training", "preprocessing", "privacy")
    }
    bounds |= {
        "statistics.*": "any",
        "cohort_size": "any",
        "seed": "any",
        "rounds": "any",
        "deadline_s": "any",
    }
    policy = clients.section["policy"] | {"bounds": bounds}
    context = clients.fresh(clients.names[0], policy=policy)
    refused = clients.ask(clients.names[0], with_w_max(clients, 2048), context=context)
    assert code_of(refused) == "outside-policy"
    assert clients.ask(clients.names[0], with_w_max(clients, 1024), context=context).has_content()


def test_a_policy_without_statistics_is_one_sentence():
    from support.federation import Federation

    from calyx.errors import ConfigError
    from client.config import read_site

    section = json.loads(json.dumps(Federation().plan.run.client))
    section["policy"]["statistics"] = ["rows", "everything"]
    with pytest.raises(ConfigError, match=r"client\.policy\.statistics"):
        read_site(node_config("north", section))


def on_a_site(clients, folder):
    return clients.fresh(clients.names[0], state_dir=str(folder))


def told(folder):
    rows = read_lines(folder / "events.jsonl")
    return [(row["check"], row["column"]) for row in rows if row["event"] == "finding"]


def without_values(rows, column=20):
    """Another version of them, in which a third of a column's values is gone."""
    x = rows.table.x.copy()
    x[: len(x) // 3, column] = np.nan
    return replace(rows, table=replace(rows.table, x=x))


@pytest.fixture
def audited(clients, tmp_path, monkeypatch):
    """A site with a state folder that was audited once; a function audits it with other rows."""
    real, context = data.read_rows, on_a_site(clients, tmp_path)
    assert ask(clients, statistics(clients, run="january"), context).has_content()

    def again(change, run="july"):
        monkeypatch.setattr("client.rows.renewal.read_rows", lambda *where: change(real(*where)))
        assert ask(clients, statistics(clients, run=run), context).has_content()

    yield again
    journal.keep_in(None)


def test_a_new_version_of_a_sites_rows_is_compared_with_the_last_for_its_own_eyes(
    clients, audited, tmp_path
):
    name = clients.federation.plan.task.schema.columns[20].name
    kept = tmp_path / "reference.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = json.loads(kept.read_text())["digits"]
    assert ("missing-more", name) not in told(tmp_path)
    audited(without_values)
    assert told(tmp_path).count(("missing-more", name)) == 1
    second = json.loads(kept.read_text())["digits"]
    assert second["version"] != first["version"]
    assert second["missing"][name] == pytest.approx(1 / 3, abs=0.01)


def test_rows_that_have_not_changed_are_compared_with_nothing(clients, audited, tmp_path):
    kept, terms = tmp_path / "reference.json", clients.federation.setting.terms
    before, found = kept.stat(), told(tmp_path)
    folds = statistics(clients, run="folds", terms=replace(terms, cv=Cv(k=5, fold=None)))
    assert ask(clients, folds, on_a_site(clients, tmp_path)).has_content()
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert set(told(tmp_path)) == set(found)


@pytest.mark.parametrize("damage", ["{", "[1]", '{"digits": {"version": "x"}}', '{"digits": 3}'])
def test_a_damaged_reference_is_one_finding_and_made_anew(audited, tmp_path, damage):
    (tmp_path / "reference.json").write_text(damage)
    audited(without_values)
    found = [check for check, _ in told(tmp_path)]
    assert found.count("reference") == 1
    assert "missing-more" not in found
    audited(lambda rows: rows, run="august")
    assert [check for check, _ in told(tmp_path)].count("reference") == 1
    assert set(json.loads((tmp_path / "reference.json").read_text())) == {"digits"}


def test_references_of_other_tasks_stay(audited, tmp_path):
    path = tmp_path / "reference.json"
    other = json.loads(path.read_text())["digits"]
    path.write_text(json.dumps({"heart": other}))
    audited(without_values)
    kept = json.loads(path.read_text())
    assert set(kept) == {"heart", "digits"}
    assert kept["heart"] == other


def test_a_simulated_client_keeps_no_reference(clients, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ask(clients, statistics(clients)).has_content()
    assert list(tmp_path.rglob("reference.json")) == []
