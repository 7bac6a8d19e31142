"""BentoML, one worker, as its documentation shows a service. It checks that rows are a list, and no cell."""

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from benchmarks.serve.peers.model import Model


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    """The released model."""

    def __init__(self) -> None:
        self.model = Model(Path(os.environ["RELEASE"]))

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Probabilities."""
        values = [[row[name] for name in self.model.names] for row in rows]
        return self.model.predict(np.array(values, dtype=np.float64))
