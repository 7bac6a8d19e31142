"""What a client is told of its own holes: how many, and what they are coded as."""

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import fit
from client.rows.checks import check_table, with_stand_ins

NAN = np.nan
GRADES = {"categories": (0.0, 1.0), "words": ("severe", "mild")}


def config(**changes):
    values = {
        "name": "local",
        "numeric_imputation": "median",
        "categorical_imputation": "mode",
        "fill_value": 0.0,
        "scaling": "standard",
        "outliers": "clip",
        "iqr_factor": 3.0,
    }
    return PreprocessingConfig(**(values | changes))


def findings(column, train, rest=(), **changes):
    """Of a table with one column, whose first rows are its training part."""
    schema = Schema((column,), ("no", "yes"))
    x = np.array([*train, *rest], dtype=np.float64)[:, None]
    whole = Table(x, np.arange(len(x)) % 2)
    at = np.arange(len(x))
    parts = {"train": whole.take(at[: len(train)]), "test": whole.take(at[len(train) :])}
    fitted = fit(parts["train"], schema, config(**changes))
    found = with_stand_ins(check_table(whole, schema), fitted, parts)
    return {f.check: (f.severity, f.column, f.count, f.message) for f in found}


@pytest.mark.parametrize(
    ("column", "train", "how", "coded"),
    [
        (Column("grade", "categorical", **GRADES), [NAN] * 4, {}, "no category (zeros)"),
        (Column("grade", "ordinal", **GRADES), [NAN] * 4, {}, "the middle of its ranks"),
        (
            Column("grade", "categorical", **GRADES),
            [1, 1, 0, NAN],
            {},
            "mild, the most frequent one",
        ),
        (
            Column("grade", "categorical", **GRADES),
            [1, 1, 0, NAN],
            {"categorical_imputation": "constant"},
            "no category (zeros)",
        ),
        (Column("age", "numeric"), [1, 2, 9, NAN], {}, "the median of the training rows"),
        (
            Column("age", "numeric", low=0, high=9),
            [NAN] * 4,
            {},
            "the middle of the declared range",
        ),
        (
            Column("age", "numeric"),
            [NAN] * 4,
            {},
            "the same number in all rows, which says nothing",
        ),
        (
            Column("age", "numeric"),
            [1, 2, 9, NAN],
            {"numeric_imputation": "constant", "fill_value": 4.0},
            "preprocessing.fill_value",
        ),
    ],
)
def test_a_finding_about_holes_says_what_they_are_coded_as(column, train, how, coded):
    holes = int(np.isnan(train).sum())
    severity, name, count, message = findings(column, train, **how)["missing"]
    assert (severity, name, count) == ("warning", column.name, holes)
    assert message == (
        f"The column {column.name} is missing in {holes} of 4 rows, though the schema says that it is "
        f"complete; they are coded as {coded}."
    )


def test_values_that_the_model_is_not_told_are_a_warning_with_a_way_out():
    found = findings(Column("dose", "numeric"), [NAN, NAN, NAN], [120, NAN, 80])
    severity, name, count, message = found["unread-values"]
    assert (severity, name, count) == ("warning", "dose", 2)
    assert "low and high" in message
    declared = Column("dose", "numeric", low=0, high=200)
    assert "unread-values" not in findings(declared, [NAN, NAN, NAN], [120, NAN, 80])
    assert "unread-values" not in findings(Column("dose", "numeric"), [5, 5], [5, NAN])
