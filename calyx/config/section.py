"""Typed configuration: the strict dataclass decorator, the parser of a section, canonical JSON.

Hydra composes in the launcher only. What travels or rests on disk is JSON, and each package
parses the section that it owns with `parse`. It is no registry and holds no defaults: those live
in `conf/`. See docs/decisions/0001.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from calyx.config.sentence import sentence
from calyx.errors import ConfigError, UserError
from calyx.files.foreign import read_object

T = TypeVar("T")
Section = dict[str, JsonValue]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
DeadlineS = Annotated[float, Field(gt=0, le=1e7)]  # seconds; no clock counts much further

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass that refuses unknown keys and wrong types.

    Ranges are `Annotated[..., Field(ge=…)]` beside the field; combinations of fields are checked
    in `__post_init__`, which raises ValueError.
    """
    return cast(type[T], dataclass(frozen=True, kw_only=True, config=_STRICT)(cls))


def canonical_json(value: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """One byte string for equal values: sorted keys, no spaces, no NaN. Raises ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """SHA-256, in hex, of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def parse(cls: type[T], section: Mapping[str, Any], where: str) -> T:
    """Read `section` as the config dataclass `cls`; `where` is its dotted path, "" at the top.

    Raises ConfigError with one sentence that names the key, what it got and what is allowed.
    """
    text = json.dumps(section)
    try:
        return TypeAdapter(cls).validate_json(text)
    except ValidationError as error:
        raise ConfigError(sentence(cls, error, json.loads(text), where)) from None


def parse_file(cls: type[T], path: Path, most_bytes: int) -> T | None:
    """Read a JSON file that Calyx has written as `cls`; None where there is none.

    Raises UserError where it is damaged, larger than `most_bytes`, or cannot be read.
    """
    if not os.path.lexists(path):
        return None
    try:
        return parse(cls, read_object(path, most_bytes), "")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, ConfigError):
        raise UserError(f"{path} is damaged; restore it from a copy.") from None


@config
class StrategySection:
    """Which algorithm, and its two halves, which the strategy's own classes parse."""

    name: str  # an entry point of calyx.strategies
    server: Section  # stays on the server
    local: Section  # travels to the clients


Monitor = Literal[
    "val_loss",
    "val_accuracy",
    "val_r2",
    "val_rmse",
    "val_mae",
    "val_personal_loss",
    "val_personal_accuracy",
    "val_personal_r2",
    "val_personal_rmse",
    "val_personal_mae",
]
Mode = Literal["min", "max"]


def better_is(monitor: str) -> Mode:
    """Whether the smaller or the larger of two values of this figure is the better one."""
    return "max" if monitor.endswith(("_accuracy", "_r2")) else "min"


@config
class Stopping:
    """Global early stopping, and how the best model is chosen.

    All but `patience` may be null in the config: `calyx.composing.defaults` fills them in.
    """

    monitor: Monitor  # the figure of a round's validation by which rounds are compared
    mode: Mode  # whether less of it is better, or more; the monitor leaves no choice
    objective: Monitor  # the figure of the best round by which runs are compared, in sweeps
    patience: PositiveInt | None  # rounds without a better value; null never stops early

    def __post_init__(self) -> None:
        """Raise ValueError where the direction is not the monitor's."""
        if self.mode != better_is(self.monitor):
            raise ValueError(
                f"stopping.monitor={self.monitor} needs stopping.mode={better_is(self.monitor)}"
            )


@config
class Audit:
    """The federated audit of the data, before anything is trained."""

    bins: Annotated[int, Field(ge=2, le=256)]  # of each histogram, of equal width
    fail_on: Literal["error", "warning", "never"]  # the least severe finding that stops the run
    # Whether simulated clients look at their own rows in every way, as sites do; null: where nothing
    # is trained.
    thorough: bool | None
    baseline: str | None  # folder of an earlier run, whose data this one's is compared with


@config
class CrossValidation:
    """How well a federation's models do on rows, or at clients, that they have not seen."""

    # Folds of every client's rows; `clients`: each client is a fold; null does none.
    k: Annotated[int, Field(ge=2, le=20)] | Literal["clients"] | None


@config
class RunConfig:
    """The whole resolved config; sections owned by others stay raw until their owner parses them."""

    task: Section
    strategy: StrategySection
    training: Section
    preprocessing: Section
    privacy: Section
    hardware: Section
    engine: Section
    client: Section
    rounds: PositiveInt  # rounds at most
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    cohort_size: PositiveInt | None  # clients a round; null takes all
    min_replies: PositiveInt | None  # clients in a round's sums at least; null is half + 1
    # When the aggregated model is validated, and by whom: by the next round's clients, with their
    # training; or by everybody, before it. Null in the config is filled in by `calyx.composing.defaults`.
    evaluate: Literal["with_training", "separate"]
    retries: NonNegativeInt  # times that a failed round is repeated
    deadline_s: DeadlineS  # seconds that the server waits for a stage
    keep_checkpoints: PositiveInt  # the last K are kept
    tensorboard: bool  # write events of TensorBoard into the run folder when the run ends
    mlflow: bool  # and a run of MLflow's
    baselines: bool | None  # train them too; null lets `calyx simulate` decide: not in a sweep
    stopping: Stopping
    phases: tuple[str, ...]  # what a run consists of, in order
    audit: Audit
    cv: CrossValidation
