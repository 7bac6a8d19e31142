"""Models to compare with are judged on the same rows as the federation's figures."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support.csv_files import write_schema
from support.federation import Federation

from calyx.data.schema import Column, Schema
from calyx.model.metrics import Evaluation, counts_of
from calyx.run.json_rows import as_json
from calyx.simulation.baselines import (
    Baselines,
    Federated,
    Figure,
    Tested,
    compute_baselines,
    question_of,
    scores_of,
)
from calyx.simulation.workers import WorkerPool
from client.rows.data import prepare_rows

SCHEMA = Schema((Column("a", "numeric"),), ("no", "yes"))
TOLD = (0.5, None)


def counted(right, rows):
    """The counts of a model that is right in so many rows, all of class 0."""
    hits, loss = np.array([right], dtype=object), np.array([0], dtype=object)
    sums = {"loss": loss, "labels": np.array([rows, 0], dtype=object), "hits": hits}
    return counts_of(Evaluation(rows, 0, sums), SCHEMA, "rows")


@pytest.fixture
def two():
    """Two clients with 10 and 30 test rows, each right at home only; one model of all rows."""
    local = {
        "a": Tested(SCHEMA, {"a": counted(9, 10), "b": counted(3, 30)}),
        "b": Tested(SCHEMA, {"a": counted(1, 10), "b": counted(27, 30)}),
    }
    return Baselines(local, Tested(SCHEMA, {"a": counted(5, 10), "b": counted(18, 30)}))


def test_local_models_are_judged_on_everybodys_rows_and_on_their_own(two):
    row = scores_of(two, Federated(Figure((0.55, None), 2, 40)))
    assert row.local == {"a": 12 / 40, "b": 28 / 40}
    assert row.local_mean == pytest.approx(0.5)
    assert row.local_worst == 12 / 40
    assert row.local_own == 36 / 40  # 9 of 10 and 27 of 30, all rows together
    assert row.local_own_by_client == {"a": 0.9, "b": 0.9}
    assert row.pooled == row.pooled_own == 23 / 40
    assert row.federated == 0.55
    assert "personal" not in as_json(row)
    assert row.absent == {}


def test_beside_own_models_stand_those_of_the_same_clients(two):
    own = Figure((28 / 30, None), 1, 30)
    row = scores_of(two, Federated(Figure(TOLD, 2, 40), own, ("b",)))
    assert (row.personal, row.local_own, row.pooled_own) == (28 / 30, 27 / 30, 18 / 30)
    assert (row.own_clients, row.own_rows) == (1, 30)
    assert row.pooled == 23 / 40


def test_a_strategy_without_a_common_model_has_no_figure_of_one(two):
    row = scores_of(two, Federated(None, Figure((0.9, None), 2, 40), ("a", "b")))
    assert row.federated is None
    assert "no common model" in row.absent["federated"]
    nobody = scores_of(two, Federated(None, Figure((None, "why"), 0, 0), ()))
    assert nobody.local_own is None
    assert nobody.absent["personal"] == "why"
    assert nobody.absent["local_own"] == "no client has a model of its own"


def test_a_figure_of_other_rows_stands_not_beside(two):
    row = scores_of(two, Federated(Figure(TOLD, 1, 10)))
    assert row.federated is None
    assert row.absent["federated"].startswith("its test is over 1 of 2 clients")


def test_a_client_without_a_model_alone_takes_no_other_figure_away(two):
    lacking = Baselines({"a": two.local["a"]}, two.pooled, {"b": "ValueError: one row"})
    row = scores_of(lacking, Federated(Figure((0.55, None), 2, 40)))
    assert (row.pooled, row.federated) == (23 / 40, 0.55)
    assert row.local == {"a": 12 / 40, "b": None}
    assert row.local_mean is row.local_worst is row.local_own is None
    assert row.absent["local.b"] == "ValueError: one row"
    assert row.absent["local_mean"] == "1 of 2 clients' own models have no score"
    assert row.absent["local_own"] == "b has no model alone: ValueError: one row"


def test_why_a_baseline_could_not_be_trained_is_in_its_authors_words(monkeypatch):
    monkeypatch.setattr("calyx.simulation.baselines.train", lambda *_: {}["colour"])
    plan = Federation().plan
    with WorkerPool(0) as pool:
        found = compute_baselines(pool, question_of(plan, 1))
    assert found.startswith("KeyError: 'colour' (simulation/test_baselines.py, line ")


def _check_told(told):
    """Of three models, one after another: how many are there, and how far that of all rows is."""
    assert [one[:3] for one in told if not one[3]] == [("baselines", n, 3) for n in range(4)]
    first = [detail for _, done, _, detail in told if detail and done == 0]
    words = "all rows in one place: epoch {} of at most 20"
    assert first == [words.format(number) for number in range(1, len(first) + 1)]


def test_a_client_alone_is_as_good_at_home_as_scikit_learns_model(tmp_path):
    """Two sites whose column means the opposite: 0.5 on everybody's rows, and good at home."""
    draw = np.random.default_rng(3)
    for site, sign in enumerate((1, -1)):
        a = draw.normal(size=200)
        sick = np.where(sign * a + 0.3 * draw.normal(size=200) > 0, "yes", "no")
        lines = [f"{x:.4f},{y}" for x, y in zip(a, sick, strict=True)]
        (tmp_path / f"site-{site}.csv").write_text("\n".join(["a,sick", *lines]) + "\n")
    write_schema(tmp_path, columns={"a": {"kind": "numeric"}})
    plan = Federation("task=csv", f"task.data_dir={tmp_path}").plan
    with WorkerPool(0) as pool:
        told = []
        asked = question_of(plan, 20)
        found = compute_baselines(pool, asked, lambda *progress: told.append(progress))
    _check_told(told)
    right = rows = 0
    for site in plan.sites:
        parts = prepare_rows(plan.terms, plan.preprocessing, site.name, site.data_dir).parts
        model = LogisticRegression(C=1e6).fit(parts["train"].x, parts["train"].y)
        right += (model.predict(parts["test"].x) == parts["test"].y).sum()
        rows += len(parts["test"])
    names = tuple(site.name for site in plan.sites)
    assert found.score_own(names)[0] == pytest.approx(right / rows, abs=0.03)
    assert found.score_own(names)[0] > 0.8
    assert found.over_all(max)[0] < 0.65
