"""Constants of a preprocessing from sums over all clients.

They are fitted on the training parts, of which the server saw sums only. Mean and standard deviation
are exact; median and outlier bounds have margins, and what is not known well enough is not used, which
`shortcomings` says. Of a column that fewer than two sites show, there are no sums: its constants are of
its declared range. The most frequent category fills holes where it is so whatever hidden rows are; else
no category does. See docs/decisions/0024.
"""

from collections.abc import Iterator

import numpy as np

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.findings.figures import Figures, VariableFigures
from calyx.findings.finding import AuditFinding
from calyx.findings.numbers import Numbers
from calyx.preprocessing.absence import NO_CATEGORY
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import LEAST_SCALE
from calyx.preprocessing.fitted import ColumnFit, Fitted, fitted_of
from calyx.preprocessing.imputation import constant_fill, unknown_category
from calyx.preprocessing.spread import outlier_bounds
from calyx.words.sentences import join_names

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


def find_lacking(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> str:
    """Which items that constants are made of every site withholds, as a clause; "" where none is."""
    withheld = {item for item, sites in figures.withheld.items() if sites >= figures.sites}
    needs_bins = cfg.numeric_imputation in ("median", "mode") or cfg.outliers != "keep"
    coded = ("categories",) if cfg.categorical_imputation == "mode" else ()
    needed = {
        "numeric": ("moments", "histograms") if needs_bins else ("moments",),
        "categorical": coded,
        "ordinal": coded,
    }
    pairs = [(c.name, i) for c in schema.columns for i in needed.get(c.kind, ()) if i in withheld]
    if not pairs:
        return ""
    names, items = (list(dict.fromkeys(part)) for part in zip(*pairs, strict=True))
    return f"no site gives {join_names(items)} of {join_names(names, SHOWN)}"


def unshown(figures: Figures, schema: Schema) -> str:
    """That no two sites show values of any numeric column, as a clause; "" where they do.

    Constants would then be of the declared ranges alone, which may be far wider than the values.
    """
    known = {v.variable.columns: v.numbers for v in figures.variables}
    numbers = [known.get((i,)) for i, c in enumerate(schema.columns) if c.kind == "numeric"]
    if not numbers or any(one is not None and one.moments is not None for one in numbers):
        return ""
    return "fewer than two sites show what values the numeric columns have"


def check_given(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> None:
    """Refuse to fit on items that every site withholds. Raises ConfigError that names the columns."""
    if why := find_lacking(figures, schema, cfg):
        raise ConfigError(
            f"preprocessing=federated has no sums to fit on: {why}. Use preprocessing=local, or ask the "
            "sites to list these items in client.policy.statistics; a site with fewer training rows than "
            "its client.policy.min_cell gives none."
        )


def fit_sums(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> Fitted:
    """What `fit` would learn from all clients' training rows in one place, as far as it is told."""
    return fitted_of(schema, cfg, (fit for fit, _ in _fits(figures, schema, cfg)))


def shortcomings(figures: Figures, schema: Schema, cfg: PreprocessingConfig) -> list[str]:
    """A sentence for each constant that the sums do not tell, and what stands in its place."""
    return [why for _, reasons in _fits(figures, schema, cfg) for why in reasons]


def _fits(
    figures: Figures, schema: Schema, cfg: PreprocessingConfig
) -> Iterator[tuple[ColumnFit, list[str]]]:
    known = {v.variable.columns: v for v in figures.variables}
    for i, column in enumerate(schema.columns):
        variable = known.get((i,))
        if column.kind == "numeric" and variable is not None:
            yield _fit_numbers(variable, column, cfg)
        else:
            yield _fit(column, variable, cfg), []


def _fit(column: Column, variable: VariableFigures | None, cfg: PreprocessingConfig) -> ColumnFit:
    fill = np.nan  # text, pixels: as they are
    if column.categories and cfg.categorical_imputation != "none":
        mode = variable.categories.mode if variable and variable.categories else None
        is_mode = cfg.categorical_imputation == "mode" and mode is not None
        fill = mode if mode is not None and is_mode else unknown_category(column)
    return ColumnFit(fill, -np.inf, np.inf, 0.0, 1.0)


def unsure_modes(
    figures: Figures, schema: Schema, cfg: PreprocessingConfig
) -> Iterator[AuditFinding]:
    """Columns with holes of which no category is known to be the most frequent: each of them is said."""
    if cfg.categorical_imputation != "mode":
        return
    known = {v.variable.columns: v for v in figures.variables}
    for i, column in enumerate(schema.columns):
        variable = known.get((i,))
        counted = variable.categories if variable else None
        if variable is None or counted is None or counted.mode is not None:
            continue
        if not (variable.missing or column.may_be_missing):
            continue
        why = "several are equally frequent"
        if counted.hidden:
            why = f"{counted.hidden} training rows are of hidden ones"
        yield AuditFinding(
            "mode-unknown",
            "info",
            column.name,
            counted.hidden,
            f"The most frequent category of {column.name} is not known, since {why}: a missing value "
            f"becomes {NO_CATEGORY[column.kind]}.",
            "Declare fewer, wider categories, or use preprocessing=local: each site knows its own.",
        )


def _fit_numbers(
    variable: VariableFigures, column: Column, cfg: PreprocessingConfig
) -> tuple[ColumnFit, list[str]]:
    name, numbers = variable.variable.name, variable.numbers
    if numbers is None or numbers.moments is None:
        return _of_range(variable, column, cfg), [
            f"{name} is scaled by its declared range: it has no sums."
        ]
    mean, sd = numbers.moments.mean, numbers.moments.sd
    reasons = []
    if numbers.mean is None or numbers.sd is None:
        reasons.append(
            f"{name} is scaled by a mean and a standard deviation that some rows, hidden by their "
            "sites, could change by half."
        )
    low, high = -np.inf, np.inf
    first, third = numbers.quartiles.get("q1"), numbers.quartiles.get("q3")
    if first is not None and third is not None:
        low, high = outlier_bounds(first.value, third.value, first.margin + third.margin, cfg)
    if cfg.outliers != "keep" and np.isinf(low) and (first is None or first != third):
        reasons.append(f"{name} has no outlier bounds: its quartiles are not told, or not apart.")
    fill = _fill(numbers, column, cfg)
    if fill is None:
        fill = mean
        reasons.append(
            f"Missing values of {name} become its mean: its {cfg.numeric_imputation} is not told."
        )
    if cfg.scaling == "none":
        return ColumnFit(fill, low, high, 0.0, 1.0), reasons
    width = numbers.high - numbers.low
    scale = sd if sd >= LEAST_SCALE * width else width  # of what hardly varies any is as good
    if scale != sd and sd > 0:
        reasons.append(
            f"{name} is scaled by its declared range, which is {width / sd:.0e} times its standard "
            "deviation: declare a narrower one."
        )
    return ColumnFit(fill, low, high, mean, scale), reasons


def _fill(numbers: Numbers, column: Column, cfg: PreprocessingConfig) -> float | None:
    """What a missing value becomes; None where the sums do not tell it."""
    match cfg.numeric_imputation:
        case "median":
            median = numbers.quartiles.get("median")
            return None if median is None else median.value
        case "mode":
            return None if numbers.distribution is None else numbers.distribution.mode()
        case "constant":
            return constant_fill(column, cfg)
        case _:
            return np.nan


def _of_range(variable: VariableFigures, column: Column, cfg: PreprocessingConfig) -> ColumnFit:
    """Constants without sums: the declared range becomes -1 … 1, its middle fills holes."""
    low, high = variable.variable.bounds or (-1.0, 1.0)
    middle, reach = (low + high) / 2, (high - low) / 2
    fills = {"constant": constant_fill(column, cfg), "none": np.nan}
    fill = fills.get(cfg.numeric_imputation, middle)
    mean, scale = (0.0, 1.0) if cfg.scaling == "none" else (middle, reach)
    return ColumnFit(fill, -np.inf, np.inf, mean, scale)
