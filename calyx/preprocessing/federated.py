"""Constants of a preprocessing from sums over all clients, and where they lie in a model's file.

They are fitted on the training parts, of which the server saw sums only. A column's outlier bounds
and median are known to one bin of its histogram; mean and standard deviation to a fixed-point step.
Of a column that fewer than two sites show, there are no sums: its constants are of its declared range.
The most frequent category fills holes where it is so whatever hidden rows are; else no category does.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from calyx.errors import ConfigError
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.fitting import LEAST_SCALE, ColumnFit, Fitted, unknown_category
from calyx.statistics.figures import Figures, VariableFigures
from calyx.statistics.finding import AuditFinding
from calyx.tasks.base import Column, Schema
from calyx.weights import Array, Weights

STORED = "preprocessing/constants"  # a tensor [C, 5]: fill, low, high, mean, scale; NaN where none
SHOWN = 4  # names in one sentence


def check_ranges(schema: Schema, cfg: PreprocessingConfig) -> None:
    """Refuse a schema of which no federated constants can be had. Raises ConfigError."""
    if not cfg.is_federated:
        return
    for column in schema.columns:
        if column.kind == "numeric" and (column.low is None or column.high is None):
            raise ConfigError(
                f"preprocessing=federated needs low and high of the numeric column {column.name} in "
                "the task's schema: sums are made within a declared range."
            )


def check_given(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> None:
    """Refuse to fit on items that every site withholds. Raises ConfigError that names the columns."""
    withheld = {item for item, sites in figures.withheld.items() if sites >= figures.sites}
    needs_bins = cfg.numeric_imputation in ("median", "mode") or cfg.outliers != "keep"
    coded = ("categories",) if cfg.categorical_imputation == "mode" else ()
    needed = {
        "numeric": ("moments", "histograms") if needs_bins else ("moments",),
        "categorical": coded,
        "ordinal": coded,
    }
    lacking = [(c.name, i) for c in schema.columns for i in needed.get(c.kind, ()) if i in withheld]
    if not lacking:
        return
    names, items = (list(dict.fromkeys(part)) for part in zip(*lacking, strict=True))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    raise ConfigError(
        f"preprocessing=federated has no sums for {', '.join(names[:SHOWN])}{more}, since no site gives "
        f"{', '.join(items)}. Use preprocessing=local, or ask the sites to list these items in "
        "client.policy.statistics; a site with fewer training rows than its client.policy.min_cell "
        "gives none."
    )


def fit_sums(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> Fitted:
    """What `fit` would learn from all clients' training rows in one place, to a bin."""
    known = {v.variable.name: v for v in figures.variables}
    columns = tuple(_fit(c, known.get(c.name), cfg) for c in schema.columns)
    return Fitted(schema, cfg, columns)


def _fit(column: Column, found: VariableFigures | None, cfg: PreprocessingConfig) -> ColumnFit:
    if column.categories:
        fill = np.nan if cfg.categorical_imputation == "none" else cfg.fill_value
        if cfg.categorical_imputation == "mode":
            mode = found.categories.mode if found and found.categories else None
            fill = unknown_category(column) if mode is None else mode
        return ColumnFit(fill, -np.inf, np.inf, 0.0, 1.0)
    if column.kind != "numeric" or found is None:
        return ColumnFit(np.nan, -np.inf, np.inf, 0.0, 1.0)  # text, pixels: as they are
    return _fit_numbers(found, cfg)


def unsure_modes(
    figures: Figures, schema: Schema, cfg: PreprocessingConfig
) -> Iterator[AuditFinding]:
    """Columns with holes whose most frequent category could be a hidden one: each of them is said."""
    if cfg.categorical_imputation != "mode":
        return
    known = {v.variable.name: v for v in figures.variables}
    for column in schema.columns:
        found = known.get(column.name)
        counted = found.categories if found else None
        if found is None or counted is None or counted.mode is not None:
            continue
        if not (found.missing or column.may_be_missing):
            continue
        is_ranked = column.kind == "ordinal"
        instead = "the middle one of its categories" if is_ranked else "no category (zeros)"
        yield AuditFinding(
            "mode-unknown",
            "info",
            column.name,
            counted.hidden,
            f"The most frequent category of {column.name} is not known, since {counted.hidden} training "
            f"rows are of hidden ones: a missing value becomes {instead}.",
            "Declare fewer, wider categories, or use preprocessing=local: each site knows its own.",
        )


def _fit_numbers(found: VariableFigures, cfg: PreprocessingConfig) -> ColumnFit:
    numbers = found.numbers
    if numbers is None or numbers.mean is None or numbers.sd is None:
        return _of_range(found, cfg)
    low, high = -np.inf, np.inf
    first, third = numbers.quantile(0.25), numbers.quantile(0.75)
    if cfg.outliers != "keep" and first is not None and third is not None and first < third:
        reach = cfg.iqr_factor * (third - first)
        low, high = first - reach, third + reach
    fill = {
        "median": numbers.quantile(0.5),
        "mode": _fullest(numbers.histogram, numbers.edges),
        "constant": cfg.fill_value,
        "none": np.nan,
    }[cfg.numeric_imputation]
    if cfg.scaling == "none":
        mean, scale = 0.0, 1.0
    else:
        width = numbers.high - numbers.low
        mean, scale = numbers.mean, numbers.sd if numbers.sd >= LEAST_SCALE * width else width
    return ColumnFit(numbers.mean if fill is None else float(fill), low, high, mean, scale)


def _of_range(found: VariableFigures, cfg: PreprocessingConfig) -> ColumnFit:
    """Constants without sums: the declared range becomes -1 … 1, its middle fills holes."""
    low, high = found.variable.bounds or (-1.0, 1.0)
    middle, reach = (low + high) / 2, (high - low) / 2
    given = {"constant": cfg.fill_value, "none": np.nan}
    fill = given.get(cfg.numeric_imputation, middle)
    mean, scale = (0.0, 1.0) if cfg.scaling == "none" else (middle, reach)
    return ColumnFit(fill, -np.inf, np.inf, mean, scale)


def _fullest(
    histogram: tuple[int, ...], edges: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float | None:
    """The middle of the bin that holds most values; None where none is known."""
    if not any(histogram):
        return None
    place = int(np.argmax(histogram))
    return float((edges[place] + edges[place + 1]) / 2)


def with_constants(weights: Mapping[str, Array], constants: tuple[Constants, ...]) -> Weights:
    """A model's tensors and the constants that belong to them."""
    values = [[np.nan if v is None else v for v in row] for row in constants]
    return dict(weights) | {STORED: np.array(values, dtype=np.float64)}


def without_constants(weights: Mapping[str, Array]) -> tuple[Weights, tuple[Constants, ...] | None]:
    """The model's own tensors, and its constants if there are any. Raises ValueError for others."""
    own = {name: array for name, array in weights.items() if name != STORED}
    stored = weights.get(STORED)
    if stored is None:
        return own, None
    if stored.ndim != 2 or stored.shape[1] != 5:
        raise ValueError(f"{STORED} is of shape {stored.shape}, not [C, 5]")
    rows = [[None if np.isnan(v) else float(v) for v in row] for row in stored]
    return own, tuple((a, b, c, d, e) for a, b, c, d, e in rows)
