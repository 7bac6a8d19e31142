"""What a client sees in its own split: copies that are nearly equal, columns that repeat, few groups."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from calyx.data.schema import Column, Repeating, Schema, Table, Target
from calyx.inspection.repeating_column import alike_neighbours
from calyx.seeding import rng
from client.rows.part_checks import check_split
from client.rows.splitting import split


def schema_of(width, kind="numeric"):
    return Schema(tuple(Column(f"c{i}", kind) for i in range(width)), ("a", "b"))


def table(x, **beside):
    return Table(np.asarray(x, dtype=np.float64), np.zeros(len(x), np.int64), **beside)


def told(rows, kind="numeric", seed=1):
    """Check and count of each finding."""
    found = check_split(rows, split(rows, seed, "north"), schema_of(rows.x.shape[1], kind))
    return [(finding.check, finding.count) for finding in found]


def shuffled(x):
    """In no order: a file in the order of time, or of persons, is told on its own."""
    return x[rng(1, "shuffled").permutation(len(x))]


def patients(people, visits, width=6, noise=0.1):
    own = np.repeat(rng(1, "patients").normal(0, 1.5, (people, width)), visits, axis=0)
    return (own + rng(1, "visits").normal(0, noise, own.shape)).round(2)


def twice(change, rows=150, width=6):
    x = rng(1, "twice").normal(size=(rows, width))
    return np.concatenate([x, change(x)])


NEARLY = {
    "visits": patients(30, 4),
    "noise": twice(lambda x: x + rng(1, "noise").normal(0, 0.05, x.shape)),
    "rounded": twice(lambda x: x.round(1)),
    "another unit of two digits": twice(lambda x: (x / 2.54).round(2) * 2.54, width=4),
}


@pytest.mark.parametrize("name", NEARLY)
def test_rows_that_are_nearly_those_trained_on_are_told(name):
    ((check, count),) = told(table(shuffled(NEARLY[name])))
    assert check == "near-copies"
    assert count > 0.4 * 0.4 * len(
        NEARLY[name]
    )  # 0.4 are judged; 0.6 of their copies are trained on


def test_near_copies_in_one_part_are_none():
    rows = table(NEARLY["visits"], blocks=np.arange(120) // 4)
    assert told(rows) == []


def test_a_near_copy_has_the_same_categories():
    x = np.column_stack(
        [NEARLY["noise"], np.arange(300) // 150]
    )  # the second half is of another kind
    assert told(table(x)) == []


def ordinary(make):
    return [make(rng(seed, "ordinary")) for seed in range(4)]


ORDINARY = {
    "normal": ordinary(lambda d: d.normal(size=(300, 6))),
    "narrow": ordinary(lambda d: d.normal(size=(1000, 2))),
    "one": ordinary(lambda d: d.normal(size=(500, 1))),
    "heavy tails": ordinary(lambda d: d.standard_cauchy((300, 5))),
    "skewed": ordinary(lambda d: np.exp(1.5 * d.normal(size=(300, 5)))),
    "whole numbers": ordinary(lambda d: d.poisson(30, (300, 4))),
    "tenths": ordinary(lambda d: d.normal(size=(400, 3)).round(1)),
    "many zeros": ordinary(lambda d: d.normal(size=(1000, 3)) * (d.random((1000, 3)) < 0.5)),
    "categories": ordinary(
        lambda d: np.column_stack([d.integers(0, 3, (300, 4)), d.normal(size=300)])
    ),
    "correlated": ordinary(lambda d: d.normal(size=(300, 1)) + 0.1 * d.normal(size=(300, 6))),
    "clusters": ordinary(lambda d: 3 * d.integers(0, 4, (300, 1)) + 0.2 * d.normal(size=(300, 5))),
    "scales": ordinary(lambda d: d.normal(size=(300, 6)) * np.exp(2 * d.normal(size=(300, 1)))),
    "walk": ordinary(lambda d: shuffled(np.cumsum(d.normal(size=(300, 4)), axis=0))),
    "iris": [shuffled(load_iris().data)],
    "wine": [load_wine().data],
    "cancer": [load_breast_cancer().data],
    "diabetes": [load_diabetes().data],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_rows_are_not_told(name):
    assert [told(table(x), seed=seed) for x in ORDINARY[name] for seed in (1, 2, 3)] == [
        [] for _ in ORDINARY[name] for _ in range(3)
    ]


def test_images_are_told_only_where_they_are_nearly_equal():
    x = load_digits().data[:300] / 16
    assert told(table(x), "image") == []
    noisy = x[:150] + rng(1, "pixels").normal(0, 0.02, (150, 64))
    ((check, count),) = told(table(np.concatenate([x[:150], noisy])), "image")
    assert check == "near-copies"
    assert count > 0.4 * 0.4 * 300


def test_few_rows_or_a_missing_column_tell_nothing():
    assert told(table(patients(3, 10))) == []
    x = NEARLY["noise"].copy()
    x[::2] = np.nan
    assert told(table(x)) == []


def repeating(words, name="patient"):
    numbers = np.unique(words, return_inverse=True)[1]
    return (Repeating(name, numbers.astype(np.int64)),)


def test_a_column_that_says_which_rows_are_alike_is_told_by_its_name():
    rows = table(patients(12, 3), repeating=repeating(np.repeat(np.arange(12), 3)))
    (finding,) = check_split(rows, split(rows, 1, "north"), schema_of(6))
    assert (finding.check, finding.column, finding.count) == ("repeating-column", "patient", 36)
    assert finding.message.startswith("patient repeats, 3 rows a word")
    assert "say `group: patient` in the schema" in finding.message


DRAW = rng(1, "words")


@pytest.mark.parametrize(
    "words",
    [
        np.arange(120),  # an id
        np.zeros(120),  # a constant
        np.arange(120) // 2 * 2 % 3,  # three wards
        DRAW.integers(0, 30, 120),  # a doctor
        np.arange(120) // 6,  # a day
        np.where(np.arange(120) < 100, np.arange(120), 0),  # mostly unique
    ],
)
def test_a_column_whose_words_say_nothing_of_the_rows_is_not_told(words):
    rows = table(rng(1, "free").normal(size=(120, 5)), repeating=repeating(words))
    assert told(rows) == []


@pytest.mark.parametrize("beside", ["blocks", "parts", "times"])
def test_a_column_that_repeats_is_not_told_where_the_split_is_said(beside):
    values = {"blocks": np.arange(36), "parts": np.zeros(36, np.int8), "times": np.arange(36.0)}
    rows = table(patients(12, 3), repeating=repeating(np.repeat(np.arange(12), 3)))
    rows = Table(rows.x, rows.y, repeating=rows.repeating, **{beside: values[beside]})
    assert told(rows) == []


def minutes(rows=200, width=3):
    """A sensor: each minute near the one before."""
    return np.cumsum(rng(1, "minutes").normal(0, 0.1, (rows, width)), axis=0)


def test_a_file_in_the_order_of_time_is_told():
    assert [check for check, _ in told(table(minutes()))] == ["alike-neighbours"]
    assert told(table(shuffled(minutes()))) == []
    assert told(table(minutes(), times=np.arange(200.0))) == []
    gaps = minutes()
    gaps[::50] = np.nan
    assert [check for check, _ in told(table(gaps))] == ["alike-neighbours"]


def test_the_order_is_judged_as_von_neumann_does():
    """Oracle: the mean square of steps over twice the variance, by NumPy; of the middle column."""
    x = minutes(width=1)
    x = np.column_stack([x, x, x])
    wanted = (np.diff(x[:, 0]) ** 2).sum() / (2 * len(x) * x[:, 0].var())
    assert alike_neighbours(table(x), schema_of(3)) == pytest.approx(wanted)


@pytest.mark.parametrize("by", [0, 2], ids=["a column", "the class"])
def test_a_sorted_file_is_not_in_the_order_of_time(by):
    data = load_iris()
    order = np.argsort(data.data[:, 0] if by == 0 else data.target, kind="stable")
    rows = Table(data.data[order], data.target[order].astype(np.int64))
    assert alike_neighbours(rows, schema_of(4)) is None


def test_a_number_that_is_predicted_may_be_sorted():
    data = load_diabetes()
    order = np.argsort(data.target)
    columns = tuple(Column(f"c{i}", "numeric") for i in range(10))
    rows = Table(data.data[order], data.target[order])
    assert alike_neighbours(rows, Schema(columns, (), Target("y", 150, 70))) is None


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([30], "1 group of rows of such sizes make parts of 100% train, 0% validation, 0% test"),
        ([20, 20], "50% train, 0% validation, 50% test"),
        ([90, 1, 2, 3], "94% train, 3% validation, 3% test"),
    ],
)
def test_too_few_groups_are_told(sizes, wanted):
    rows = table(np.arange(sum(sizes))[:, None], blocks=np.repeat(np.arange(len(sizes)), sizes))
    (finding,) = check_split(rows, split(rows, 1, "north"), schema_of(1))
    assert (finding.check, finding.severity, finding.count) == ("few-groups", "warning", len(sizes))
    assert wanted in finding.message


def test_enough_groups_are_not_told():
    assert told(table(np.arange(50)[:, None], blocks=np.arange(50) // 10)) == []
    assert told(table(np.arange(50)[:, None], times=np.arange(50.0))) == []
