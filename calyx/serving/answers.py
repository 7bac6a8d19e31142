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
    """Writes answers for one schema, by one policy.

    A row's text is a template that is made once, with places for its numbers: to build objects of them and
    write these takes three times as long.
    """

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
        self._decimals, self._tells_numbers = digits, answer != "label"
        self._coverage = coverage
        if target is not None:  # as many digits of a typical distance from the center
            self._decimals = digits - 1 - math.floor(math.log10(target.scale))
            self._templates, self._empty = ['"value":%r'], '"value":null'
            return
        shares = ",".join(f"{_text(name)}:%r" for name in schema.classes)
        told = f'"probabilities":{{{shares}}}' if self._tells_numbers else ""
        labels = [f'"label":{_text(name)}' for name in schema.classes]
        if answer == "probabilities":
            labels = [""] * len(labels)
        self._templates = [",".join(filter(None, (label, told))) for label in labels]
        names = ["label"] if answer != "probabilities" else []
        names += ["probabilities"] if self._tells_numbers else []
        self._empty = ",".join(f'"{name}":null' for name in names)

    def write(self, outputs: Values, told: Told) -> bytes:
        """The answer's JSON for outputs [N, K].

        A row of which the model gives no finite number has null in place of each figure.
        """
        rows = self._numbers(outputs)
        finite = [all(row) for row in np.isfinite(outputs).tolist()]
        rows = [row if is_told else self._empty for row, is_told in zip(rows, finite, strict=True)]
        beside = [
            f',"unusual":{to_json(one).decode()}' if one else ',"unusual":[]'
            for one in told.unusual
        ]
        if self._coverage is not None:
            name, sets = self._cover(self._coverage, outputs)
            beside = [
                f'{b},"{name}":{to_json(one if is_told else None).decode()}'
                for b, one, is_told in zip(beside, sets, finite, strict=True)
            ]
        text = "},{".join([row + b for row, b in zip(rows, beside, strict=True)])
        release = to_json(told.release).decode()
        return f'{{"release":{release},"predictions":[{{{text}}}]}}'.encode()

    def _cover(self, coverage: Coverage, outputs: Values) -> tuple[str, Sequence[object]]:
        """What a prediction set is called in an answer, and that of each row."""
        if coverage.is_of_classes:
            return "set", coverage.sets(outputs)
        # Outwards, so that an interval stays as wide as it is promised. NumPy lets NaN pass.
        step = 10.0**-self._decimals
        ends = np.array(coverage.intervals(outputs)).reshape(-1, 2) / step
        outer = np.stack([np.floor(ends[:, 0]), np.ceil(ends[:, 1])], axis=1) * step
        return "interval", [[round(end, self._decimals) for end in row] for row in outer.tolist()]

    def _numbers(self, outputs: Values) -> list[str]:
        """What is told of each row's outputs. A rounded number's shortest text has no digit more."""
        places = [0] * len(outputs)
        if len(self._templates) > 1:
            places = outputs.argmax(axis=1).tolist()
        if not self._tells_numbers:
            return [self._templates[place] for place in places]
        rounded = np.round(outputs, self._decimals).tolist()
        pairs = zip(places, rounded, strict=True)
        return [self._templates[place] % tuple(row) for place, row in pairs]


def _text(name: str) -> str:
    """A name as JSON, in a template."""
    return to_json(name).decode().replace("%", "%%")
