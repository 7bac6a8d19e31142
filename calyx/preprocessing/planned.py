"""What `apply` does to rows, laid out beforehand for a few rows at a time, as a gateway gets them.

`apply` goes through a schema by groups of columns and is made for thousands of rows; for one row that
costs more than the model. Here the places of all inputs are found once, and a request is a dozen calls of
NumPy whatever the columns are. Both give the same bits.

Shapes: N rows, C columns of the schema, F inputs; Q one-hot places and M marks among them.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column
from calyx.preprocessing.fitted import Fitted
from calyx.preprocessing.fitting import check_filled, feature_names, rank
from calyx.preprocessing.spread import clip

Values = NDArray[np.float64]
Places = NDArray[np.int64]


class Plan:
    """`apply` of one preprocessing."""

    def __init__(self, fitted: Fitted) -> None:
        """Find the places of all inputs."""
        self.fitted = fitted
        schema, cfg = fitted.schema, fitted.cfg
        self.num_inputs = len(feature_names(schema, cfg))
        scaled, ranked, marks, flags = (list[tuple[int, int]]() for _ in range(4))
        hot, codes = list[tuple[int, int, float]](), list[tuple[int, float]]()
        at = 0
        for i, column in enumerate(schema.columns):
            codes += [(i, code) for code in column.missing_codes]
            if column.kind == "categorical":
                hot += [(at + k, i, category) for k, category in enumerate(column.categories)]
                at += len(column.categories)
            else:
                (ranked if column.kind == "ordinal" else scaled).append((at, i))
                at += 1
                if column.kind == "numeric" and cfg.outliers == "flag":
                    flags.append((at, i))
                    at += 1
            if column.may_be_missing:
                marks.append((at, i))
                at += 1
        self._scaled, self._marks, self._flags = _pairs(scaled), _pairs(marks), _pairs(flags)
        self._hot = _pairs([(place, i) for place, i, _ in hot])
        self._categories = np.array([category for _, _, category in hot], dtype=np.float64)
        self._ranked = [(place, i, schema.columns[i]) for place, i in ranked]
        self._coded = np.array([i for i, _ in codes], dtype=np.int64)
        self._codes = np.array([code for _, code in codes], dtype=np.float64)
        self._strict = [(i, c) for i, c in enumerate(schema.columns) if _drops_strangers(c)]
        source = self._scaled[1]
        self._mean, self._scale = fitted.mean[source], fitted.scale[source]
        self._low, self._high = fitted.low[source], fitted.high[source]
        # A column that is neither scaled nor cut has these constants, which change no bit of it.
        self._is_cut = cfg.outliers == "clip"
        self._lacks_fill = bool(np.isnan(fitted.fill).any())

    def apply(self, rows: Values) -> NDArray[np.float32]:
        """The inputs [N, F] of rows [N, C]. Raises ValueError where a missing value would be left."""
        is_missing = np.isnan(rows)
        if len(self._coded):
            at, which = np.nonzero(rows[:, self._coded] == self._codes)
            is_missing[at, self._coded[which]] = True
        for i, column in self._strict:
            is_missing[:, i] |= ~np.isin(rows[:, i], column.categories)
        filled = rows
        if is_missing.any():
            if self._lacks_fill:
                check_filled(np.where(is_missing, np.nan, rows), self.fitted)
            filled = np.where(is_missing, self.fitted.fill, rows)
        inputs = np.empty((len(rows), self.num_inputs), dtype=np.float32)
        places, source = self._scaled
        with np.errstate(over="ignore"):
            values = filled[:, source]
            if self._is_cut:
                values = clip(values, self._low, self._high)
            inputs[:, places] = (values - self._mean) / self._scale
        places, source = self._hot
        inputs[:, places] = filled[:, source] == self._categories
        for place, i, column in self._ranked:
            inputs[:, place] = rank(filled[:, i], column.categories)
        places, source = self._flags
        if len(places):
            own = np.where(is_missing[:, source], np.nan, rows[:, source])
            inputs[:, places] = (own < self.fitted.low[source]) | (own > self.fitted.high[source])
        places, source = self._marks
        inputs[:, places] = is_missing[:, source]
        return inputs


def _pairs(pairs: list[tuple[int, int]]) -> tuple[Places, Places]:
    """Places among the inputs, and of their columns."""
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def _drops_strangers(column: Column) -> bool:
    """Whether a category that nobody declared is a missing value in this column."""
    return bool(column.categories) and (column.unknown == "missing" or column.kind == "ordinal")
