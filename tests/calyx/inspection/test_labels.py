"""Labels that a model contradicts: found where they were flipped, and only there."""

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table, Target
from calyx.inspection.labels import MAX_ROWS, features, label_findings, out_of_sample
from calyx.seeding import rng

SCHEMA = Schema((Column("a", "numeric"), Column("b", "numeric")), ("no", "yes"))


def table(rows=300, flipped=0.0, noise=0.7, blocks=None) -> Table:
    draw = rng(1, "labels-test", rows)
    x = draw.normal(0, 1, (rows, 2))
    y = (x[:, 0] + noise * draw.normal(0, 1, rows) > 0).astype(np.int64)
    wrong = draw.choice(rows, round(flipped * rows), replace=False)
    y[wrong] = 1 - y[wrong]
    return Table(x, y, blocks)


def told(of: Table, schema: Schema = SCHEMA) -> bool:
    return bool(list(label_findings(of, schema)))


@pytest.mark.parametrize("rows", [100, 300, 5000])
def test_a_fifth_of_flipped_labels_is_found_and_none_is_not(rows):
    assert not told(table(rows))
    assert told(table(rows, 0.2))


def test_the_sentence_counts_what_the_model_is_sure_of():
    (finding,) = label_findings(table(flipped=0.2), SCHEMA)
    assert (finding.check, finding.severity, finding.column) == ("labels", "warning", None)
    assert 0.1 * 150 < finding.count < 0.3 * 150
    assert "of the 150 labels" in finding.message


def test_labels_that_no_column_explains_are_not_called_wrong():
    random = table(noise=1000)
    assert not told(random)


@pytest.mark.parametrize("rows", [0, 1, 39])
def test_few_rows_say_nothing(rows):
    assert not told(table(rows, 0.2))


def test_one_class_and_regression_and_text_say_nothing():
    one = table()
    assert not told(Table(one.x, np.zeros(len(one), np.int64)))
    assert not told(table(flipped=0.2), Schema(SCHEMA.columns, (), Target("days", 0, 1)))
    words = Schema((Column("w", "text"), Column("v", "index")), ("no", "yes"))
    assert not told(table(flipped=0.2), words)


def test_a_row_is_judged_by_a_model_that_has_not_seen_its_block():
    # Each row stands twice with a label of its own, random: only a model that saw it would know.
    x = np.repeat(rng(1, "blocks").normal(0, 1, (100, 2)), 2, axis=0)
    y = np.repeat(rng(1, "blocks-y").integers(0, 2, 100), 2)
    blocked = Table(x, y, np.arange(200) // 2)
    hit = out_of_sample(x, blocked, 2).argmax(1) == y
    assert hit.mean() < 0.65


def test_probabilities_add_up_also_where_a_class_is_rare():
    rare = table(60)
    rare.y[:] = 0
    rare.y[:2] = 1
    p = out_of_sample(rare.x, rare, 2)
    assert p.sum(1) == pytest.approx(1)


def test_features_hold_categories_and_holes_and_no_codes():
    schema = Schema(
        (
            Column("a", "numeric", missing_codes=(0.0,)),
            Column("b", "categorical", categories=(1, 2)),
            Column("c", "numeric"),
            Column("w", "text"),
        ),
        ("no", "yes"),
    )
    x = np.array([[0, 1, np.nan, 7], [3, 2, np.nan, 8], [5, np.nan, np.nan, 9], [7, 1, np.nan, 9]])
    got = features(Table(x, np.zeros(4, np.int64)), schema)
    assert got.shape == (4, 2 + 3)  # a and its holes; b's two categories and its holes
    assert got.mean(0) == pytest.approx(0)


def test_a_large_table_is_judged_by_a_sample():
    assert told(table(MAX_ROWS + 1000, 0.2))
