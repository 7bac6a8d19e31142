"""The table of docs/audit.md on whose mean and scale: its rows of data, its cells, one run of it."""

import pytest

from benchmarks import preprocessing
from benchmarks.preprocessing import Compared


def test_a_difference_is_of_the_same_splits():
    found = preprocessing.table([Compared("all", (0.8, 0.7, 0.75), (0.9, 0.7, 0.74))])
    assert found.splitlines()[2] == (
        "| all | 0.750 ± 0.050 | 0.780 ± 0.106 | +0.030 (standard error 0.035) | 2 of 3 |"
    )


@pytest.mark.parametrize(("as_numbers", "rows"), [(False, 661), (True, 740)])
def test_complete_rows_are_those_without_a_hole(heart_dir, tmp_path, as_numbers, rows):
    assert preprocessing.write_complete_rows(heart_dir, tmp_path, as_numbers=as_numbers) == rows
    swiss = (tmp_path / "switzerland.csv").read_text().splitlines()
    # All its cholesterols are zeros that stand for missing.
    assert len(swiss) - 1 == (46 if as_numbers else 0)
