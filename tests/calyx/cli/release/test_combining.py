"""A release of several models is one model, and says what combining them gained, or why it does not."""

import hashlib
import json
import shutil
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics
from support.csv_files import COLUMNS, write_folder

from calyx.cli import keys, simulate
from calyx.cli.release import command
from calyx.cli.release.combining import NOT_JUDGED, read_all
from calyx.errors import UserError
from calyx.model.released import load_bytes
from calyx.releases.card import read_card
from calyx.releases.card_parts import Identity
from calyx.releases.predictor import MODEL, load_predictor
from client.rows.data import rows_of

pytestmark = pytest.mark.e2e  # it trains one run of one round, and its folds

WORDS = {"client": None, "common": False, "state_dir": None, "note": ""}
WORDS |= {"name_clients": False, "onnx": False, "combine": None, "folds": False}
RANGES = COLUMNS | {"pressure": {"kind": "numeric", "may_be_missing": True, "low": 50, "high": 250}}
NOW = datetime(2026, 1, 31, tzinfo=UTC)
FIRST = Identity(name="ours", version=1, parent=None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of an encrypted run of seven sites, with three folds that vote."""
    here = tmp_path_factory.mktemp("combined")
    rows, folder = write_folder(here / "rows", columns=RANGES), here / "run"
    small = ["rounds=1", "baselines=false", "engine.workers=0", f"hydra.run.dir={folder}"]
    folds = ["cv.k=3", "cv.combine=vote"]
    assert simulate.main(["task=csv", f"task.data_dir={rows}", *small, *folds]) == 0
    return folder


def files_of(*runs, **words):
    return read_all(runs, Namespace(**WORDS | words)).files(FIRST, NOW)


def tested(run):
    """All sites' test rows, as the run's own seed and split say: x [N, C] and y [N]."""
    config = json.loads((run / "summary.json").read_text())
    task = read_all([run], Namespace(**WORDS)).trained.run.task
    sites = [f"site-{i}" for i in range(config["num_clients"])]
    tables = [
        rows_of(task, config["seed"], site, Path(task["data_dir"])).parts["test"] for site in sites
    ]
    return np.concatenate([t.x for t in tables]), np.concatenate([t.y for t in tables])


def test_the_folds_are_released_as_one_model_whose_figures_are_true(run):
    """Oracle: scikit-learn, on the released file's own answers to the sites' raw test rows."""
    files, (x, y) = files_of(run, folds=True), tested(run)
    card = read_card(files["card.json"])
    told = card.ensemble.figures
    predictor = load_predictor(SimpleNamespace(files=files))
    score = metrics.accuracy_score(y, predictor.predict(x).argmax(axis=1))
    alone = [
        metrics.accuracy_score(y, load_bytes(data, Path(MODEL)).predict(x).argmax(axis=1))
        for data in ((run / "folds" / str(i) / MODEL).read_bytes() for i in range(3))
    ]
    assert told.figures["score"] == pytest.approx(score)
    assert told.figures["best_member"] == pytest.approx(max(alone))
    assert told.figures["mean_member"] == pytest.approx(np.mean(alone))
    assert told.figures["gain"] == pytest.approx(score - max(alone))
    assert card.test.figures["test_accuracy"] == pytest.approx(score)
    assert told.rows.rows == len(y)
    assert (card.ensemble.combine, len(card.ensemble.members)) == ("vote", 3)
    assert (card.conformal, card.confusion) == (None, None)


@pytest.fixture(scope="module")
def other(run, tmp_path_factory):
    """The same run with another model: that of its first fold."""
    copy = shutil.copytree(run, tmp_path_factory.mktemp("other") / "run")
    shutil.copy(copy / "folds" / "0" / MODEL, copy / MODEL)
    summary = json.loads((copy / "summary.json").read_text())
    summary["model_sha256"] = summary["cv"]["ensemble"]["models"][0]
    (copy / "summary.json").write_text(json.dumps(summary))
    return copy


def test_runs_are_released_as_one_model_of_which_no_gain_is_known(run, other):
    files, (x, _) = files_of(run, other, combine="mean"), tested(run)
    card = read_card(files["card.json"])
    alone = [load_bytes((one / MODEL).read_bytes(), Path(MODEL)).predict(x) for one in (run, other)]
    predictor = load_predictor(SimpleNamespace(files=files))
    np.testing.assert_allclose(predictor.predict(x), (alone[0] + alone[1]) / 2, atol=1e-6)
    assert card.ensemble.figures.figures["gain"] is None
    assert card.ensemble.figures.absent["gain"] == NOT_JUDGED
    assert card.test.figures == {"test_accuracy": None}
    assert len(card.config["members"]) == 2


@pytest.mark.parametrize(
    ("again", "words", "sentence"),
    [
        (2, {}, "--combine mean"),
        (2, {"combine": "mean"}, "very model"),
        (1, {"combine": "mean"}, "--folds"),
        (2, {"folds": True}, "one run"),
        (1, {"folds": True, "combine": "mean"}, "leave --combine out"),
        (1, {"folds": True, "onnx": True}, "leave client=NAME"),
        (65, {"combine": "mean"}, "2 to 64"),
    ],
)
def test_what_cannot_be_combined_is_refused_with_what_to_change(run, again, words, sentence):
    with pytest.raises(UserError, match=sentence):
        files_of(*[run] * again, **words)


def test_a_fold_that_is_not_the_one_that_was_judged_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.copy(copy / "folds" / "0" / MODEL, copy / "folds" / "1" / MODEL)
    with pytest.raises(UserError, match="not the model that was judged"):
        files_of(copy, folds=True)


def test_the_words_of_the_command_name_note_and_seal_a_release_and_find_its_parent(
    run, tmp_path, capsys
):
    secret = tmp_path / "phrase"
    secret.write_text("a passphrase of some length\n")
    secret.chmod(0o600)
    words = [str(run), "--folds", "--note", "CC BY 4.0", "--name-clients"]
    first, second = tmp_path / "a" / "one", tmp_path / "b" / "two"
    assert command.main([*words, "--name", "ours", "--to", str(first)]) == 0
    assert keys.main(["recipient", "ward", "--folder", str(tmp_path)]) == 0
    sealed = ["--encrypt-passphrase", str(secret), "--encrypt-to", str(tmp_path / "ward.pub")]
    sealed += ["--parent", str(first)]
    assert command.main([*words, "--to", str(second), *sealed]) == 0
    card = read_card((first / "card.json").read_bytes())
    assert (card.release.name, card.note) == ("ours", "CC BY 4.0")
    assert card.config["task"]["clients"][0] == "site-0"
    manifest = json.loads((second / "manifest.json").read_text())
    parent = hashlib.sha256((first / "manifest.json").read_bytes()).hexdigest()
    assert (manifest["version"], manifest["parent"]) == (2, parent)
    assert not (second / MODEL).exists()
    opened = ["open", str(second), "--to", str(tmp_path / "clear"), "--passphrase", str(secret)]
    assert command.main(opened) == 0
    assert (tmp_path / "clear" / MODEL).read_bytes() == (first / MODEL).read_bytes()
    assert "version 2" in capsys.readouterr().out
