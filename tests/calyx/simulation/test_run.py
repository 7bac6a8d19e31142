"""Whole runs in this process: the same bytes whatever the engine does, and isolated clients."""

import hashlib
import json
import multiprocessing
from functools import cache

import pytest

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.flower.messages import SERVER_NODE
from calyx.questions.registry import question_of
from calyx.run.folder import RunFolder
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate
from calyx.wire.messages import STAGE_TYPES

SMALL = [
    "task.num_clients=5",
    "rounds=2",
    "training.epochs=1",
    "baselines=false",
    "engine.workers=0",
]

BY_ACCURACY = ["rounds=4", "stopping.monitor=val_accuracy"]


def simulated(folder, *overrides, resume=False):
    checked = plan(resolve(compose([*SMALL, *overrides])))
    simulate(checked, folder, resume=resume, progress=lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run with these overrides, which several tests may look at."""

    @cache
    def of(*overrides):
        return simulated(tmp_path_factory.mktemp("runs") / "run", *overrides)

    return of


def model_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def curve(folder):
    return [(row["train_loss"], row["val_loss"]) for row in read_lines(folder / "rounds.jsonl")]


@pytest.mark.parametrize("question", ["statistics", "train"])
def test_a_worker_that_dies_between_two_stages_costs_a_sum_and_no_byte(run, tmp_path, question):
    """It has three of five clients, so that the others can neither end that sum nor give it up."""
    killed, seen = [], []

    def kill(kind, done, total):
        seen.append(kind)
        is_asked = question_of(question).message_type in seen
        if is_asked and kind == STAGE_TYPES[1] and done == total and not killed:
            workers = sorted(multiprocessing.active_children(), key=lambda one: one.pid)
            # The home of the first client, the third and the fifth.
            killed.append(workers[(SERVER_NODE + 1) % 2])
            killed[0].kill()
            killed[0].join()

    checked = plan(resolve(compose([*SMALL, "engine.workers=2"])))
    simulate(checked, tmp_path / "run", resume=False, progress=kill)
    assert killed
    assert model_hash(tmp_path / "run") == model_hash(run())
    assert curve(tmp_path / "run") == curve(run())
    told = [row["message"] for row in read_lines(tmp_path / "run" / "events.jsonl")]
    assert told.count("A worker died within that sum: everybody is asked for it again.") == 1


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(run):
    folders = [run(), *(run(f"engine.workers={n}") for n in (1, 2))]
    assert len({model_hash(folder) for folder in folders}) == 1
    assert len({json.dumps(curve(folder)) for folder in folders}) == 1
    assert json.loads((folders[0] / "summary.json").read_text())["model_sha256"] == model_hash(
        folders[0]
    )


def test_another_seed_gives_another_model(run):
    assert model_hash(run()) != model_hash(run("seed=2"))


def test_fedprox_with_mu_zero_is_fedavg_to_the_byte(run):
    prox = run("strategy=fedprox", "strategy.local.mu=0.0")
    assert model_hash(prox) == model_hash(run())
    other = run("strategy=fedprox", "strategy.local.mu=1.0")
    assert model_hash(other) != model_hash(prox)


def test_what_a_strategy_keeps_on_the_server_goes_from_round_to_round(run):
    """At a rate of 1 momentum's first step is FedAvg's; its second one is not."""
    momentum, plain = (
        read_lines(folder / "rounds.jsonl")
        for folder in (run("strategy=fedavgm", "strategy.server.lr=1.0"), run())
    )
    losses = [[row["val_loss"] for row in rows] for rows in (momentum, plain)]
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-6)
    assert losses[0][1] != pytest.approx(losses[1][1], abs=1e-4)


def test_the_mean_over_groups_is_the_mean_over_all_clients(run):
    one, many = (run("privacy=none", *groups) for groups in ((), ("privacy.groups=all",)))
    for left, right in zip(curve(one), curve(many), strict=True):
        assert left == pytest.approx(right, abs=1e-4)


def test_sixteen_bits_train_nearly_as_well_with_half_the_bytes(run):
    wide, narrow = run(), run("privacy.bits=16")
    losses = [read_lines(folder / "rounds.jsonl")[-1]["val_loss"] for folder in (wide, narrow)]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    up = [read_lines(folder / "rounds.jsonl")[0]["bytes_up"] for folder in (wide, narrow)]
    assert up[1] < 0.6 * up[0]


def test_a_cohort_is_sampled_and_recorded_by_name(run):
    rows = read_lines(run("privacy=none", "cohort_size=2", "rounds=3") / "rounds.jsonl")
    assert all(len(row["cohort"]) == 2 == row["replies"] for row in rows)
    assert len({tuple(row["cohort"]) for row in rows}) > 1


def test_a_census_is_of_the_same_clients_each_time_and_is_said(run):
    folder = run("privacy=none", "cohort_size=3", "census_size=2", "rounds=3")
    rows = read_lines(folder / "clients.jsonl")
    asked = {
        (kind, number): {r["client"] for r in rows if (r["kind"], r["round"]) == (kind, number)}
        for kind, number in [("evaluate", 1), ("evaluate", 2), ("evaluate", 3)]
    }
    asked["test"] = {r["client"] for r in rows if r["kind"] == "test"}
    assert {len(names) for names in asked.values()} == {2}
    assert len(set(map(frozenset, asked.values()))) == 1
    (event,) = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "census"]
    assert "the same 2 of 5 clients" in event["message"]
    summary = RunFolder(folder).read_summary()
    assert summary.testers == "2 of 5 clients'"
    assert RunFolder(run()).read_summary().testers == "everybody's"


def test_an_encrypted_run_whose_sums_are_too_small_for_everybody_is_the_plain_one(run):
    """A test in three sums of four of twelve clients."""
    words = ("task.num_clients=12", "cohort_size=4", "privacy.n_min=4", "privacy.n_max=4")
    words = (*words, "privacy.max_colluders=1", "rounds=1")
    folders = [run(*words, f"privacy={mode}") for mode in ("secagg", "none")]
    assert len({model_hash(folder) for folder in folders}) == 1
    plain, encrypted = (json.loads((f / "summary.json").read_text()) for f in folders)
    assert plain["test_loss"] == encrypted["test_loss"] is not None
    assert encrypted["tested_on"]["clients"] == 12


def test_the_observer_writes_what_each_client_did_and_the_sums_agree(run):
    folder = run()
    clients, rounds = read_lines(folder / "clients.jsonl"), read_lines(folder / "rounds.jsonl")
    data = [row for row in clients if row["kind"] == "data"]
    assert len(data) == 5
    assert sum(sum(row["label_counts"]) for row in data) == 1797
    for number in (1, 2):
        seen = [r for r in clients if (r["kind"], r["round"]) == ("evaluate", number)]
        total = sum(r["num_examples"] for r in seen)
        mean = sum(r["val_loss"] * r["num_examples"] for r in seen) / total
        hits = sum(r["val_accuracy"] * r["num_examples"] for r in seen) / total
        assert rounds[number - 1]["val_loss"] == pytest.approx(mean, abs=1e-6)
        assert rounds[number - 1]["val_accuracy"] == pytest.approx(hits)


def test_the_observer_changes_nothing(run, tmp_path, monkeypatch):
    seen = run()
    monkeypatch.setattr("calyx.simulation.observer.Observer.note", lambda *_: None)
    unseen = simulated(tmp_path / "unseen")
    assert not (unseen / "clients.jsonl").exists()
    assert model_hash(seen) == model_hash(unseen)


def test_early_stopping_ends_a_run_and_says_why(run):
    small = ["rounds=30", "training.lr=1e-9", "stopping.patience=2"]
    folder = run("privacy=none", *small)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rounds"] < 30
    assert summary["rounds"] == summary["best_round"] + 2
    assert "not better" in summary["stopped_because"]


@pytest.mark.parametrize("evaluate", ["with_training", "separate"])
def test_an_encrypted_run_ends_where_a_round_changes_nothing(run, evaluate):
    folder = run("rounds=30", "training.lr=1e-12", f"evaluate={evaluate}")
    summary, rows = (
        json.loads((folder / "summary.json").read_text()),
        read_lines(folder / "rounds.jsonl"),
    )
    assert summary["stopped_because"] == f"round {len(rows)} left the model as it was"
    assert summary["rounds"] == len(rows) < 30


@pytest.mark.parametrize(
    "overrides", [[], ["cohort_size=6", "privacy.n_min=4", "task.num_clients=8"]]
)
def test_encryption_and_the_time_of_evaluation_change_no_byte_of_the_model(run, overrides):
    folders = [
        run(*privacy, *evaluate, *overrides)
        for privacy in ((), ("privacy=none",))
        for evaluate in ((), ("evaluate=separate",))
    ]
    hashes = [model_hash(folder) for folder in folders]
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[3]
    if not overrides:  # everybody evaluates, whenever they do
        assert len(set(hashes)) == 1
        assert len({json.dumps(curve(folder)) for folder in folders}) == 1


def test_a_training_that_only_revealed_the_stop_is_no_row(run):
    stop = ["rounds=30", "training.lr=0.02", "stopping.patience=1", "stopping.monitor=val_accuracy"]
    one, two = (run(*stop, f"evaluate={e}") for e in ("with_training", "separate"))
    assert curve(one) == curve(two)
    assert model_hash(one) == model_hash(two)
    summaries = [json.loads((f / "summary.json").read_text()) for f in (one, two)]
    assert summaries[0]["rounds"] == summaries[1]["rounds"] < 30
    assert summaries[0]["stopped_because"] == summaries[1]["stopped_because"]
    rows = read_lines(one / "rounds.jsonl")
    for key in ("bytes_up", "bytes_down"):  # what the discarded training cost is not hidden
        assert rows[-1][key] > 1.5 * rows[-2][key]


def test_stopping_may_watch_accuracy(run):
    folder = run(*BY_ACCURACY)
    rows = read_lines(folder / "rounds.jsonl")
    best = json.loads((folder / "summary.json").read_text())["best_round"]
    assert rows[best - 1]["val_accuracy"] == max(row["val_accuracy"] for row in rows)


@pytest.mark.parametrize(
    "strategy", [["strategy=fedopt"], ["strategy=median", "privacy=none", "privacy.groups=5"]]
)
def test_every_strategy_learns(run, strategy):
    losses = [loss for _, loss in curve(run("rounds=4", *strategy))]
    assert losses[-1] < 0.8 * losses[0]


def test_a_plan_checks_everything_before_anything_is_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for bad in (
        "privacy.bits=8",
        "training.optimizer=lbfgs",
        "client.data_dir=5",
        "task.w_max=100",
    ):
        with pytest.raises(ConfigError):
            plan(resolve(compose([*SMALL, bad])))
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_may_have_more_rounds_and_ends_like_one_that_never_stopped(run, tmp_path):
    whole = run("rounds=4", "strategy=fedopt")
    part = simulated(tmp_path / "part", "rounds=2", "strategy=fedopt")
    simulated(part, "rounds=4", "strategy=fedopt", resume=True)
    assert model_hash(part) == model_hash(whole)
    assert curve(part) == curve(whole)


def test_the_model_is_that_of_the_best_round(run, tmp_path):
    """Oracle: a run that ends with that round."""
    folder = run(*BY_ACCURACY)
    best = json.loads((folder / "summary.json").read_text())["best_round"]
    ended = simulated(tmp_path / "run", *BY_ACCURACY, f"rounds={best}")
    assert model_hash(folder) == model_hash(ended)
