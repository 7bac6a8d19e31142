"""Rows of a run's files: what stands in a file is read, and written back as it stood there."""

import json

import pytest
from support.run_folders import HEAD, ROW

from calyx.files.plain import strict_json
from calyx.run.json_rows import as_json, parse_row
from calyx.run.rows import ClientRow, Event, RoundRow
from calyx.run.summary import CrossValidation, Summary

WHO = (
    '{"over": "rows", "clients": 2, "asked": 2, "who": "d", "rows": 9, "labels": [4, 5], '
    '"target_mean": null, "target_sd": null, "untrained": 0}'
)
ROUND = (
    '{"round": 1, "train_loss": 0.5, "val_loss": null, "val_personal_r2": -2.0, "capped_clients": 0, '
    '"cohort": ["a", "b"], "replies": 1, "dropped": ["b"], "bytes_up": 3, "bytes_down": 4, '
    '"seconds": 0.25, "absent": {"val_loss": "no rows"}, '
    f'"validated_on": {WHO}, "personal_validated_on": {WHO}, "best_round": null}}'
)
EVENT = (
    '{"time": "now", "event": "audit", "severity": "info", "round": null, "client": null, '
    '"check": "drift", "column": null, "psi": 0.5, "message": "One."}'
)
DATA = (
    '{"kind": "data", "round": 0, "client": "a", "rows": {"train": 3, "validation": 1, "test": 0}, '
    '"label_counts": [4, 0], "seconds": 0.0}'
)
SCORED = (
    '{"kind": "cv", "round": 3, "client": "a", "fold": 0, "test_loss": 0.5, "test_accuracy": null, '
    '"absent": {"test_accuracy": "no rows"}, "num_examples": 0, "new": [1], "seconds": 0.5}'
)
FOLDS = (
    '{"k": 3, "metric": "r2", "mean": 0.5, "sd": null, "folds": [0.5, null, null], "scored": 1, '
    '"unscored": 2, "absent": {"sd": "fewer than two"}, "capped_clients": 0}'
)


@pytest.mark.parametrize(
    ("cls", "line"),
    [
        (RoundRow, ROUND),
        (Event, EVENT),
        (ClientRow, DATA),
        (ClientRow, SCORED),
        (CrossValidation, FOLDS),
    ],
)
def test_a_row_is_written_back_as_it_stood_in_its_file(cls, line):
    assert strict_json(as_json(parse_row(cls, json.loads(line)))) == line


def test_a_null_figure_has_a_key_where_it_has_a_reason_and_what_a_run_lacks_has_none():
    tested = parse_row(Summary, HEAD | {"test_confusion": None, "absent": {"test_confusion": "x"}})
    assert as_json(tested)["test_confusion"] is None
    none = as_json(parse_row(Summary, HEAD))
    assert not {"test_confusion", "absentees", "preprocessing_why"} & none.keys()
    assert none["baselines"] is none["cv"] is None


def test_a_key_that_is_called_as_a_field_of_figures_is_unknown_and_passes():
    row = parse_row(RoundRow, ROW | {"round": 1, "figures": {"val_loss": 9.0}, "val_loss": 0.5})
    assert row.figures == {"val_loss": 0.5}
    assert parse_row(Event, json.loads(EVENT) | {"details": 1}).details["details"] == 1


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"val_accuracy": 1.5}, "val_accuracy is above 1"),
        ({"val_loss": "x"}, "val_loss: input should be a valid number"),
        ({"val_loss": 1e301}, "val_loss: input should be less than or equal to 1"),
        ({"cohort": "ab"}, "cohort: input should be a valid array"),
    ],
)
def test_what_no_run_writes_is_one_clause_that_begins_with_its_key(figures, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        parse_row(RoundRow, ROW | {"round": 1} | figures)
