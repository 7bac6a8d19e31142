"""BentoML, one worker, as its documentation shows a service. It checks that rows are a list, and no cell."""

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from calyx.releases.predictor import load_predictor
from calyx.releases.reading import read_draft


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    """The released model."""

    def __init__(self) -> None:
        self.predictor = load_predictor(read_draft(Path(os.environ["RELEASE"])))
        self.names = [column.name for column in self.predictor.schema.columns]

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Probabilities."""
        values = [[row[name] for name in self.names] for row in rows]
        told: list[list[float]] = self.predictor.predict(
            np.array(values, dtype=np.float64)
        ).tolist()
        return told
