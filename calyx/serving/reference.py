"""Rows that are drawn from what is told of a population: each column by itself, as the baseline counts it.

They are nobody's. Distances between them say how far unrelated rows lie apart.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema
from calyx.seeding import rng
from calyx.serving.population import Known, Population, Values
from calyx.serving.traces import Inputs

_REFERENCE_ROWS = 256


def draw_rows(
    schema: Schema, population: Population, of: np.random.Generator, count: int
) -> Values:
    """Rows [count, C], none with a missing value; a column without counts is drawn from its range.

    So is each pixel. A column of text, or without a range, is 0.
    """
    known = {k.variable.columns[0]: k for k in population.known if k.variable.role == "column"}
    drawn = [
        _draw_known(known[place], of, count) if place in known else _draw(column, of, count)
        for place, column in enumerate(schema.columns)
    ]
    return np.stack(drawn, axis=1)


def draw_reference(
    schema: Schema, population: Population, prepare: Callable[[Values], NDArray[np.float32]]
) -> Inputs:
    """Inputs of drawn rows for a `Detector`; none of a task with text, whose inputs are no places in space.

    `prepare` is the predictor's. The same rows whenever it is called.
    """
    is_text = any(column.kind == "text" for column in schema.columns)
    generator = rng(0, "stealing-reference")
    return prepare(draw_rows(schema, population, generator, 0 if is_text else _REFERENCE_ROWS))


def _draw_known(known: Known, of: np.random.Generator, count: int) -> Values:
    counts = np.array(known.baseline.counts, dtype=np.float64)
    cells = of.choice(len(counts), count, p=counts / counts.sum())
    if known.baseline.codes:
        return np.array(known.baseline.codes)[cells]
    edges = np.array(known.baseline.edges)
    return of.uniform(edges[cells], edges[cells + 1])


def _draw(column: Column, of: np.random.Generator, count: int) -> Values:
    if column.categories:
        return of.choice(column.categories, count)
    if column.kind == "text" or column.low is None or column.high is None:
        return np.zeros(count)
    return of.uniform(column.low, column.high, count)
