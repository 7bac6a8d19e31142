"""What a site finds in real rows: nothing in sound ones but what is there, and planted faults."""

from pathlib import Path

import numpy as np
import pytest

from calyx.composing.compose import compose, resolve
from calyx.data.faults import Fault, inject
from calyx.data.schema import Column, Schema, Table
from calyx.inspection.finding import LocalFinding
from calyx.inspection.local import local_findings
from calyx.inspection.references import reference_of
from calyx.tasks.digits import Digits
from calyx.tasks.heart import COLUMNS, Heart
from calyx.tasks.registry import load_task


def digits() -> Digits:
    task = load_task(resolve(compose(["task=digits"]))["task"])
    assert isinstance(task, Digits)
    return task


HEART = Heart({"name": "heart", "w_max": 256})


def warned(findings: list[LocalFinding]) -> list[tuple[str, str | None, int]]:
    return [(f.check, f.column, f.count) for f in findings if f.severity == "warning"]


def heart(folder: Path, hospital: str) -> Table:
    return HEART.load(hospital, folder, 1)


@pytest.mark.parametrize(
    ("hospital", "repeats"), [("cleveland", 0), ("hungarian", 1), ("switzerland", 0), ("va", 1)]
)
def test_of_a_hospitals_rows_only_its_real_duplicate_is_told(heart_dir, hospital, repeats):
    found = warned(local_findings(heart(heart_dir, hospital), HEART.schema))
    assert found == [("duplicates", None, 1)] * repeats


@pytest.mark.parametrize("seed", [1, 2])
def test_no_clients_sound_digits_are_told(seed):
    task = digits()
    for client in task.clients:
        assert warned(local_findings(task.load(client, None, seed), task.schema)) == []


def test_the_zeros_of_cholesterol_are_found_where_nobody_declared_them(heart_dir):
    bare = [Column(c.name, c.kind, c.categories, (), c.may_be_missing) for c in COLUMNS]
    found = local_findings(heart(heart_dir, "va"), Schema(tuple(bare), HEART.schema.classes))
    assert ("undeclared-code", "chol", 49) in warned(found)


@pytest.mark.parametrize("hospital", HEART.clients)
def test_a_fifth_of_flipped_labels_is_found_in_every_hospital(heart_dir, hospital):
    sound = heart(heart_dir, hospital)
    found = 0
    for seed in range(5):
        flipped = inject(sound, HEART.schema, Fault(client=hospital, kind="labels"), seed)
        checks = {check for check, _, _ in warned(local_findings(flipped, HEART.schema))}
        found += "labels" in checks
    assert found >= 4


@pytest.mark.parametrize("column", ["age", "trestbps", "chol", "thalach"])
def test_another_unit_is_found_and_its_factor_named(heart_dir, column):
    fault = Fault(client="cleveland", kind="unit", column=column)
    faulty = inject(heart(heart_dir, "cleveland"), HEART.schema, fault, 1)
    (finding,) = [f for f in local_findings(faulty, HEART.schema) if f.check == "unit"]
    assert (finding.severity, finding.column) == ("warning", column)
    assert "multiplied by 10" in finding.message


@pytest.mark.parametrize("column", ["age", "chol", "thalach", "oldpeak"])
def test_outliers_are_found(heart_dir, column):
    fault = Fault(client="cleveland", kind="outliers", column=column)
    faulty = inject(heart(heart_dir, "cleveland"), HEART.schema, fault, 1)
    assert ("outliers", column, 3) in warned(local_findings(faulty, HEART.schema))


def test_the_last_version_tells_more_and_the_same_thing_once(heart_dir):
    sound = heart(heart_dir, "cleveland")
    before = reference_of(sound, HEART.schema)
    ten = Fault(client="cleveland", kind="unit", column="age")
    faulty = inject(sound, HEART.schema, ten, 1)
    found = warned(local_findings(faulty, HEART.schema, before))
    assert [check for check, column, _ in found if column == "age"] == ["unit"]
    holed = Fault(client="cleveland", kind="missing", column="chol")
    faulty = inject(sound, HEART.schema, holed, 1)
    assert warned(local_findings(faulty, HEART.schema)) == []
    assert ("missing-more", "chol", 61) in warned(
        local_findings(faulty, HEART.schema, previous=before)
    )
    assert warned(local_findings(sound, HEART.schema, before)) == []


def test_the_same_rows_give_the_same_findings():
    task = digits()
    rows = task.load(task.clients[0], None, 1)
    assert local_findings(rows, task.schema) == local_findings(rows, task.schema)


def test_no_rows_give_no_findings():
    assert local_findings(Table(np.empty((0, 13)), np.empty(0, np.int64)), HEART.schema) == []
