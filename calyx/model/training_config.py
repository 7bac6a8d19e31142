"""The section `training`; apart from the loop, so that a mistake is found before PyTorch is loaded."""

from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import PositiveInt, config
from calyx.vector.weighing import LARGEST_W_MAX

MIN_VALIDATION_ROWS = 20  # fewer say too little about when to stop


@config
class EarlyStopping:
    """When a client stops before its last local epoch; never with too few validation rows."""

    patience: PositiveInt | None  # epochs without a better validation loss; null never stops
    min_delta: Annotated[
        float, Field(ge=0, le=1e6)
    ]  # nats by which the loss must fall to count as better


@config
class TrainingConfig:
    """The section `training`: beyond these ranges nothing is learned, whatever the rows."""

    name: str
    epochs: Annotated[int, Field(ge=1, le=10_000)]  # local epochs a round at most
    batch_size: Annotated[int, Field(ge=1, le=LARGEST_W_MAX)]  # rows a batch
    lr: Annotated[float, Field(ge=1e-12, le=1e6)]  # learning rate
    optimizer: Literal["sgd", "adam", "adamw"]
    momentum: Annotated[float, Field(ge=0, lt=1)]  # of sgd; at 1 and above nothing converges
    weight_decay: Annotated[float, Field(ge=0, le=100)]
    early_stopping: EarlyStopping
