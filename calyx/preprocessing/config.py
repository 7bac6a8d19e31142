"""The section `preprocessing`: what is done to a client's rows before a model sees them."""

from typing import Literal

from calyx.config import PositiveFloat, config


@config
class PreprocessingConfig:
    """Fitted on a client's training part only; the width of the result follows from the schema."""

    name: str
    numeric_imputation: Literal["median", "mode", "constant", "none"]
    categorical_imputation: Literal["mode", "constant", "none"]
    fill_value: float  # of constant imputation, in the column's own unit
    scaling: Literal["standard", "none"]  # standard: mean 0, variance 1 of the training part
    outliers: Literal["clip", "flag", "keep"]  # clip to the bounds, mark in a column of its own
    iqr_factor: PositiveFloat  # bounds: quartiles ± this many interquartile ranges
