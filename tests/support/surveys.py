"""Small tables of four sites, what they add up, and what the sums say."""

import numpy as np

from calyx.data.schema import Column, Schema, Table
from calyx.findings.figures import read_sums
from calyx.survey.blocks import ALL, ITEMS, TRAIN, Survey
from calyx.survey.measuring import measure

NAN = float("nan")
SCHEMA = Schema(
    (
        Column("age", "numeric", low=0, high=100),
        Column("chol", "numeric", missing_codes=(0.0,), may_be_missing=True, low=50, high=650),
        Column("sex", "categorical", categories=(0.0, 1.0)),
        Column("note", "text"),
    ),
    ("healthy", "ill"),
)


def rows(n, seed=0, shift=0.0):
    draw = np.random.default_rng(seed)
    x = np.column_stack(
        [
            draw.uniform(0, 100, n),
            np.clip(draw.normal(240 + shift, 40, n), 60, 640),
            draw.integers(0, 2, n),
            draw.integers(0, 9, n),
        ]
    )
    x[draw.random(n) < 0.2, 1] = 0.0
    x[draw.random(n) < 0.1, 1] = NAN
    return Table(x, (x[:, 0] + draw.normal(0, 20, n) > 50).astype(np.int64))


def union(tables):
    return Table(np.concatenate([t.x for t in tables]), np.concatenate([t.y for t in tables]))


def asked(tables, schema=SCHEMA, minimum=1, bins=16, allowed=ITEMS):
    survey = Survey(schema, bins, (ALL, TRAIN))
    total = {}
    for table in tables:
        half = table.take(np.arange(len(table) // 2))
        for name, cells in measure(survey, {ALL: table, TRAIN: half}, minimum, allowed).items():
            total[name] = total.get(name, 0) + cells
    return survey, total


def figures(tables, sample=ALL, **options):
    survey, total = asked(tables, **options)
    return read_sums(total, survey, len(tables), sample)


SITES = [rows(200, 1), rows(150, 2, shift=30), rows(300, 3), rows(120, 4)]
