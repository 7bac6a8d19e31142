"""A released model as one module of PyTorch, from rows as callers have them to its answers.

It does what `calyx.preprocessing.fitting.apply` and `ReleasedModel.compute` do, in operations that an
exporter knows. A missing value that nothing fills gives NaN here, where `apply` refuses the row.

Shapes: N rows, C columns of the schema, F inputs and K outputs of the network; J categories at most and
M codes for "missing" at most of any column.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from calyx.data.schema import Column, Schema
from calyx.model.released import ReleasedModel
from calyx.model.weights import load_into
from calyx.preprocessing.fitted import Fitted

_VALUE, _CATEGORY, _RANK, _OUTLIER, _MISSING = range(5)  # what an input is of its column


class RawRows(nn.Module):
    """Probabilities [N, K] of a classifier, or values [N, 1] in the target's unit, of rows [N, C] float64."""

    def __init__(self, model: ReleasedModel) -> None:
        """Raise ValueError for a model without a preprocessing."""
        super().__init__()
        if model.fitted is None:
            raise ValueError("each client fits its own preprocessing, and this model has none")
        self.network, self.target = model.untrained(), model.task.schema.target
        load_into(self.network, model.weights)
        self.prepare = Prepare(model.fitted)

    @override
    def forward(self, rows: Tensor) -> Tensor:
        outputs: Tensor = self.network(self.prepare(rows)).double()
        if self.target is None:
            return outputs.softmax(dim=1)
        return outputs * self.target.scale + self.target.center


class Prepare(nn.Module):
    """The network's inputs [N, F] float32 of rows [N, C] float64, by constants that are buffers."""

    codes: Tensor  # [C, M] for "missing", NaN behind them
    categories: Tensor  # [C, J], NaN behind them
    strict: Tensor  # [C] whether what is none of its categories is missing
    fill: Tensor  # [C]
    places: Tensor  # [F] the column of each input, and below what the input is of it
    kinds: Tensor
    wanted: Tensor  # [F] the category that it asks for, or NaN
    sizes: Tensor  # [F] categories of its column
    low: Tensor  # [F] constants of its column, as the next
    high: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        schema = fitted.schema
        self.is_clipped = fitted.cfg.outliers == "clip"
        self._keep("codes", _pad([column.missing_codes for column in schema.columns]))
        self._keep("categories", _pad([column.categories for column in schema.columns]))
        # What is none of its categories is missing in these columns, and a code of its own in others.
        strict = np.array([_is_strict(column) for column in schema.columns])
        self._keep("strict", strict)
        self.is_any_strict = bool(strict.any())
        self._keep("fill", fitted.fill)
        inputs = _list_inputs(schema, marks_outliers=fitted.cfg.outliers == "flag")
        places = np.array([place for place, _, _ in inputs], dtype=np.int64)
        self._keep("places", places)
        self._keep("kinds", np.array([kind for _, kind, _ in inputs], dtype=np.int64))
        self._keep("wanted", np.array([category for _, _, category in inputs]))
        sizes = np.array([len(column.categories) for column in schema.columns], dtype=np.float64)
        self._keep("sizes", sizes[places])
        for name in ("low", "high", "mean", "scale"):
            self._keep(name, getattr(fitted, name)[places])
        self.has_codes = bool(np.isfinite(self.codes.numpy()).any())
        self.has_ranks = _RANK in self.kinds.tolist()

    def _keep(self, name: str, values: NDArray[np.generic]) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    @override
    def forward(self, rows: Tensor) -> Tensor:
        is_missing = torch.isnan(rows)
        if self.has_codes:
            is_missing = is_missing | (rows[:, :, None] == self.codes[None]).any(dim=2)
        if self.is_any_strict:
            is_known = (rows[:, :, None] == self.categories[None]).any(dim=2)
            is_missing = is_missing | (self.strict & ~is_known)
        filled = torch.where(is_missing, self.fill, rows)
        own = torch.index_select(filled, 1, self.places)
        was_missing = torch.index_select(is_missing, 1, self.places)
        value = torch.clip(own, self.low, self.high) if self.is_clipped else own
        inputs = (value - self.mean) / self.scale
        inputs = torch.where(self.kinds == _CATEGORY, (own == self.wanted).double(), inputs)
        if self.has_ranks:
            inputs = torch.where(self.kinds == _RANK, self._rank(own), inputs)
        is_off = ((own < self.low) | (own > self.high)) & ~was_missing
        inputs = torch.where(self.kinds == _OUTLIER, is_off.double(), inputs)
        inputs = torch.where(self.kinds == _MISSING, was_missing.double(), inputs)
        return inputs.float()

    def _rank(self, own: Tensor) -> Tensor:
        """The place of each value among its column's categories, scaled to 0 … 1; the middle of none."""
        categories = self.categories[self.places]  # [F, J]
        order = torch.arange(categories.shape[1], dtype=torch.float64)
        is_one = (own[:, :, None] == categories[None]).double()
        rank = (is_one * order).sum(dim=2)
        middle = (self.sizes - 1) / 2
        rank = torch.where(is_one.sum(dim=2) > 0, rank, middle)
        return rank / torch.clamp(self.sizes - 1, min=1.0)


def _is_strict(column: Column) -> bool:
    return column.kind == "ordinal" or bool(column.categories and column.unknown == "missing")


def _pad(values: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Lists of different lengths as rows of one array, NaN behind them; one column at least."""
    padded = np.full((len(values), max([1, *map(len, values)])), np.nan)
    for row, own in zip(padded, values, strict=True):
        row[: len(own)] = own
    return padded


def _list_inputs(schema: Schema, *, marks_outliers: bool) -> list[tuple[int, int, float]]:
    """Of each input [F] its column's place, what it is of it, and the category that it asks for, or NaN."""
    inputs = []
    for place, column in enumerate(schema.columns):
        for kind, category in _inputs_of(column, marks_outliers=marks_outliers):
            inputs.append((place, kind, category))
    return inputs


def _inputs_of(column: Column, *, marks_outliers: bool) -> list[tuple[int, float]]:
    if column.kind == "categorical":
        inputs = [(_CATEGORY, category) for category in column.categories]
    else:
        inputs = [(_RANK if column.kind == "ordinal" else _VALUE, np.nan)]
        if column.kind == "numeric" and marks_outliers:
            inputs.append((_OUTLIER, np.nan))
    if column.may_be_missing:
        inputs.append((_MISSING, np.nan))
    return inputs
