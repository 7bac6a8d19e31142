"""What is written and nothing would obey is refused at load, in one sentence, with exit code 2."""

import pytest
from support.csv_files import write_folder

from calyx.cli import main, resume
from calyx.errors import UserError

SMALL = ["simulate", "task.num_clients=6"]
TWO = ["simulate", "-m", "task.num_clients=6", "seed=1,2"]
AUDIT = ["audit", "task.num_clients=6"]
SUBMIT = ["submit", "privacy=none"]
OPEN = [*SMALL, "privacy=none"]
REFUSED = [
    # One setting undoes another.
    ([*SMALL, "preprocessing.fill_value=1"], "numeric_imputation=constant fills"),
    (
        [*SMALL, "preprocessing.fill_value=1", "preprocessing.categorical_imputation=constant"],
        "a missing category never becomes a number",
    ),
    ([*SMALL, "training.optimizer=adam", "training.momentum=0.9"], "is of training.optimizer=sgd"),
    ([*TWO, "preprocessing.iqr_factor=2"], "outliers=keep has no bounds"),
    (
        [*TWO, "training.optimizer=adam,adamw", "training.momentum=0.9"],
        "is of training.optimizer=sgd",
    ),
    (["simulate", "experiment=quick", "task=heart"], "experiment=quick sets it; ~task.num_clients"),
    (["simulate", "+experiment=quick"], "write experiment=quick, without a plus sign"),
    ([*SMALL, "preprocessing.iqr_factor=2"], "outliers=keep has no bounds"),  # digits: keep
    (
        [
            *SMALL,
            "training.early_stopping.patience=null",
            "training.early_stopping.min_delta=1",
        ],
        "no epoch is waited for",
    ),
    ([*SMALL, "privacy.n_min=9", "privacy.n_max=8"], "no sum can hold privacy.n_min=9"),
    ([*SMALL, "phases=[audit]", "min_replies=9"], "min_replies=9 is more than the 6"),
    ([*SMALL, "client.policy.privacy=none"], "refuses every order of privacy=secagg"),
    ([*SMALL, "client.policy.n_min=6"], "refuses every sum of privacy.n_min=5"),
    (
        [*SMALL, "client.policy.bounds={training.lr: {max: 0.1}, training.*: any, seed: [2]}"],
        "training.lr is 0.5, outside the bound of {max: 0.1}; seed is 1, outside the bound of [2]; there "
        "is no bound for task.faults, task.name",
    ),
    ([*SMALL, "client.policy.h_min=4"], "refuses every sum of privacy.h_min=3"),
    ([*OPEN, "cv.k=clients", "client.policy.leave_one_out=false"], "refuses cv.k=clients"),
    ([*SMALL, "client.policy.questions=[train,evaluate,statistics]"], "does not list test"),
    ([*SMALL, "preprocessing.name=fedrated"], "write preprocessing=fedrated"),
    ([*SMALL, "+preprocessing.fitted=[]"], "is what a run fits itself"),
    (
        [
            "simulate",
            "task=csv",
            "task.schema={target: {name: y, classes: [n, 'y']}, columns: {a: {kind: numeric}}}",
            "task.clients=[]",
        ],
        "has no clients",
    ),
    # A setting of another place.
    ([*SMALL, "engine=superlink"], "is what `calyx submit` runs on"),
    ([*SMALL, "engine.name=embeded"], "write engine=embeded"),
    ([*SMALL, "hardware.name=gpu"], "write hardware=gpu"),
    ([*SMALL, "client.name=north"], "a name without its settings"),
    ([*SMALL, "client.identity=a.key"], "identity and roster go together"),
    ([*SMALL, "client.state_dir=state"], "client.state_dir is of a site's own file"),
    ([*SMALL, "hydra.sweep.dir=x"], "add -m"),
    ([*SMALL, "hydra/launcher=joblib"], "add -m"),
    ([*SMALL, "hydra/sweeper=optuna"], "add -m"),
    ([*TWO, "hydra.run.dir=x"], "a sweep lies in hydra.sweep.dir"),
    ([*TWO, "engine.name=superlink"], "write engine=superlink"),
    ([*TWO, "engine=embedded,superlink"], "is what `calyx submit` runs on"),
    ([*AUDIT, "phases=[train]"], "an audit has no other phase"),
    ([*AUDIT, "baselines=true"], "an audit trains nothing"),
    ([*AUDIT, "hydra/launcher=joblib"], "no more of Hydra's own"),
    ([*SUBMIT, "engine=ray"], "the server runs on engine=superlink"),
    ([*SUBMIT, "engine.workers=4"], "the server runs on engine=superlink"),
    ([*SUBMIT, "hardware=cpu"], "each site's own file says it"),
    ([*SUBMIT, "client.policy.n_min=9"], "each site's own file says it"),
    ([*SUBMIT, "baselines=true"], "in simulation"),
    ([*SUBMIT, "audit.thorough=true"], "a site always looks"),
    ([*SUBMIT, "hydra.job.num=3"], "no more of Hydra's own"),
    # An option that goes with another one.
    ([*SMALL, "--config-name=x"], "has one config"),
    ([*SMALL, "--config-path=x"], "has one config"),
    ([*SMALL, "--package=x"], "--package goes with --cfg"),
    ([*SMALL, "--resolve"], "--resolve goes with --cfg"),
    ([*SMALL, "--run", "-m", "seed=1,2"], "give one of them"),
]


@pytest.mark.e2e
@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_a_config_that_contradicts_itself_is_one_sentence(
    tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    assert main.run(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_a_question_that_cannot_be_loaded_is_said_before_the_start(tmp_path, monkeypatch, capsys):
    """Not after the audit, when the first client is asked it."""

    def both(kind):
        raise UserError(f"calyx and another both bring a question {kind!r}; uninstall one of them.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("calyx.simulation.planning.question_of", both)
    assert main.run(SMALL) == 2
    assert "both bring a question 'statistics'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_holes_that_no_preprocessing_fills_are_refused_before_the_start(
    tmp_path, monkeypatch, capsys
):
    """Not in round 1, after the audit, with codes in place of the column."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "rows", clients=3, rows=12)
    csv = ["task=csv", "task.data_dir=rows", "privacy=none", "preprocessing=none"]
    assert main.run(["simulate", *csv, "hydra.run.dir=run"]) == 2
    said = capsys.readouterr().err
    assert "site-0: the column pressure has missing values, and preprocessing" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("word", ["engine.workers=2", "task.data_dir=rows", "baselines=true"])
def test_a_resumed_run_of_sites_takes_nothing_that_is_a_simulations(word):
    with pytest.raises(UserError, match="this run's clients are sites"):
        resume._refuse_on_sites(["rounds=9", word])


def test_the_operators_paths_are_those_that_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.run(["runs", "--authority", "elsewhere.crt"]) == 2
    assert "There is no elsewhere.crt" in capsys.readouterr().err
    assert main.run(["doctor", "server", "--nodes", "elsewhere"]) == 1
    assert "There is no folder elsewhere" in capsys.readouterr().out
