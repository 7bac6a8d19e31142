"""What a caller is told of a prediction: as much as `serve.answer` says, rounded by `serve.digits`.

Few digits are no nuisance but a policy: each is one that a stolen copy of the model can be trained on.

Shapes: N rows, K outputs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.serving.config import Answer
from calyx.serving.coverage import Coverage

Values = NDArray[np.float64]
Columns = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Told:
    """What is told beside the predictions [N]."""

    release: dict[str, str | int]  # which release has answered: name, version, digest
    unusual: Columns  # of each row, the columns far from what the training saw


class Answers:
    """Writes answers for one schema, by one policy."""

    def __init__(
        self, schema: Schema, answer: Answer, digits: int, coverage: Coverage | None = None
    ) -> None:
        """`coverage` adds sets or intervals. Raises ConfigError for a policy that is for other schemas."""
        target = schema.target
        if target is not None and answer != "label_and_probabilities":
            raise ConfigError(
                f"serve.answer={answer} is for classes, and the release predicts the number {target.name}; "
                "leave serve.answer at label_and_probabilities, which tells the number."
            )
        self._classes, self._target, self._coverage = schema.classes, target, coverage
        self._tells_label = answer != "probabilities"
        self._tells_probabilities = answer != "label"
        self._decimals = digits
        if target is not None:  # as many digits of a typical distance from the center
            self._decimals = digits - 1 - math.floor(math.log10(target.scale))

    def write(self, outputs: Values, told: Told) -> bytes:
        """The answer's JSON for outputs [N, K].

        A row of which the model gives no finite number has null in place of each figure.
        """
        finite = np.isfinite(outputs).all(axis=1)
        rows = self._numbers(outputs) if self._target is not None else self._labels(outputs)
        if self._coverage is not None:
            self._add_sets(self._coverage, rows, outputs)
        for i in np.flatnonzero(~finite).tolist():
            rows[i] = dict.fromkeys(rows[i])
        for row, columns in zip(rows, told.unusual, strict=True):
            row["unusual"] = columns
        return to_json({"release": told.release, "predictions": rows})

    def _add_sets(self, coverage: Coverage, rows: list[dict[str, object]], outputs: Values) -> None:
        if coverage.is_of_classes:
            for row, classes in zip(rows, coverage.sets(outputs), strict=True):
                row["set"] = classes
            return
        # Outwards, so that an interval stays as wide as it is promised. NumPy lets NaN pass.
        step = 10.0**-self._decimals
        ends = np.array(coverage.intervals(outputs)).reshape(-1, 2) / step
        outer = np.stack([np.floor(ends[:, 0]), np.ceil(ends[:, 1])], axis=1) * step
        for row, interval in zip(rows, outer.tolist(), strict=True):
            row["interval"] = [round(end, self._decimals) for end in interval]

    def _numbers(self, outputs: Values) -> list[dict[str, object]]:
        return [{"value": round(value, self._decimals)} for value in outputs[:, 0].tolist()]

    def _labels(self, outputs: Values) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = [{} for _ in range(len(outputs))]
        if self._tells_label:
            for row, place in zip(rows, outputs.argmax(axis=1).tolist(), strict=True):
                row["label"] = self._classes[place]
        if self._tells_probabilities:
            rounded = np.round(outputs, self._decimals).tolist()
            for row, shares in zip(rows, rounded, strict=True):
                row["probabilities"] = dict(zip(self._classes, shares, strict=True))
        return rows
