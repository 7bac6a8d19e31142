"""A population of three columns, and rows of it: for tests of what a gateway sees in its callers' rows."""

import numpy as np

from calyx.data.schema import Column, Schema
from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.serving.population import Population, read_population

SCHEMA = Schema(
    (
        *(Column(f"x{i}", "numeric", low=0, high=100) for i in range(8)),
        Column("code", "numeric", low=0, high=10, missing_codes=(-1.0,)),
        Column("kind", "categorical", categories=(3.0, 1.0, 7.0)),
        Column("grade", "ordinal", categories=(1.0, 2.0)),
        Column("hollow", "numeric", low=0, high=1),
    ),
    ("a", "b"),
)
EDGES = tuple(np.linspace(0, 100, 11).tolist())
# 10,000 rows between 30 and 60, in the middle of the range.
COUNTS = (0, 0, 0, 3000, 4000, 3000, 0, 0, 0, 0)


def make_population() -> Population:
    """Eight equal numbers, one with a code for "missing", two of categories, and one without counts."""
    numbers = [
        ColumnBaseline(name=f"x{i}", edges=EDGES, counts=COUNTS, mean=45.0, sd=8.0)
        for i in range(8)
    ]
    others = [
        ColumnBaseline(name="code", edges=(0.0, 5.0, 10.0), counts=(6000, 4000)),
        ColumnBaseline(name="kind", codes=(3.0, 1.0, 7.0), counts=(6000, 3960, 40)),
        ColumnBaseline(name="grade", codes=(1.0, 2.0), counts=(9000, 0), hidden=1000),
        ColumnBaseline(name="hollow", absent="one site alone shows values"),
    ]
    baseline = Baseline(sites=4, rows=10_000, columns=(*numbers, *others))
    return read_population(SCHEMA, baseline)


def draw_patients(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rows [count, C] as the training's were."""
    return np.column_stack(
        [
            *(rng.uniform(30, 60, count) for _ in range(8)),
            rng.uniform(0, 10, count),
            rng.choice([3.0, 1.0], count),
            rng.choice([1.0, 2.0], count, p=[0.9, 0.1]),
            rng.uniform(0, 1, count),
        ]
    )


def draw_evenly(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rows [count, C] evenly from the declared ranges and categories."""
    rows = draw_patients(rng, count)
    rows[:, :8] = rng.uniform(0, 100, (count, 8))
    rows[:, 9] = rng.choice([3.0, 1.0, 7.0], count)
    return rows
