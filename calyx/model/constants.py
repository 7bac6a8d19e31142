"""Constants of a preprocessing as one tensor, beside the weights of the model that was trained with them."""

from collections.abc import Mapping

import numpy as np

from calyx.model.weights import Array, Weights
from calyx.preprocessing.config import Constants

STORED = "preprocessing/constants"  # [C, 5], a row for each column of the schema, as in `Constants`


def with_constants(weights: Mapping[str, Array], constants: tuple[Constants, ...]) -> Weights:
    """The tensors of a model, and float64 `STORED`, which has NaN where there is no constant."""
    values = [[np.nan if v is None else v for v in row] for row in constants]
    return dict(weights) | {STORED: np.array(values, dtype=np.float64)}


def without_constants(weights: Mapping[str, Array]) -> tuple[Weights, tuple[Constants, ...] | None]:
    """The tensors of a model, and its constants; None where `STORED` is absent.

    Raises ValueError where `STORED` has another type or shape.
    """
    own = {name: array for name, array in weights.items() if name != STORED}
    stored = weights.get(STORED)
    if stored is None:
        return own, None
    if stored.dtype != np.float64 or stored.ndim != 2 or stored.shape[1] != 5:
        raise ValueError(f"{STORED} is {stored.dtype} {stored.shape}, not float64 [C, 5]")
    rows = [[None if np.isnan(v) else float(v) for v in row] for row in stored]
    return own, tuple((a, b, c, d, e) for a, b, c, d, e in rows)
