"""`calyx predict`: the run's own preprocessing and model, applied to new rows."""

import csv
import io
import json
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.csv_files import COLUMNS, NUMBER, write_folder, write_schema

from calyx.cli import main, predict, simulate
from calyx.cli.new_rows import NewRows, describe_faults, find_faults, read_new_rows
from calyx.cli.own_models import Answering
from calyx.cli.predictions import as_csv, header_of, probabilities
from calyx.data.schema import Column, Schema, Table, Target
from calyx.errors import UserError
from calyx.model.weights import load_weights, save_weights
from calyx.run.folder import RunFolder
from client.rows.splitting import split

pytestmark = pytest.mark.e2e

SMALL = ["rounds=4", "baselines=false", "engine.workers=0", "privacy=none"]


@pytest.fixture
def rows(tmp_path):
    return write_folder(tmp_path / "rows")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run whose columns lack ranges, so that it is local, and that of its rows."""
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
    assert right == pytest.approx(RunFolder(folder).read_summary().score(), abs=0.12)
    for line in found:
        shares = {name: float(line[f"p({name})"]) for name in ("no", "yes")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert line["predicted"] == max(shares, key=shares.get)


def later(rows, change):
    """The file of site-3 as it is some time after the run."""
    file = rows / "site-3.csv"
    head, *lines = file.read_text().splitlines()
    if change == "grown":
        lines += [line.replace(",no,no", ",yes,yes") for line in lines[:50]]
    file.write_text("\n".join([head, *lines]) + "\n")
    if change == "gone":
        shutil.rmtree(rows)


def cells(line):
    return line.split(",")


@pytest.mark.parametrize("change", ["grown", "gone"])
def test_predictions_are_by_the_constants_of_the_training(made, tmp_path, capsys, change):
    """Oracle: NumPy's median, mean and deviation over the training rows of then, and the layers by hand.

    The run's folder is a copy on another machine.
    """
    folder, rows = made
    own = shutil.copytree(rows, tmp_path / "rows")
    there = shutil.copytree(folder, tmp_path / "elsewhere")
    new = tmp_path / "new.csv"
    new.write_text("smoker,pressure,age\nyes,?,33\nno,131.5,71\n")
    lines = [cells(line) for line in (own / "site-3.csv").read_text().splitlines()[1:]]
    raw = np.array([[float(a), np.nan if p == "?" else float(p)] for _, a, p, *_ in lines])
    train = split(Table(raw, np.zeros(len(raw), dtype=np.int64)), 1, "site-3")["train"].x
    config = yaml.safe_load((there / "config.yaml").read_text())
    config["task"]["data_dir"] = config["client"]["data_dir"] = str(own)
    (there / "config.yaml").write_text(yaml.safe_dump(config))
    later(own, change)
    medians = np.nanmedian(train, axis=0)
    filled = np.where(np.isnan(train), medians, train)
    scaled = (np.array([[33, medians[1]], [71, 131.5]]) - filled.mean(axis=0)) / filled.std(axis=0)
    x = np.column_stack([scaled, [1, 0], [0, 1], [1, 0]])  # whether it is missing; no; yes
    weights = load_weights(there / "model.safetensors")
    hidden = np.maximum(x @ weights["0.weight"].T + weights["0.bias"], 0)
    odds = np.diff(hidden @ weights["2.weight"].T + weights["2.bias"])[:, 0]
    found = predictions(capsys, there, new, "client=site-3")
    said = np.log([float(p["p(yes)"]) / float(p["p(no)"]) for p in found])
    assert said == pytest.approx(odds, abs=1e-4)


def test_what_a_client_fitted_is_needed_and_never_made_up(made, tmp_path, capsys):
    """An older version kept nothing; a stranger's file may say anything."""
    folder, rows = made
    there = shutil.copytree(folder, tmp_path / "run")
    (kept,) = (there / "clients").glob("site-3-*.json")
    arguments = ["predict", str(there), str(rows / "site-0.csv"), "client=site-3"]
    for text, words in (("{}", "is damaged; restore it"), (None, "an older version of Calyx")):
        kept.unlink() if text is None else kept.write_text(text)
        assert main.run(arguments) == 2
        said = capsys.readouterr()
        assert words in said.err
        assert not said.out
    assert main.run([*arguments[:3], "client=site-2"]) == 0


@pytest.mark.parametrize("key", ["outliers", "numeric_imputation"])
def test_what_a_client_fitted_is_of_the_runs_own_preprocessing(made, tmp_path, capsys, key):
    folder, rows = made
    there = shutil.copytree(folder, tmp_path / "run")
    (kept,) = (there / "clients").glob("site-3-*.json")
    found = json.loads(kept.read_text())
    found["preprocessing"][key] = {"outliers": "flag", "numeric_imputation": "none"}[key]
    kept.write_text(json.dumps(found))
    assert main.run(["predict", str(there), str(rows / "site-0.csv"), "client=site-3"]) == 2
    said = capsys.readouterr().err
    assert "cannot be used: it is of another preprocessing than the run's; restore it" in said


def test_a_summary_that_names_no_preprocessing_of_the_default_is_damaged(made, tmp_path, capsys):
    folder, rows = made
    there = shutil.copytree(folder, tmp_path / "run")
    summary = json.loads((there / "summary.json").read_text())
    assert summary["preprocessing"] == "local"
    assert "low and high" in summary["preprocessing_why"]
    for name in ("none", "auto", None):
        (there / "summary.json").write_text(json.dumps(summary | {"preprocessing": name}))
        assert main.run(["predict", str(there), str(rows / "site-0.csv"), "client=site-3"]) == 2
        assert "summary.json does not say which preprocessing" in capsys.readouterr().err


def test_a_damaged_model_is_told(made, tmp_path, capsys):
    folder, rows = made
    there = shutil.copytree(folder, tmp_path / "run")
    (there / "model.safetensors").write_bytes(b"\xff" * 64)
    assert main.run(["predict", str(there), str(rows / "site-0.csv"), "client=site-3"]) == 2
    assert "model.safetensors is damaged; restore it" in capsys.readouterr().err


def test_a_terminal_obeys_no_word_of_a_run_that_came_from_a_stranger(made, capsys, monkeypatch):
    folder, rows = made
    arguments = ["predict", str(folder), str(rows / "site-0.csv"), "client=site-3"]
    monkeypatch.setattr(
        "calyx.cli.predict.header_of", lambda *_: ["\x1b]0;x\x07", "p(no)", "p(yes)"]
    )
    for is_terminal in (True, False):  # a program that reads it has the words as they are
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        assert main.run(arguments) == 0
        first, *others = capsys.readouterr().out.split("\n")
        assert first.startswith("?]0;x?," if is_terminal else "\x1b]0;x\x07,")
        assert others[-1] == ""


def test_on_a_machine_of_its_own_a_site_predicts_by_its_state_folder(made, tmp_path, capsys):
    folder, rows = made
    there = shutil.copytree(folder, tmp_path / "run")
    state = tmp_path / "state"
    state.mkdir()
    (there / "clients").rename(state / "strategy")
    config = yaml.safe_load((there / "config.yaml").read_text())
    config["engine"] = {"name": "superlink", "workers": None, "cohort": False}
    (there / "config.yaml").write_text(yaml.safe_dump(config))
    file = rows / "site-3.csv"
    own = predictions(capsys, there, file, "client=site-3", "--state-dir", state)
    assert own == predictions(capsys, folder, file, "client=site-3")
    with pytest.raises(UserError, match=r"never left it.*--state-dir"):
        predict.main([str(there), str(file), "client=site-3"])
    with pytest.raises(UserError, match="goes with client=NAME"):
        predict.main([str(there), str(file), "--state-dir", str(state)])


def test_ids_go_along_as_they_are_written(made, tmp_path, capsys):
    folder, _ = made
    ids = ["0012", "NA", "", 'a "b", c', "1e3"]
    new = tmp_path / "new.csv"
    with new.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "name", "smoker", "pressure"])
        writer.writerows([40, name, "no", 120] for name in ids)
    found = predictions(capsys, folder, new, "client=site-0", "--ids", "name")
    assert [row["name"] for row in found] == ids
    assert next(iter(found[0])) == "name"
    for column, words in (("nope", "no column nope"), ("p(yes)", "as a column of the predictions")):
        with pytest.raises(UserError, match=re.escape(words)):
            predict.main([str(folder), str(new), "client=site-0", "--ids", column])


@given(
    st.lists(st.tuples(st.text(max_size=6), st.integers(0, 99)), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_there_is_one_answer_a_row_or_a_refusal(rows, end):
    """Oracle: Python's csv module, on the file and on the answers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.csv"
        with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
            writer = csv.writer(file, lineterminator=end)
            writer.writerow(["id", "a"])
            writer.writerows(rows)
        with path.open(newline="", encoding="utf-8") as file:
            wanted = [row for row in csv.reader(file) if row][1:]
        try:
            found = read_new_rows(SimpleNamespace(schema=LINE), path, "id")
        except UserError as error:
            found = str(error)
    if isinstance(found, str):
        assert str(path) in found
        return
    assert found.x[:, 0].tolist() == [float(a) for _, a in wanted]
    answers = as_csv(LINE, header_of(LINE, "id"), found.x, found.ids)
    read = list(csv.reader(io.StringIO(answers, newline="")))[1:]
    assert [name for name, _ in read] == [name.strip() for name, _ in wanted]


LINE = Schema((Column("a", "numeric", low=0, high=9),), (), target=Target("y", 0.0, 1.0))


def test_rows_that_the_schema_does_not_allow_are_said_with_their_lines(tmp_path):
    columns = (
        Column("a", "numeric", low=0, high=9, missing_codes=(99.0,)),
        Column("b", "categorical", (0.0, 1.0), may_be_missing=True),
        Column("c", "numeric", may_be_missing=True),
        Column("d", "ordinal", (0.0, 1.0)),
    )
    x = np.array(
        [
            [5, 0, 1, 0],
            [99, np.nan, np.nan, 1],
            [9.5, -1, 0, 7],
            [10, 1, 0, 0],
            [-1, 0, 0, 0],
            [10] + [0] * 3,
        ]
    )
    rows = NewRows(tmp_path / "new.csv", x, np.array([2, 3, 6, 7, 8, 9]), None)
    assert describe_faults(find_faults(Schema(columns, ("x", "y")), rows), rows) == (
        "5 of 6 rows hold what the schema does not allow, and are predicted all the same: a lies outside "
        "0 … 9 (lines 6, 7, 8 and 1 more); a is missing, and may not be (line 3); b is none of the "
        "categories that are declared (line 6); d is none of the categories that are declared (line 6)."
    )
    assert (
        describe_faults(find_faults(Schema(columns, ("x", "y")), replace(rows, x=x[:1])), rows)
        == ""
    )
    strict = (columns[0], replace(columns[1], unknown="refuse"), *columns[2:])
    with pytest.raises(
        UserError, match=r"b is none .*\(line 6\), and the schema says `unknown: ref"
    ):
        describe_faults(find_faults(Schema(strict, ("x", "y")), rows), rows)


def test_a_file_without_rows_has_no_predictions(made, tmp_path, capsys):
    folder, _ = made
    (tmp_path / "new.csv").write_text("age,pressure,smoker\n")
    assert main.run(["predict", str(folder), str(tmp_path / "new.csv"), "client=site-0"]) == 0
    said = capsys.readouterr()
    assert said.out == "predicted,p(no),p(yes)\n"
    assert "has no rows below its first line" in said.err


def test_a_run_of_an_earlier_version_predicts_the_same(made, tmp_path, capsys):
    """Its config has no `stopping.objective`, and its model's file does not say what it is."""
    folder, rows = made
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    config = yaml.safe_load((older / "config.yaml").read_text())
    del config["stopping"]["objective"]
    (older / "config.yaml").write_text(yaml.safe_dump(config))
    save_weights(older / "model.safetensors", load_weights(older / "model.safetensors"))
    arguments = rows / "site-3.csv", "client=site-3"
    assert predictions(capsys, older, *arguments) == predictions(capsys, folder, *arguments)


def test_a_regression_predicts_in_the_targets_own_unit(tmp_path, rows, capsys):
    write_schema(rows, target=NUMBER)
    folder = trained(tmp_path, rows, "rounds=15")
    assert (folder / "report.html").is_file()  # of the task's own figures
    file = rows / "site-3.csv"
    found = [float(r["cost"]) for r in predictions(capsys, folder, file, "client=site-3")]
    true = [float(r["cost"]) for r in csv.DictReader(file.read_text().splitlines())]
    assert np.corrcoef(found, true)[0, 1] > 0.7
    rmse = np.sqrt(np.mean((np.array(found) - true) ** 2))
    assert rmse == pytest.approx(RunFolder(folder).read_summary().figure("test_rmse"), rel=0.5)


def test_the_words_of_a_command_stand_in_any_order(made, tmp_path, capsys):
    folder, rows = made
    file, out = rows / "site-3.csv", tmp_path / "out.csv"
    words = ["--common", folder, f"--out={out}", file, "--ids", "age", "client=site-3"]
    assert predict.main([str(word) for word in words]) == 0
    capsys.readouterr()
    expected = predictions(capsys, folder, file, "client=site-3", "--ids", "age")
    assert list(csv.DictReader(out.read_text().splitlines())) == expected


def test_layers_that_stayed_at_home_are_those_of_the_client(tmp_path, rows, capsys):
    write_schema(rows, columns={k: v for k, v in COLUMNS.items() if k != "pressure"})
    folder = trained(tmp_path, rows, "strategy=fedbn", "preprocessing=none")
    one = predictions(capsys, folder, rows / "site-0.csv", "client=site-0")
    assert one != predictions(capsys, folder, rows / "site-0.csv", "client=site-1")
    with pytest.raises(UserError, match="give client=NAME"):
        predict.main([str(folder), str(rows / "site-0.csv")])


def opposite(tmp_path):
    """Two sites whose only column means the opposite, and two new rows."""
    folder = tmp_path / "opposite"
    folder.mkdir()
    draw = np.random.default_rng(3)
    for site, sign in enumerate((1, -1)):
        a = draw.normal(size=200)
        sick = np.where(sign * a + 0.3 * draw.normal(size=200) > 0, "yes", "no")
        lines = [f"{x:.4f},{y}" for x, y in zip(a, sick, strict=True)]
        (folder / f"site-{site}.csv").write_text("\n".join(["a,sick", *lines]) + "\n")
    write_schema(folder, columns={"a": {"kind": "numeric", "low": -9, "high": 9}})
    (tmp_path / "new.csv").write_text("a\n2\n-2\n")
    return folder, tmp_path / "new.csv"


@pytest.mark.parametrize("preprocessing", ["federated", "local"])
def test_a_personal_strategy_predicts_with_the_clients_own_model(tmp_path, capsys, preprocessing):
    """Oracle: the softmax, by hand, of the tensors that the client kept."""
    rows, new = opposite(tmp_path)
    chosen = ["strategy=ditto", "strategy.local.lam=0.01", f"preprocessing={preprocessing}"]
    folder = trained(tmp_path, rows, *chosen)
    best = RunFolder(folder).read_summary().best_round
    wins = []
    for name in ("site-0", "site-1"):
        found = predictions(capsys, folder, new, f"client={name}")
        (kept,) = (folder / "clients").glob(f"{name}-*{best:06d}.safetensors")
        own = load_weights(kept)
        # The column has mean 0 and deviation 1, so that preprocessing leaves 2 and -2 nearly alone.
        x = np.array([[2.0], [-2.0]])
        logits = np.maximum(x @ own["0.weight"].T + own["0.bias"], 0) @ own["2.weight"].T
        odds = np.diff(logits + own["2.bias"])[:, 0]
        said = np.log([float(p["p(yes)"]) / float(p["p(no)"]) for p in found])
        assert said == pytest.approx(odds, rel=0.2)
        wins.append([p["predicted"] for p in found])
    assert wins == [["yes", "no"], ["no", "yes"]]
    shared = predictions(capsys, folder, new, "client=site-1", "--common")
    assert shared != predictions(capsys, folder, new, "client=site-1")


def test_a_prediction_says_on_stderr_whose_model_it_is(tmp_path, capsys):
    schema = Schema((Column("a", "numeric"),), (), target=Target("day", 2_450_000, 30))
    rows = NewRows(tmp_path, np.zeros((2, 1)), np.array([2, 5]), None)
    answering = Answering(None, "This is site-0's own model.")
    predict._explain(answering, np.array([[1.0], [np.nan]]), rows, "")
    said = capsys.readouterr()
    assert not said.out
    assert said.err == (
        "This is site-0's own model.\n1 of 2 rows have no prediction, the first is that of line 5: "
        "there the model gives no finite number.\n"
    )
    assert as_csv(schema, ["day"], np.array([[1.0], [np.nan]])) == 'day\n1.00000\n""\n'


def test_values_have_the_digits_of_the_targets_scale():
    schema = Schema((Column("a", "numeric"),), (), target=Target("day", 24_500_000, 30))
    days = [24499964.5, 24499964.9, 24500034.7]
    said = as_csv(schema, ["day"], np.array(days)[:, None]).split()[1:]
    assert said == ["24499964.500", "24499964.900", "24500034.700"]


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ([0.25, 0.75], ["0.250000", "0.750000"]),
        ([0.49999998, 0.50000002], ["0.49999998", "0.50000002"]),
        ([0.5, 0.5], ["0.500000", "0.500000"]),
        ([1 - 3e-9, 3e-9], ["1.000000", "3.00e-09"]),
    ],
)
def test_probabilities_show_the_winner_and_what_is_not_0(row, texts):
    assert probabilities(row) == texts


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


def test_a_run_without_a_model_is_one_sentence(tmp_path, rows):
    folder = tmp_path / "run"
    where = f"hydra.run.dir={folder}"
    audit = ["phases=[audit]", "task=csv", f"task.data_dir={rows}", *SMALL, where]
    assert simulate.main(audit) == 0
    with pytest.raises(UserError, match="holds no model"):
        predict.main([str(folder), str(rows / "site-3.csv")])
