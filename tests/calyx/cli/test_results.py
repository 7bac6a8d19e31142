"""The table at a run's end: figures of one heading are of the same rows."""

import pytest

from calyx.cli.results import print_results
from calyx.run.json_rows import parse_row
from calyx.run.summary import Summary

BASELINES = {
    "local_worst": 0.5,
    "local_mean": 0.503,
    "federated": None,
    "pooled": 0.521,
    "local_own": 0.8702,
    "pooled_own": 0.521,
    "own_clients": 8,
}
SUMMARY = {
    "task": "digits",
    "seed": 1,
    "metric": "accuracy",
    "test_accuracy": 0.8698,
    "baselines": BASELINES,
    "rounds": 3,
    "stopped_because": "all rounds are done",
    "best_round": 3,
    "monitor": "val_loss",
    "model_sha256": "0" * 64,
}


@pytest.fixture
def shown(tmp_path, capsys, monkeypatch):
    """What is printed of a summary, without the bars, by heading: model → its figure or the reason."""

    def printed(**changes):
        monkeypatch.setenv("COLUMNS", "140")
        print_results(parse_row(Summary, SUMMARY | changes), tmp_path, None)
        found, heading = {}, ""
        for line in capsys.readouterr().out.split("stopped after")[0].splitlines():
            words = line.replace("━", "").replace("╸", "").strip()
            if "test rows" in words:
                heading = words
            elif words and not set(words) <= {"─", " "} and not words.startswith("model"):
                name, _, value = words.partition("   ")
                found.setdefault(heading, {})[name] = value.strip()
        return found

    return printed


def test_own_layers_stand_beside_local_models_on_the_same_rows(shown):
    found = shown(models="own")
    assert list(found) == [
        "accuracy on everybody's test rows",
        "accuracy, each on its own test rows",
    ]
    everybody, own = found.values()
    assert "federated" not in everybody  # there is no common model
    assert own == {
        "local alone": "0.8702",
        "federated, own layers": "0.8698",
        "pooled (all rows in one place)": "0.5210",
    }


def test_personal_models_stand_beside_local_models_on_the_same_rows(shown):
    on = {"over": "rows", "clients": 10, "asked": 20, "who": "x", "rows": 9, "untrained": 10}
    found = shown(models="both", personal_accuracy=0.9, personal_tested_on=on)
    everybody, own = found.values()
    assert everybody["federated"] == "0.8698"
    assert own["personal"] == "0.9000"
    assert list(found)[1] == ("accuracy, each on its own test rows: 10 of 20 clients")


def test_one_model_has_one_heading(shown):
    assert list(shown()) == ["accuracy on everybody's test rows"]
    assert list(shown(baselines=None).values()) == [{"federated": "0.870"}]


def test_an_accuracy_stands_beside_that_of_knowing_nothing(shown):
    everybody = shown(test_majority=0.52)["accuracy on everybody's test rows"]
    assert next(iter(everybody.items())) == ("always the commonest class", "0.520")
    _, own = shown(models="own", test_majority=0.52).values()
    assert own["always the commonest class"] == "0.5200"


def printed_at(columns, changes, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_results(parse_row(Summary, SUMMARY | changes), tmp_path, None)
    return capsys.readouterr().out


WHY = "1 of 9 rows has an output that is not finite"


@pytest.mark.parametrize("columns", [160, 80, 60, 40, 20])
def test_names_figures_and_reasons_are_whole_at_every_width(columns, tmp_path, capsys, monkeypatch):
    changes = {"test_accuracy": None, "absent": {"test_accuracy": WHY}}
    text = printed_at(columns, changes, tmp_path, capsys, monkeypatch)
    words = " ".join(text.split())
    for whole in (
        "local alone, worst client",
        "pooled (all rows in one place)",
        "0.521",
        "accuracy",
    ):
        assert whole in words
    assert f"federated —: {WHY}" in words
    assert "…" not in text.split("sha256")[0]


def test_the_mean_of_the_folds_says_what_it_is_of(tmp_path, capsys, monkeypatch):
    cv = {"k": 3, "metric": "r2", "mean": 0.933, "sd": 0.039, "folds": [0.9, 0.9, 0.999]}
    text = printed_at(140, {"models": "both", "cv": cv}, tmp_path, capsys, monkeypatch)
    assert "cross-validation, 3 folds: R² of the common models 0.933 ± 0.039" in text
    none = cv | {"mean": None, "sd": None, "absent": {"mean": "no fold has a score"}}
    text = printed_at(140, {"cv": none}, tmp_path, capsys, monkeypatch)
    assert "cross-validation, 3 folds: R² —: no fold has a score" in text


def test_an_absent_figure_is_a_dash_with_its_reason(tmp_path, capsys, monkeypatch):
    changes = {"test_accuracy": None, "baselines": None, "absent": {"test_accuracy": WHY}}
    lines = printed_at(140, changes, tmp_path, capsys, monkeypatch).splitlines()
    assert ["federated", "—"] in [line.split() for line in lines]
    assert f"federated —: {WHY}" in lines


def test_brackets_and_colons_of_paths_and_clients_are_no_markup(tmp_path, capsys, monkeypatch):
    """To rich, `[mg]` is a style and `:a:` a picture."""
    monkeypatch.setenv("COLUMNS", "200")
    gone = [{"client": "[/x] ward:a:", "since_round": 2, "why": "\x1b[2J"}]
    summary = parse_row(Summary, SUMMARY | {"left_out_changed": gone})
    print_results(summary, tmp_path / "dose [mg]", tmp_path / "[/b].html")
    said = capsys.readouterr().out
    assert "without [/x] ward:a:, whose rows changed" in said
    assert f"{tmp_path}/dose [mg]/model.safetensors" in said
    assert f"report  {tmp_path}/[/b].html" in said


def test_a_preprocessing_that_fell_back_is_said_once_with_its_cure(tmp_path, capsys):
    why = "The schema gives no range of the numeric column age: declare one."
    line = f"inputs  each client's are scaled by its own rows alone. {why}"
    for said in ((), (line,)):
        summary = parse_row(Summary, SUMMARY | {"preprocessing_why": why})
        print_results(summary, tmp_path, None, said)
        assert " ".join(capsys.readouterr().out.split()).count(" ".join(line.split())) == 1
    print_results(parse_row(Summary, SUMMARY), tmp_path, None)
    assert "inputs" not in capsys.readouterr().out
