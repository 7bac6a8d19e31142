"""What answers rows: a released model that is made once, and asked many times.

Shapes: N rows, C columns of the schema, F inputs and K outputs of the network.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.errors import CalyxError
from calyx.model import stacks
from calyx.model.combining import combine_outputs
from calyx.model.ensemble import Ensemble, load_models
from calyx.model.evaluation import BATCH_ROWS
from calyx.model.layers import seeded
from calyx.model.released import ReleasedModel
from calyx.model.weights import load_into
from calyx.preprocessing.planned import Plan

MODEL = "model.safetensors"
Rows = NDArray[np.float64]
Inputs = NDArray[np.float32]


class Predictor(Protocol):
    """One model, or several that answer together."""

    @property
    def schema(self) -> Schema:
        """Columns of the rows, and what the outputs are of."""

    def prepare(self, rows: Rows) -> Inputs:
        """The inputs [N, F] of rows [N, C] in the columns' own units, NaN for missing.

        Raises ValueError where a missing value would be left.
        """

    def compute(self, inputs: Inputs) -> Rows:
        """Probabilities [N, K] of a classifier, or values [N, 1] in the target's own unit."""

    def predict(self, rows: Rows) -> Rows:
        """`compute` of `prepare`, for who does not need the inputs. Raises ValueError as `prepare`."""


class OneModel:
    """A predictor of a single model. Its network is made once; a stack of linear layers needs no PyTorch."""

    def __init__(self, model: ReleasedModel) -> None:
        """Make the network. Raises CalyxError where every client fits a preprocessing of its own."""
        if model.fitted is None:
            raise CalyxError(
                "This model has no preprocessing of its own: each client of its run fitted one. Release it "
                "for one client (client=NAME)."
            )
        self.schema, self._plan = model.task.schema, Plan(model.fitted)
        network = model.untrained()
        load_into(network, model.weights)
        self._network = network.eval()
        self._steps = stacks.read_steps(network)

    @property
    def num_inputs(self) -> int:
        """F, the width of `prepare`."""
        return self._plan.num_inputs

    def prepare(self, rows: Rows) -> Inputs:
        """See `Predictor`."""
        return self._plan.apply(rows)

    def compute(self, inputs: Inputs) -> Rows:
        """See `Predictor`."""
        if self._steps is not None:
            return finish(stacks.compute(self._steps, inputs).astype(np.float64), self.schema)
        return finish(self._by_torch(inputs), self.schema)

    def predict(self, rows: Rows) -> Rows:
        """See `Predictor`."""
        return self.compute(self.prepare(rows))

    def _by_torch(self, inputs: Inputs) -> Rows:
        import torch

        outputs = [np.zeros((0, self.schema.num_outputs))]
        with seeded(self._network, 0, "evaluation"), torch.inference_mode():
            for start in range(0, len(inputs), BATCH_ROWS):
                output = self._network(torch.from_numpy(inputs[start : start + BATCH_ROWS]))
                outputs.append(output.double().numpy())
        return np.concatenate(outputs)


class Combined:
    """A predictor of several models that answer as one. Its inputs are those of each, side by side."""

    def __init__(self, ensemble: Ensemble) -> None:
        """Make the members' networks. Raises CalyxError as `OneModel`."""
        self._members = tuple(map(OneModel, ensemble.members))
        self._combine, self.schema = ensemble.combine, self._members[0].schema
        widths = [member.num_inputs for member in self._members]
        self._cuts = np.cumsum(widths)[:-1]

    def prepare(self, rows: Rows) -> Inputs:
        """See `Predictor`."""
        return np.concatenate([member.prepare(rows) for member in self._members], axis=1)

    def compute(self, inputs: Inputs) -> Rows:
        """See `Predictor`; how answers combine is `calyx.model.combining`'s."""
        parts = np.split(inputs, self._cuts, axis=1)
        outputs = [
            member.compute(np.ascontiguousarray(part))
            for member, part in zip(self._members, parts, strict=True)
        ]
        return combine_outputs(np.stack(outputs), self._combine)

    def predict(self, rows: Rows) -> Rows:
        """See `Predictor`."""
        return self.compute(self.prepare(rows))


def finish(outputs: Rows, schema: Schema) -> Rows:
    """Probabilities of logits [N, K], or values of a network's [N, 1] in the target's own unit."""
    if schema.target is not None:
        return outputs * schema.target.scale + schema.target.center
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which whoever answers tells
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities: Rows = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


class Files(Protocol):
    """What is needed of a release: its files' bytes, which were read once and verified."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """The bytes of each file by its name."""


def load_predictor(release: Files) -> Predictor:
    """What answers rows by a release.

    Raises CalyxError for a model that is missing, damaged, or does not fit the installed task.
    """
    data = release.files.get(MODEL)
    if data is None:
        raise CalyxError(f"The release holds no {MODEL}; make it again.")
    models = load_models(data, Path(MODEL))
    return Combined(models) if isinstance(models, Ensemble) else OneModel(models)
