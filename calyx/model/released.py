"""A released model: weights, what they are of, and the preprocessing of their inputs. It predicts rows.

Its file is all that is needed of the run that made it, beside the task's installed code, which makes the
network: no run folder, no server, client, Flower or Hydra. A file may come from a stranger, so that what
no run can have written is refused in one sentence. See docs/decisions/0069.

Shapes: N rows, C columns of the schema, F inputs and K outputs of the network.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from calyx.config.section import Section, canonical_json, config, parse
from calyx.data.schema import Column, Schema, Table, Target
from calyx.errors import ConfigError, UserError, printable
from calyx.files.foreign import parse_json
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain
from calyx.model.evaluation import BATCH_ROWS
from calyx.model.makeup import Makeup, find_left_behind, find_moved, makeup_of
from calyx.model.metrics import metric_name
from calyx.model.weights import (
    Array,
    Weights,
    decode_with_description,
    initial_model,
    load_into,
    save_weights,
    to_bytes,
)
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config, recall_fit
from calyx.preprocessing.fitted import ColumnFit, Fitted, constants_of, fitted_of
from calyx.preprocessing.fitting import apply, num_inputs
from calyx.preprocessing.imputation import constant_fill, unknown_category
from calyx.seeding import global_scope
from calyx.tasks.registry import load_task, own_section
from calyx.tasks.task import OwnModelSection, Task

if TYPE_CHECKING:
    from torch import nn

D = TypeVar("D")
STORED = "preprocessing/constants"  # [C, 5], a row for each column of the schema, as in `Constants`


@config
class Description:
    """What a model's file says beside its tensors: one canonical JSON in its metadata."""

    format: Literal["calyx-model/1"]
    task: Section  # what its network, and how a file of rows is read, follow from
    schema: Section  # columns, classes and target; what is not set is left out
    metric: str  # the figure by which models of the task are compared
    preprocessing: PreprocessingConfig  # without constants, which are a tensor


@dataclass(frozen=True, eq=False)
class ReleasedModel:
    """A model and the preprocessing of its inputs.

    `dataclasses.replace` makes it one client's: with the `weights` of its own model, or with what it
    `fitted` on its own rows.
    """

    task: Task
    preprocessing: PreprocessingConfig  # with the constants that go with the model, if any do
    weights: Weights  # by the network's names, in its order
    fitted: Fitted | None  # None: each client fits its own
    seed: int = 0  # of its run: a network may draw of it what is in no file

    @cached_property
    def makeup(self) -> Makeup:
        """What the untrained network is made of."""
        return makeup_of(self.untrained(), self._num_inputs)

    @property
    def _num_inputs(self) -> int:
        return num_inputs(self.task.schema, self.preprocessing)

    def untrained(self) -> "nn.Module":
        """A fresh network of the task, with the weights that the seed gives."""
        return initial_model(self.task, self._num_inputs, self.seed)

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """`compute` of rows [N, C] as the task reads them. Raises ValueError as `prepare` does."""
        return self.compute(self.prepare(rows))

    def prepare(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """The network's inputs [N, F] of rows [N, C] in the columns' own units, NaN for missing.

        Raises ValueError where a missing value would be left, and where nothing is `fitted`.
        """
        if self.fitted is None:
            raise ValueError("each client fits its own preprocessing, and this model has none")
        return apply(self.fitted, Table(rows, np.zeros(len(rows), dtype=np.int64)))

    def compute(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [N, K] of a classifier, or values [N, 1] in the target's own unit."""
        import torch

        network, target = self.untrained(), self.task.schema.target
        load_into(network, self.weights)
        network.eval()
        batches = [np.zeros((0, self.task.schema.num_outputs))]
        with global_scope(0, "evaluation"), torch.no_grad():  # the draws that it was judged by
            for start in range(0, len(inputs), BATCH_ROWS):
                output = network(torch.from_numpy(inputs[start : start + BATCH_ROWS])).double()
                batches.append((output if target else output.softmax(dim=1)).numpy())
        outputs = np.concatenate(batches)
        return outputs if target is None else outputs * target.scale + target.center


def describe(task: Task, section: Section, preprocessing: PreprocessingConfig) -> Description:
    """The description of a model of `task`, which was made from this section of a config."""
    own = task.model_section if isinstance(task, OwnModelSection) else own_section(section)
    return Description(
        format="calyx-model/1",
        task=own,
        schema=_as_json(task.schema),
        metric=metric_name(task.schema),
        preprocessing=replace(preprocessing, fitted=None),
    )


def _as_json(schema: Schema) -> Section:
    """The fields that are set, as JSON values; an infinite bound is null, and bounds nothing either."""
    values = {
        "columns": [_fields_set(column) for column in schema.columns],
        "classes": schema.classes,
        "target": schema.target and _fields_set(schema.target),
    }
    text = json.dumps(values, default=float)
    tree: Section = json.loads(text, parse_constant=lambda _: None)
    return tree


def _fields_set(part: Column | Target) -> dict[str, object]:
    values = {field: getattr(part, field.name) for field in fields(part)}
    return {field.name: value for field, value in values.items() if value != field.default}


def save(
    path: Path, weights: Weights, description: Description, preprocessing: PreprocessingConfig
) -> str:
    """Write a model's file, with the constants of `preprocessing`; returns its SHA-256 in hex."""
    constants = preprocessing.fitted
    tensors = with_constants(weights, constants[0]) if constants else weights
    return save_weights(path, tensors, canonical_json(asdict(description)))


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


def to_file(model: ReleasedModel, description: Description) -> bytes:
    """The bytes of a file of `model`, with what it is `fitted` by: one client's own constants, too."""
    fitted = None if model.fitted is None else constants_of(model.fitted)
    tensors = with_constants(model.weights, fitted) if fitted else model.weights
    return to_bytes(tensors, canonical_json(asdict(description)))


def load(path: Path, seed: int | None = None, older: Description | None = None) -> ReleasedModel:
    """Read a model's file; as `load_bytes`, and raises OSError."""
    return load_bytes(read_plain(path, MOST_TENSOR_BYTES), path, seed, older)


def load_bytes(
    data: bytes, path: Path, seed: int | None = None, older: Description | None = None
) -> ReleasedModel:
    """The model in the bytes of its file; `path` is only what sentences call it.

    `seed` is that of its run; without it, a network that draws of a seed what the file does not hold
    is refused. `older` describes the model of a file of an earlier version, which says nothing itself.
    Raises UserError for a file that is damaged, or does not fit the task.
    """
    return load_as(data, path, seed, older)[0]


def load_as(
    data: bytes, path: Path, seed: int | None, older: Description | None = None
) -> tuple[ReleasedModel, Description]:
    """The same, with the description in the file, without constants. Raises as `load_bytes`."""
    tensors, said = open_file(data, path)
    description = older if said is None else read_as(Description, said, path)
    if description is None:
        raise UserError(
            f"{path} does not say what it is a model of: an earlier version of Calyx, or another "
            "program, wrote it. Use it in the folder of its run."
        )
    return build(tensors, description, path, seed), description


def open_file(data: bytes, path: Path) -> tuple[Weights, Section | None]:
    """The tensors of a model's file, and the JSON object by which it describes itself, if any.

    Raises UserError for a file that is damaged.
    """
    try:
        tensors, text = decode_with_description(data)
        said = None if text is None else parse_json(text.encode())
    except (ValueError, SafetensorError):
        raise _damaged(path) from None
    if said is not None and not isinstance(said, dict):
        raise _damaged(path)
    return tensors, said


def read_as(kind: type[D], said: Section, path: Path) -> D:
    """A file's own description as this `kind` of it. Raises UserError where it is none."""
    try:
        return parse(kind, said, "")
    except ConfigError:
        raise _damaged(path) from None


def build(
    tensors: Mapping[str, Array], description: Description, path: Path, seed: int | None = None
) -> ReleasedModel:
    """The model of these tensors, `STORED` among them, by its description; as `load_bytes`."""
    try:
        own, description, constants = _with_stored(tensors, description)
    except (ValueError, ConfigError):
        raise _damaged(path) from None
    cfg = description.preprocessing
    try:
        task = load_task(description.task)
        known = describe(task, description.task, cfg)
        fitted = _fit_of(task.schema, cfg, constants)
    except ConfigError as error:
        raise UserError(f"{path} cannot be used here: {error}") from None
    if (known.schema, known.metric) != (description.schema, description.metric):
        raise UserError(
            f"{path} is of another task={task.name} than the one that is installed: its schema differs. "
            "Install the version that the model was trained with."
        )
    model = ReleasedModel(task, cfg, own, fitted, seed or 0)
    if seed is None:
        _check_drawn(path, model)
    return replace(model, weights=_in_order(path, model))


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged; restore it from a copy.")


def _with_stored(
    tensors: Mapping[str, Array], description: Description
) -> tuple[Weights, Description, tuple[Constants, ...] | None]:
    """A file's weights, its description, with the constants that all clients share, and its constants.

    Raises ValueError or ConfigError for constants that are missing, or none.
    """
    own, constants = without_constants(tensors)
    cfg = description.preprocessing
    if not cfg.is_federated:
        return own, description, constants
    if constants is None:
        raise ValueError("the constants are missing")
    cfg = replace(cfg, fitted=(constants,))
    return own, replace(description, preprocessing=cfg), constants


def _fit_of(
    schema: Schema, cfg: PreprocessingConfig, constants: tuple[Constants, ...] | None
) -> Fitted | None:
    """The preprocessing by the constants in a model's file; None where those are each client's own.

    A model that was released for one client has that client's. Raises ConfigError for constants that no
    rows can have given.
    """
    if cfg.is_federated:
        return fit_by_config(schema, cfg)
    if constants is not None:
        return recall_fit(schema, cfg, constants)
    is_fitted = any(column.kind not in ("image", "text") for column in schema.columns)
    if is_fitted and (cfg.scaling != "none" or cfg.outliers != "keep"):
        return None
    return fitted_of(schema, cfg, (_fit_nothing(column, cfg) for column in schema.columns))


def _fit_nothing(column: Column, cfg: PreprocessingConfig) -> ColumnFit:
    """What is applied to a column without constants: nothing is scaled or cut, and holes stay unless
    one value fills them at all clients.
    """
    fill = np.nan
    if column.kind == "numeric" and cfg.numeric_imputation == "constant":
        fill = constant_fill(column, cfg)
    elif column.categories and cfg.categorical_imputation == "constant":
        fill = unknown_category(column)
    return ColumnFit(fill=fill, low=-np.inf, high=np.inf, mean=0.0, scale=1.0)


def _in_order(path: Path, model: ReleasedModel) -> Weights:
    """The weights in the order of the network's tensors. Raises UserError where they are not these."""
    untrained, own = model.makeup.weights, model.weights
    wrong = sorted(untrained.keys() ^ own.keys())
    wrong = wrong or [name for name, array in untrained.items() if not _is_like(own[name], array)]
    if wrong:
        raise UserError(
            f"{path} does not fit the model of task={model.task.name}: the tensor "
            f"{printable(wrong[0], 80)} is missing, unknown, of another shape or not finite. Restore the "
            "file from a copy."
        )
    return {name: own[name] for name in untrained}


def _is_like(array: Array, untrained: Array) -> bool:
    """Whether type and shape are the same, and all is finite that is so before a training."""
    is_same = (array.dtype, array.shape) == (untrained.dtype, untrained.shape)
    return is_same and bool((np.isfinite(array) | ~np.isfinite(untrained)).all())


def _check_drawn(path: Path, model: ReleasedModel) -> None:
    """Raise UserError where the network has what follows from its run's seed, and is in no file."""
    one, other = (replace(model, seed=seed).untrained() for seed in (0, 1))
    drawn = [*find_left_behind(one, other), *find_moved(one, other)]
    if drawn:
        raise UserError(
            f"{path} does not hold all of its model: task={model.task.name} draws {drawn[0]} of the seed "
            "of its run. Use it in the folder of its run."
        )
