"""The released model as somebody would serve it who has no gateway: prepared, and computed by PyTorch.

The network is made once, and called without gradients on one thread.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calyx.model.released import load_bytes
from calyx.model.weights import load_into
from calyx.releases.reading import read_draft


class Model:
    """A model of a classifier."""

    def __init__(self, release: Path) -> None:
        self._model = load_bytes(read_draft(release).files["model.safetensors"], release)
        torch.set_num_threads(1)
        self._network = self._model.untrained().eval()
        load_into(self._network, self._model.weights)
        self.names = [column.name for column in self._model.task.schema.columns]

    @torch.inference_mode()
    def predict(self, rows: NDArray[np.float64]) -> list[list[float]]:
        """Probabilities [N, K] of rows [N, C]."""
        inputs = torch.from_numpy(self._model.prepare(rows))
        told: list[list[float]] = self._network(inputs).softmax(dim=1).tolist()
        return told
