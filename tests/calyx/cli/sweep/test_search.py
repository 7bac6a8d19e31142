"""hydra/sweeper=optuna: trials are jobs, pruning ends one as Ctrl-C does, a study goes on."""

import csv
import json
import logging
import shlex
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileSymlinkLock
from support.program import run_here
from support.run_folders import round_of

from calyx.cli.sweep import study as study_module
from calyx.cli.sweep.pruning import Pruned, RoundListener
from calyx.cli.sweep.search import describe_study, space_of
from calyx.cli.sweep.space import distribution, read_space
from calyx.cli.sweep.study import (
    check_no_other_study,
    load_trial,
    open_study,
    read_settings,
    sampler,
)
from calyx.composing.compose import compose, compose_master
from calyx.files.plain import read_lines

pytestmark = pytest.mark.e2e
LR = "training.lr=tag(log,interval(0.01,1))"
SEARCH = ["hydra/sweeper=optuna", "strategy=fedavg,fedprox", LR]
TRIALS = "hydra.sweeper.n_trials"


@pytest.fixture(scope="module")
def words(heart):
    return [*heart, "rounds=1", *SEARCH, "hydra.sweep.dir=s"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, words):
    """A search of three trials, to look at and to copy: how it ended, and its folder."""
    here = tmp_path_factory.mktemp("made")
    return run_here(here, "simulate", "-m", *words, f"{TRIALS}=3"), here / "s"


@pytest.fixture
def searched(made, copied):
    """A copy of it."""
    return copied(made[1])


def rows_of(folder):
    return list(csv.DictReader((Path(folder) / "sweep.csv").read_text().splitlines()))


def settings_with(*words):
    cfg = compose(["hydra/sweeper=optuna", *words], with_hydra=True)
    return read_settings(cfg.hydra.sweeper)


def test_a_search_goes_on_to_its_number_of_trials_and_repeats_none(sweep, words, made):
    code, _, error = sweep(*words, f"{TRIALS}=1")
    assert (code, error) == (0, "")
    assert sweep(*words, f"{TRIALS}=3")[0] == 0
    keys = ("job", "status", "strategy", "training.lr", "model_sha256")
    stopped, never = ([[row[k] for k in keys] for row in rows_of(f)] for f in ("s", made[1]))
    assert stopped == never
    assert len({row["training.lr"] for row in rows_of("s")}) == 3
    assert sweep(*words, f"{TRIALS}=3")[1].count("finished before") == 0  # none is started again


def test_the_best_trial_is_a_command_that_gives_its_model_again(here, made):
    done, folder = made
    assert done.returncode == 0
    best = min(rows_of(folder), key=lambda row: float(row["best_val_loss"]))
    assert f"best trial: job {best['job']}" in done.stdout
    lines = [line.strip() for line in done.stdout.splitlines()]
    (command,) = [line for line in lines if line.startswith("calyx simulate")]
    more = ["baselines=false", "hydra.run.dir=again"]
    assert run_here(here, *shlex.split(command)[1:], *more).returncode == 0
    again = json.loads(Path("again/summary.json").read_text())
    assert again["model_sha256"] == best["model_sha256"]


def test_a_trial_that_an_earlier_start_left_goes_on(sweep, words):
    settings = settings_with()
    master = compose_master(words)
    space = space_of(master, words)
    Path("s").mkdir()
    study = open_study(settings, Path("s"), describe_study(master, space))
    study.sampler = sampler(settings, space, 0)
    study.ask({key: distribution(part) for key, part in space.parts.items()})
    code, _, error = sweep(*words, f"{TRIALS}=2")
    assert (code, error) == (0, "")
    assert [(row["job"], row["status"]) for row in rows_of("s")] == [
        ("0", "finished"),
        ("1", "finished"),
    ]


def test_a_grid_is_searched_whole_and_no_further(sweep, heart):
    grid = ["training.epochs=range(1,3)", "hydra.sweeper.sampler=grid"]
    code, _, error = sweep(*heart, "rounds=1", *SEARCH[:2], *grid, "hydra.sweep.dir=s")
    assert (code, error) == (0, "")
    found = {(row["strategy"], row["training.epochs"]) for row in rows_of("s")}
    assert (len(rows_of("s")), len(found)) == (4, 4)


@pytest.mark.parametrize(
    "more", ["training.lr=interval(0.01,1)", "strategy=fedavg", "seed=2", "rounds=3"]
)
def test_another_search_space_or_another_config_is_another_study(sweep, words, searched, more):
    code, _, error = sweep(*words, more)
    assert (code, "searches something else" in error) == (2, True), error


def test_a_pruned_job_is_told_and_can_be_resumed(sweep, here, heart):
    # The first two trials are good ones; whatever follows with a rate of nearly 0 is not.
    words = [
        *heart,
        "rounds=3",
        "hydra/sweeper=optuna",
        "training.lr=0.1,0.1000001,0.00001,0.00002",
        "hydra.sweeper.sampler=grid",
        "hydra.sweeper.pruner=median",
        "hydra.sweeper.warmup_trials=1",
        "hydra.sweep.dir=s",
        "hydra.sweeper.seed=1",
    ]
    code, said, error = sweep(*words)
    assert (code, error) == (0, "")
    pruned = [row for row in rows_of("s") if row["status"] == "pruned"]
    assert pruned
    assert f"pruned: {', '.join(row['job'] for row in pruned)}" in said
    folder = Path("s") / pruned[0]["folder"]
    assert not (folder / "summary.json").exists()
    assert len(read_lines(folder / "rounds.jsonl")) < 3
    assert run_here(here, "resume", str(folder)).returncode == 0
    assert len(read_lines(folder / "rounds.jsonl")) == 3


@pytest.mark.parametrize("storage", ["null", "study.txt", "sqlite:///study.db"])
def test_a_round_is_reported_to_the_study_and_may_end_the_trial(here, storage):
    settings = settings_with(
        f"hydra.sweeper.storage={storage}",
        "hydra.sweeper.pruner=median",
        "hydra.sweeper.warmup_trials=1",
    )
    wanted = {"mode": "min"}
    study = open_study(settings, here, wanted)
    good, bad = study.ask(), study.ask()
    good.report(0.2, 1)
    good.report(0.1, 2)
    study.tell(good, 0.1)
    listener = RoundListener(load_trial(settings, here, bad.number, 5), "val_loss", 1)

    def log(number, loss):
        record = logging.makeLogRecord({"row": round_of(number, val_loss=loss)})
        listener.handle(record)

    log(1, 0.2)
    log(1, 0.2)  # as a resumed run does
    with pytest.raises(Pruned, match="after round 2"):
        log(2, 0.9)
    assert study.trials[bad.number].intermediate_values == {1: 0.2, 2: 0.9}


def test_only_rounds_that_compare_with_other_trials_are_reported(here):
    """Of a regression the error in its target's unit, of the first trial's rows, if rounds rank."""
    study = optuna.create_study()
    whose = {"over": "rows", "clients": 2, "asked": 2, "who": "digest", "labels": None}
    rows = whose | {"rows": 90, "target_mean": 1.0, "target_sd": 2.0}

    def reported(seed, **row):
        trial = study.ask()
        listener = RoundListener(trial, "val_loss", seed)
        figures = {"val_loss": 0.01, "val_rmse": 4.0, "validated_on": rows} | row
        listener.handle(logging.makeLogRecord({"row": round_of(1, **figures)}))
        return study.trials[trial.number].intermediate_values

    assert reported(1) == {1: 4.0}
    assert reported(1, val_rmse=5.0) == {1: 5.0}
    assert reported(1, validated_on=rows | {"rows": 91}) == {}
    assert reported(2, validated_on=rows | {"rows": 91}) == {1: 4.0}  # another seed's split
    assert reported(1, best_round=None) == {}
    assert reported(1, val_rmse=None) == {}


def test_a_round_is_not_lost_when_the_storage_does_not_answer(here, caplog):
    class Silent:
        number = 0
        study = optuna.create_study()

        def report(self, value, step):
            raise OSError("no answer")

    Silent.study.ask()
    listener = RoundListener(Silent(), "val_loss", 1)
    listener.handle(logging.makeLogRecord({"row": round_of(1, val_loss=0.5)}))
    assert "nothing is pruned" in caplog.text


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_a_sampler_proposes_the_same_for_a_trials_number(here, name):
    space = read_space([LR])
    settings = settings_with(f"hydra.sweeper.sampler={name}")
    values = []
    for number in (0, 1, 0):
        study = optuna.create_study(sampler=sampler(settings, space, number))
        values.append(study.ask().suggest_float("x", 0, 1))
    assert values[0] == values[2] != values[1]


def test_the_study_is_maximised_where_the_larger_figure_is_the_better_one(here):
    words = ["hydra/sweeper=optuna", "stopping.monitor=val_accuracy", LR]
    master = compose_master(words)
    study = open_study(settings_with(), here, describe_study(master, space_of(master, words)))
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE


def test_params_of_a_config_file_are_searched_too(sweep, heart):
    words = ["rounds=1", "hydra/sweeper=optuna", "hydra.sweep.dir=s", f"{TRIALS}=1"]
    param = "+hydra.sweeper.params={training.epochs:'range(1,4)'}"
    code, _, error = sweep(*heart, *words, param)
    assert (code, error) == (0, "")
    assert "training.epochs=" in Path("s/0/job.json").read_text()


def test_a_storage_that_another_program_has_locked_is_refused_at_once(
    sweep, words, searched, monkeypatch
):
    monkeypatch.setattr(study_module, "LOCK_WAIT_S", 0.4)
    before = sorted(path.name for path in searched.iterdir())
    lock = JournalFileSymlinkLock(str(searched / "study.journal"))
    lock.acquire()
    started = time.monotonic()
    code, _, error = sweep(*words, f"{TRIALS}=4")
    spent = time.monotonic() - started
    lock.release()
    assert (code, error.count("\n")) == (2, 1), error
    assert error.startswith("calyx: Optuna's storage s/study.journal is locked by another program")
    assert "or remove s/study.journal.lock if it has died." in error
    assert spent < 25  # Optuna's own way is to wait for 30 s, and then to take it
    assert sorted(path.name for path in searched.iterdir()) == before
    assert sweep(*words, f"{TRIALS}=4")[0] == 0


def test_a_storage_that_others_write_to_now_and_then_is_not_locked(here, monkeypatch):
    monkeypatch.setattr(study_module, "LOCK_WAIT_S", 0.4)
    lock = JournalFileSymlinkLock("study.journal")
    ended = threading.Event()

    def write():
        while not ended.is_set():
            lock.acquire()
            time.sleep(0.15)
            lock.release()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(3):
            check_no_other_study(settings_with(), here, {"mode": "min"})
            time.sleep(0.1)
    finally:
        ended.set()
        thread.join()
