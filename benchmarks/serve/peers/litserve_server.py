"""LitServe (Lightning AI), one worker, as its documentation shows a server: decode, predict, encode.

It checks nothing of a row, and asks nobody who he is.
"""

import sys
from pathlib import Path
from typing import Any

import litserve as ls
import numpy as np

from benchmarks.serve.peers.model import Model


class Api(ls.LitAPI):  # type: ignore[misc] # LitServe is not installed where types are checked
    """The released model."""

    model: Model

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = Model(Path(sys.argv[1]))

    def decode_request(self, request):  # type: ignore[no-untyped-def] # noqa: ANN001,ANN201 - else it is a query
        """Rows as arrays, in the order of the schema."""
        rows = [[row[name] for name in self.model.names] for row in request["rows"]]
        return np.array(rows, dtype=np.float64)

    def predict(self, x: Any) -> Any:
        """Probabilities."""
        return self.model.predict(x)

    def encode_response(self, output: Any) -> Any:
        """As JSON."""
        return {"predictions": output}


if __name__ == "__main__":
    server = ls.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error"
    )
