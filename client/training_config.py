"""The section `training`; apart from the loop, so that a mistake is found before PyTorch is loaded."""

from typing import Literal

from calyx.config import NonNegativeFloat, PositiveFloat, PositiveInt, config

MIN_VALIDATION_ROWS = 20  # fewer say too little about when to stop


@config
class EarlyStopping:
    """When a client stops before its last local epoch; never with too few validation rows."""

    patience: PositiveInt | None  # epochs without a better validation loss; null never stops
    min_delta: NonNegativeFloat  # nats by which the loss must fall to count as better


@config
class TrainingConfig:
    """The section `training`."""

    name: str
    epochs: PositiveInt  # local epochs a round at most
    batch_size: PositiveInt  # rows a batch
    lr: PositiveFloat  # learning rate
    optimizer: Literal["sgd", "adam", "adamw"]
    momentum: NonNegativeFloat  # of sgd
    weight_decay: NonNegativeFloat
    early_stopping: EarlyStopping
