"""The benchmark of faults: it counts what is found, and nothing that was there before."""

import pytest

from benchmarks import faults
from calyx.data.faults import Fault

MISSING = Fault(client="a", kind="missing", column="chol")
LABELS = Fault(client="a", kind="labels")


@pytest.mark.parametrize(
    ("fault", "sound", "faulty", "found", "named"),
    [
        (MISSING, {}, {("missing", "chol"): 3}, True, True),
        (MISSING, {("missing", "chol"): 3}, {("missing", "chol"): 3}, False, False),
        (MISSING, {("missing", "chol"): 3}, {("missing", "chol"): 4}, True, True),
        (MISSING, {}, {("range", "chol"): 3}, True, False),
        (MISSING, {}, {("missing", "age"): 3}, False, False),
        (LABELS, {}, {("labels", None): 3}, True, True),
        (LABELS, {}, {("duplicates", None): 3}, False, False),
    ],
)
def test_a_fault_is_found_where_a_warning_of_its_own_is_new(fault, sound, faulty, found, named):
    assert faults.is_found(fault, sound, faulty) is found
    assert faults.is_found(fault, sound, faulty, named=True) is named


def test_the_audit_finds_what_is_graver_or_of_more_rows_and_its_image_stands_for_all_pixels():
    before, graver = {("range", "chol"): 9}, {("range", "chol"): faults.GRAVER + 1}
    assert faults.is_found(MISSING, before, graver)
    assert not faults.is_found(MISSING, graver, before)
    pixel = Fault(client="a", kind="unit", column="p3")
    assert faults.is_found(pixel, {}, {("range", "image"): 1})


def test_only_shares_of_rows_are_scaled():
    cases = faults.cases((1.0, 0.5))
    assert [s for kind, s in cases if kind == "missing"] == [0.2, 0.1]
    assert [s for kind, s in cases if kind in ("unit", "swapped")] == [10.0, None]
