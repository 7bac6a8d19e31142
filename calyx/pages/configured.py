"""The part of a run's `config.yaml` that its report shows or judges by; unknown keys pass."""

from typing import Any

from pydantic.dataclasses import dataclass

from calyx.model.metrics import Mode, Monitor
from calyx.run.json_rows import STRICT
from calyx.run.rows import Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Named:
    """A section of the config of which the report shows the name."""

    name: str


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Task(Named):
    """What is learnt; a task of one's own may call anything `hidden`, or have a schema of any form."""

    hidden: Any = None  # units of the hidden layer
    schema: Any = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Privacy(Named):
    """How updates and figures are summed."""

    weighting: str = "examples"
    clip: Any = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Preprocessing(Named):
    """How inputs are scaled."""

    scaling: str = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Training:
    """A client's own training in a round; whatever a folder calls so is read, and numbers are shown."""

    epochs: Any = None
    batch_size: Any = None
    lr: Any = None
    early_stopping: Any = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Stopping:
    """The section `stopping`: the figure by which the best round is chosen, and runs are compared."""

    monitor: Monitor
    mode: Mode
    objective: Monitor | None = None  # by which runs are compared
    patience: Count | None = None  # rounds without a better one, after which a run stops


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """The part of `config.yaml` that the page's head needs."""

    task: Task
    strategy: Named
    preprocessing: Preprocessing | None = None
    training: Training = Training()
    cohort_size: Count | None = None
    rounds: Count | None = None  # rounds at most
    seed: Count | None = None
    privacy: Privacy | None = None
    engine: Named | None = None
    stopping: Stopping = Stopping(monitor="val_loss", mode="min")
