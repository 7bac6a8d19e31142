"""`calyx predict`: the run's own preprocessing and model, applied to new rows."""

import csv
import io

import numpy as np
import pytest
from support.csv_files import NUMBER, write_folder

from calyx.errors import UserError
from cli import main, predict, simulate
from server.folder import RunFolder

pytestmark = pytest.mark.e2e

SMALL = ["rounds=4", "baselines=false", "engine.workers=0", "privacy=none"]


@pytest.fixture
def rows(tmp_path):
    return write_folder(tmp_path / "rows")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run on local preprocessing, and that of its rows; to be looked at."""
    here = tmp_path_factory.mktemp("made")
    rows = write_folder(here / "rows")
    return trained(here, rows, "rounds=15"), rows


def trained(tmp_path, rows, *overrides):
    folder = tmp_path / "run"
    where = f"hydra.run.dir={folder}"
    assert simulate.main(["task=csv", f"task.data_dir={rows}", *SMALL, where, *overrides]) == 0
    return folder


def predictions(capsys, *arguments):
    capsys.readouterr()
    assert predict.main([str(a) for a in arguments]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_clients_rows_are_predicted_as_the_run_judged_them(made, capsys):
    """With a client's own fit, the share of right answers is about what the run says."""
    folder, rows = made
    file = rows / "site-3.csv"
    found = predictions(capsys, folder, file, "client=site-3")
    true = [line["sick"] for line in csv.DictReader(file.read_text().splitlines())]
    right = np.mean([p["predicted"] == t for p, t in zip(found, true, strict=True)])
    assert right == pytest.approx(RunFolder(folder).read_summary()["test_accuracy"], abs=0.12)
    for line in found:
        shares = {name: float(line[f"p({name})"]) for name in ("no", "yes")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert line["predicted"] == max(shares, key=shares.get)


def test_a_regression_predicts_in_the_targets_own_unit(tmp_path, rows, capsys):
    from support.csv_files import write_schema

    write_schema(rows, target=NUMBER)
    folder = trained(tmp_path, rows, "rounds=15")
    assert (folder / "report.html").is_file()  # of the task's own figures
    file = rows / "site-3.csv"
    found = [float(r["cost"]) for r in predictions(capsys, folder, file, "client=site-3")]
    true = [float(r["cost"]) for r in csv.DictReader(file.read_text().splitlines())]
    assert np.corrcoef(found, true)[0, 1] > 0.7
    rmse = np.sqrt(np.mean((np.array(found) - true) ** 2))
    assert rmse == pytest.approx(RunFolder(folder).read_summary()["test_rmse"], rel=0.5)


def test_without_local_preprocessing_no_client_is_needed(tmp_path, rows, capsys):
    from support.csv_files import COLUMNS, write_schema

    write_schema(rows, columns={k: v for k, v in COLUMNS.items() if k != "pressure"})
    folder = trained(tmp_path, rows, "preprocessing=none")
    assert len(predictions(capsys, folder, rows / "site-0.csv")) == 60


def test_layers_that_stayed_at_home_are_those_of_the_client(tmp_path, rows, capsys):
    folder = trained(tmp_path, rows, "strategy=fedbn")
    one = predictions(capsys, folder, rows / "site-0.csv", "client=site-0")
    (folder / "clients").rename(folder / "gone")
    other = predictions(capsys, folder, rows / "site-0.csv", "client=site-0")
    assert one != other


def test_a_file_is_written_whole(tmp_path, made):
    folder, rows = made
    out = tmp_path / "out.csv"
    arguments = [str(folder), str(rows / "site-0.csv"), "client=site-0", "--out", str(out)]
    assert predict.main(arguments) == 0
    assert len(out.read_text().splitlines()) == 61


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give client=NAME"),
        (["client=nobody"], "has no client nobody; it has site-0"),
        (["who=site-0"], "write client=NAME"),
    ],
)
def test_whose_fit_it_is_must_be_said(made, arguments, words):
    folder, rows = made
    with pytest.raises(UserError, match=words):
        predict.main([str(folder), str(rows / "site-0.csv"), *arguments])


def test_a_folder_that_is_no_run_and_a_file_that_is_none_are_refused(tmp_path, made, capsys):
    folder, rows = made
    assert main.run(["predict", str(tmp_path), str(rows / "site-0.csv")]) == 2
    assert main.run(["predict", str(folder), str(tmp_path / "no.csv"), "client=site-0"]) == 2
    said = capsys.readouterr().err
    assert "no.csv cannot be read: No such file or directory." in said


def test_a_run_without_a_model_and_a_place_that_is_none_are_one_sentence(tmp_path, rows):
    folder = tmp_path / "run"
    where = f"hydra.run.dir={folder}"
    audit = ["phases=[audit]", "task=csv", f"task.data_dir={rows}", *SMALL, where]
    assert simulate.main(audit) == 0
    with pytest.raises(UserError, match="holds no model"):
        predict.main([str(folder), str(rows / "site-3.csv")])
    with pytest.raises(UserError, match="lies in no folder"):
        predict.main(
            [str(folder), str(rows / "site-3.csv"), "--out", str(tmp_path / "no" / "x.csv")]
        )
