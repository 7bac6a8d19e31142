"""Several released models that answer as one, and the one file that holds them.

The file is a model's (`calyx.model.released`) with each member's tensors under its number, and the
members' descriptions in place of one; each is read as carefully as if it stood alone. Members are of one
task, schema and metric; each brings the preprocessing of its own inputs. See docs/decisions/0094.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calyx.config.section import canonical_json, config
from calyx.errors import ConfigError, UserError
from calyx.model.combining import Combine, Values, check_combine, combine_outputs
from calyx.model.released import (
    Description,
    ReleasedModel,
    build,
    load_bytes,
    open_file,
    read_as,
    with_constants,
)
from calyx.model.weights import Array, Weights, stack, to_bytes
from calyx.preprocessing.fitted import Fitted, constants_of
from calyx.preprocessing.fitting import num_inputs
from calyx.tasks.task import Task

MOST_MEMBERS = 64


@config
class EnsembleDescription:
    """What the file of an ensemble says beside its tensors."""

    format: Literal["calyx-ensemble/1"]
    combine: Combine
    members: Annotated[tuple[Description, ...], Field(min_length=2, max_length=MOST_MEMBERS)]


@dataclass(frozen=True)
class Ensemble:
    """Models of one task, and how their answers become one."""

    combine: Combine
    members: tuple[ReleasedModel, ...]  # two at least

    @property
    def task(self) -> Task:
        """The task of all."""
        return self.members[0].task

    @property
    def fitted(self) -> Fitted | None:
        """By what the first member's inputs are preprocessed."""
        return self.members[0].fitted

    def prepare(self, rows: Values) -> NDArray[np.float32]:
        """The inputs of all members side by side. Raises ValueError as `ReleasedModel.prepare`."""
        return np.concatenate([one.prepare(rows) for one in self.members], axis=1)

    def compute(self, inputs: NDArray[np.float32]) -> Values:
        """As `ReleasedModel.compute`, of all members together."""
        widths = [num_inputs(self.task.schema, one.preprocessing) for one in self.members]
        parts = np.split(inputs, np.cumsum(widths)[:-1], axis=1)
        outputs = [one.compute(part) for one, part in zip(self.members, parts, strict=True)]
        return combine_outputs(np.stack(outputs), self.combine)


def ensemble_bytes(members: Sequence[tuple[ReleasedModel, Description]], combine: Combine) -> bytes:
    """The bytes of a file of these members, each with its description and what it is fitted by."""
    tensors = []
    for model, _ in members:
        fitted = None if model.fitted is None else constants_of(model.fitted)
        tensors.append(with_constants(model.weights, fitted) if fitted else model.weights)
    said = EnsembleDescription(
        format="calyx-ensemble/1",
        combine=combine,
        members=tuple(description for _, description in members),
    )
    return to_bytes(stack(tensors), canonical_json(asdict(said)))


def load_models(data: bytes, path: Path) -> ReleasedModel | Ensemble:
    """What a model's file holds: one model, or several; `path` is only what sentences call it.

    Raises UserError for a file that is damaged, that does not fit the task, or whose members differ.
    """
    tensors, said = open_file(data, path)
    if said is None or said.get("format") != "calyx-ensemble/1":
        return load_bytes(data, path)
    description = read_as(EnsembleDescription, said, path)
    own = _unstack(tensors, len(description.members))
    if own is None:
        raise UserError(f"{path} is damaged; restore it from a copy.")
    members = tuple(build(one, of, path) for one, of in zip(own, description.members, strict=True))
    try:
        check_alike(members, description.members)
        check_combine(members[0].task.schema, description.combine)
    except ConfigError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    return Ensemble(description.combine, members)


def _unstack(tensors: Weights, members: int) -> list[Weights] | None:
    """The tensors of each of `members`; None where one is of nobody."""
    own: list[dict[str, Array]] = [{} for _ in range(members)]
    numbers = {str(i): i for i in range(members)}
    for key, array in tensors.items():
        number, is_numbered, name = key.partition("/")
        if not is_numbered or number not in numbers:
            return None
        own[numbers[number]][name] = array
    return list(own)


def check_alike(models: Sequence[ReleasedModel], descriptions: Sequence[Description]) -> None:
    """Raise ConfigError unless all are of one task, schema and metric, and each can read a row."""
    first = descriptions[0]
    for number, (model, one) in enumerate(zip(models, descriptions, strict=True), 1):
        if one.task["name"] != first.task["name"]:
            raise ConfigError(
                f"Model 1 is of task={first.task['name']}, and model {number} of task={one.task['name']}; "
                "combine models of one task."
            )
        if (one.schema, one.metric) != (first.schema, first.metric):
            raise ConfigError(
                f"The schema of model {number} is another than that of model 1; combine models of the same "
                "columns and classes."
            )
        if model.fitted is None:
            raise ConfigError(
                f"Model {number} has no preprocessing of its own: each client of its run fitted one. Train "
                "it with preprocessing=federated."
            )
