"""A sweep that cannot run: exit code 2, one sentence, nothing on disk. And what others compose to."""

import os
import sqlite3
import subprocess
import sys
from argparse import Namespace

import pytest

from calyx.cli.sweep.plan import EXTRAS, plan_sweep
from calyx.composing.compose import compose, compose_master
from calyx.run.folder import RunFolder
from calyx.words.extras import advise_extra

pytestmark = pytest.mark.e2e
HOLD = """
import fcntl, sys
lock = open("s/.lock", "wb")
fcntl.lockf(lock, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""
LR = "training.lr=interval(0.1,1)"
SEARCH = "hydra/sweeper=optuna"
MISTAKES = [
    (["seed=range(1,1)"], "no jobs: seed=range(1,1)"),
    (["seed=range(1,5,0)"], "no range"),
    (["seed="], 'seed is ""'),
    (["seed=1,2", "rounds=1,0"], "rounds is 0"),
    ([LR], "use hydra/sweeper=optuna"),
    (["hydra/sweeper=nope"], "hydra/sweeper/nope"),
    (["hydra.sweep.subdir=same", "seed=1,2"], "Two jobs would write to"),
    (["strategy=fedprox,fedavg", "strategy.local.mu=0.1"], "write ++strategy.local.mu=0.1"),
    (
        ["strategy=fedprox,fedavg", "++strategy.local.mu=0.1"],
        "With strategy=fedavg: The config key",
    ),
    (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0", "seed=1,2"], "n_jobs is 0"),
    (["hydra.sweep.dir=1,2", "seed=1,2"], "Sweeping over Hydra's configuration"),
    ([SEARCH], "nothing to search"),
    ([SEARCH, LR, "hydra.sweeper.n_trials=0"], "n_trials is 0"),
    ([SEARCH, LR, "hydra.sweeper.nope=1"], "no config key hydra.sweeper.nope"),
    ([SEARCH, LR, "hydra.sweeper.warmup_trials=2"], "is of hydra.sweeper.pruner=median"),
    ([SEARCH, LR, "hydra.sweeper.sampler=best"], "hydra.sweeper.sampler"),
    ([SEARCH, LR, "hydra.sweeper.sampler=grid"], "training.lr is an interval"),
    ([SEARCH, "strategy=fedavg,nope"], "strategy/nope"),
    ([SEARCH, "training.lr=interval(-1,1)"], "training.lr is -1.0"),
    ([SEARCH, "training.epochs=range(0,2)"], "training.epochs is 0"),
    ([SEARCH, "strategy=fedavg,ditto"], "by val_loss and by val_personal_accuracy"),
    ([SEARCH, LR, "hydra.sweeper.storage=nope://x"], "storage nope://x cannot be used"),
]


SHARED = [  # a setting, what some job of the sweep makes of it, and what all say of it
    (["preprocessing.numeric_imputation=median,constant", "preprocessing.fill_value=7"], ()),
    (["training.optimizer=sgd,adam", "training.momentum=0.9"], ()),
    ([SEARCH, "training.optimizer=sgd,adam", "training.momentum=0.9"], ()),
    (["preprocessing.outliers=keep,clip", "preprocessing.iqr_factor=2"], ()),
    (["privacy=none,secagg", "privacy.n_min=6"], ()),
    (["rounds=1,10", "stopping.patience=5"], ()),
    (["rounds=1,2", "stopping.patience=5"], ("stopping.patience=5",)),
]


@pytest.mark.parametrize(("words", "idle"), SHARED, ids=[" ".join(w) for w, _ in SHARED])
def test_a_setting_that_one_job_needs_is_no_other_jobs_mistake(here, words, idle):
    overrides = [*words, "hydra.sweep.dir=s", "task.num_clients=6"]
    with plan_sweep(Namespace(overrides=overrides, config_dir=None)) as sweep:
        assert tuple(sentence.split(" has no effect")[0] for sentence in sweep.idle) == idle


@pytest.mark.parametrize(("words", "why"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_sweep_that_cannot_run_is_one_sentence_and_leaves_nothing(sweep, here, words, why):
    code, said, error = sweep(*words)
    assert (code, said) == (2, "")
    assert why in error
    assert error.startswith("calyx: ")
    assert error.count("\n") == 1
    assert list(here.iterdir()) == []


def test_a_folder_that_is_none_or_a_single_runs_is_refused(sweep, here):
    (here / "file").touch()
    RunFolder(here / "run").write_config({"seed": 1})
    for folder, why in (("file", "is a file"), ("run", "a single run and no sweep")):
        code, _, error = sweep("seed=1,2", f"hydra.sweep.dir={folder}")
        assert (code, why in error) == (2, True), error
    assert sorted(p.name for p in here.iterdir()) == ["file", "run"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(sweep, here):
    (here / "closed").mkdir(mode=0o500)
    code, _, error = sweep("seed=1,2", "hydra.sweep.dir=closed/s")
    assert (code, "cannot be written" in error) == (2, True)


def test_a_sweep_that_is_still_going_on_is_refused(sweep, here):
    (here / "s").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        code, _, error = sweep("seed=1,2", "hydra.sweep.dir=s")
        other.stdin.close()
    assert (code, "still going on" in error) == (2, True)
    assert not list((here / "s").glob("0"))


def test_a_locked_storage_is_refused(sweep, here):
    path = here / "study.db"
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("CREATE TABLE t (x)")
    lock.execute("BEGIN EXCLUSIVE")
    code, _, error = sweep(SEARCH, LR, f"hydra.sweeper.storage=sqlite:///{path}")
    lock.close()
    assert (code, "database is locked" in error, error.count("\n")) == (2, True, 1)
    assert [p.name for p in here.iterdir()] == ["study.db"]


def test_what_is_no_storage_or_anothers_study_is_refused(sweep, here):
    import optuna

    (here / "notes.txt").write_text("hello\n")
    optuna.create_study(storage=f"sqlite:///{here}/study.db", study_name="calyx")
    for storage, why in (
        ("notes.txt", "cannot be used"),
        (f"sqlite:///{here}/study.db", "searches something else"),
    ):
        code, _, error = sweep(SEARCH, LR, f"hydra.sweeper.storage={storage}")
        assert (code, why in error, error.count("\n")) == (2, True, 1), error
    assert sorted(p.name for p in here.iterdir()) == ["notes.txt", "study.db"]


def test_slurms_launcher_composes_with_what_the_docs_say(here):
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "seed=1,2"]
    launcher = compose_master([*words, "hydra.launcher.cpus_per_task=4"]).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.partition, launcher.cpus_per_task) == ("gpu", 4)


def test_slurms_launcher_without_slurm_is_refused(sweep, here, monkeypatch):
    monkeypatch.setenv("PATH", str(here))
    code, _, error = sweep("seed=1,2", "hydra/launcher=submitit_slurm")
    assert (code, "no sbatch" in error) == (2, True)


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_extra_is_named(sweep, here, monkeypatch, name):
    from importlib.metadata import PackageNotFoundError

    def nothing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr("calyx.cli.sweep.plan.version", nothing)
    kind = "sweeper" if name == "optuna" else "launcher"
    code, _, error = sweep("seed=1,2", f"hydra/{kind}={name}")
    assert (
        code,
        f"needs the extra {EXTRAS[name][1]}: {advise_extra(EXTRAS[name][1])}" in error,
    ) == (
        2,
        True,
    )


def test_every_extra_is_one_of_the_projects():
    from importlib.metadata import metadata

    extras = set(metadata("calyx").get_all("Provides-Extra"))
    assert {extra for _, extra in EXTRAS.values()} <= extras


def test_a_sweeps_base_leaves_the_swept_group_at_its_default(here):
    master = compose_master(["strategy=fedprox,fedopt", "hydra.sweep.dir=x"])
    assert master.strategy.name == compose([]).strategy.name
    assert master.hydra.sweep.dir == "x"


def test_two_sweeps_of_one_second_have_two_folders_and_leave_none_where_nothing_ran(here):
    options = Namespace(overrides=["seed=1,2", "hydra.sweep.dir='s/${now:%Y}'"], config_dir=None)
    with plan_sweep(options) as one, plan_sweep(options) as two:
        assert str(two.folder) == f"{one.folder}-2"
        assert [job.folder for job in two.jobs] == [two.folder / "0", two.folder / "1"]
    assert list(here.iterdir()) == []
