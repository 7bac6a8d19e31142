"""What a client weighs: its training rows, however many, or as many as the task allows, which is said."""

import json
import logging

import numpy as np
import pytest

from calyx.composing.compose import compose, settle
from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.pages.folder import read_run
from calyx.pages.page import render
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate

ROWS = {"a": 2000, "b": 40, "c": 60, "d": 50, "e": 30}
TRAINING = {name: n - 2 * round(n / 5) for name, n in ROWS.items()}  # three fifths
SCHEMA = """
columns:
  x: {kind: numeric, low: -10, high: 10}
target: {name: y, classes: [well, ill]}
"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Five sites, of which one has more training rows than 1,024."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "schema.yaml").write_text(SCHEMA)
    draw = np.random.default_rng(1)
    for i, (name, n) in enumerate(ROWS.items()):
        x = draw.normal(i, 1, n)
        lines = [f"{v:.3f},{'ill' if v > 2 else 'well'}" for v in x]
        (folder / f"{name}.csv").write_text("\n".join(["x,y", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(sites, tmp_path_factory):
    """The folder of a run of two rounds over these sites."""
    made = {}

    def of(*overrides):
        if overrides not in made:
            folder = tmp_path_factory.mktemp("runs") / "run"
            simulate(planned(sites, *overrides), folder, resume=False, progress=lambda *_: None)
            made[overrides] = folder
        return made[overrides]

    return of


def planned(sites, *overrides):
    small = ["task=csv", f"task.data_dir={sites}", "task.hidden=0", "rounds=2", "engine.workers=0"]
    small += ["baselines=false", "training.epochs=1", "audit.fail_on=never"]
    private = [] if any(o.startswith("privacy=") for o in overrides) else ["privacy=none"]
    return plan(settle(compose([*small, *private, *overrides]), single=True))


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def events(folder, name):
    return [e for e in read_lines(folder / "events.jsonl") if e["event"] == name]


def losses(folder):
    """Each round's mean training loss, and the same of the clients' own losses and rows."""
    rounds = [row["train_loss"] for row in read_lines(folder / "rounds.jsonl")]
    rows = [r for r in read_lines(folder / "clients.jsonl") if r["kind"] == "train"]
    own = [{r["client"]: r["train_loss"] for r in rows if r["round"] == n} for n in (1, 2)]
    total = sum(TRAINING.values())
    return rounds, [sum(TRAINING[c] * loss for c, loss in o.items()) / total for o in own]


@pytest.mark.parametrize("privacy", ["none", "secagg"])
def test_by_default_the_bound_follows_the_federation_and_every_row_counts(run, privacy):
    folder = run(f"privacy={privacy}")
    assert summary(folder)["w_max"] == 2048  # the least power of two above 1,200
    assert summary(folder)["capped_clients"] == 0
    assert events(folder, "capped") == []
    assert "up to 2048 training rows" in events(folder, "w-max")[0]["message"]
    found, expected = losses(folder)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("privacy", ["none", "secagg"])
def test_a_site_above_the_tasks_own_bound_is_counted_and_said_once(run, privacy):
    folder = run("task.w_max=1024", f"privacy={privacy}")
    assert (summary(folder)["w_max"], summary(folder)["capped_clients"]) == (1024, 1)
    assert [row["capped_clients"] for row in read_lines(folder / "rounds.jsonl")] == [1, 1]
    (event,) = events(folder, "capped")
    assert event["severity"] == "warning"
    assert "1 of 5 clients has more training rows than 1024" in event["message"]
    found, expected = losses(folder)
    assert found != pytest.approx(expected, rel=1e-6)


def test_it_is_said_at_load_and_only_where_something_is_trained(sites):
    (sentence,) = planned(sites, "task.w_max=32").warnings
    assert sentence.startswith("2 of 5 clients have more training rows than task.w_max=32")
    assert planned(sites).warnings == ()
    assert planned(sites, "task.w_max=2048").warnings == ()
    assert planned(sites, "task.w_max=32", "phases=[audit]").warnings == ()
    assert planned(sites, "task.w_max=32", "privacy.weighting=equal").warnings == ()


def test_the_warning_reaches_the_terminal(sites, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        checked = planned(sites, "task.w_max=32", "rounds=1")
        simulate(checked, tmp_path / "run", resume=False, progress=lambda *_: None)
    assert [r.message for r in caplog.records if "2 of 5 clients have more" in r.message]


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("phases=[preprocess,train,validate,release]", "No audit has asked"),
        ("client.policy.statistics=[moments]", "5 of 5 sites did not say"),
    ],
)
@pytest.mark.parametrize(("bits", "severity"), [(32, "info"), (24, "warning")])
def test_where_the_rows_are_not_known_the_bound_is_one_that_hardly_any_site_exceeds(
    run, override, why, bits, severity
):
    folder = run(override, f"privacy.bits={bits}", "privacy=none")
    (event,) = events(folder, "w-max")
    assert (event["severity"], event["message"].startswith(why)) == (severity, True)
    assert (summary(folder)["w_max"], summary(folder)["capped_clients"]) == (2**20, 0)


def test_clients_that_weigh_the_same_are_not_asked_how_many_rows_they_have(run):
    folder = run("privacy.weighting=equal", "task.w_max=null")
    assert (summary(folder)["w_max"], summary(folder)["capped_clients"]) == (1, 0)
    sums = json.loads((folder / "statistics.json").read_text())["sums"]
    assert "train/sites_by_rows" not in sums
    assert events(folder, "w-max") == events(folder, "capped") == []


def test_folds_that_were_not_asked_about_may_hold_more_rows(run):
    kept = summary(run("cv.k=10", "rounds=1", "preprocessing=local"))
    assert kept["w_max"] == 4096
    folds = summary(run("cv.k=3", "rounds=1", "preprocessing=federated"))
    assert (folds["w_max"], folds["capped_clients"]) == (2048, 0)


def test_a_fold_in_which_a_site_counts_as_fewer_rows_says_so(run):
    figures = summary(run("cv.k=10", "rounds=1", "task.w_max=32"))
    assert figures["capped_clients"] == 2  # 1,200 and 36 training rows of three fifths
    assert figures["cv"]["capped_clients"] == 3  # 27 and more, of 40 rows in nine folds: not yet


def test_the_page_says_it(run):
    page = render(read_run(run("task.w_max=1024", "privacy=none"))).decode()
    assert "Clients that count as fewer rows" in page
    assert "1, as 1024 rows each" in page
    assert "Clients that count as fewer rows" not in render(read_run(run("privacy=none"))).decode()


def test_a_bound_that_no_vector_can_hold_is_refused(sites):
    with pytest.raises(ConfigError, match="w_max=33554432 is not a power of two from 1 to 16777"):
        planned(sites, "task.w_max=33554432")
