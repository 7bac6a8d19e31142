"""The whole config of a run, typed once: by the launcher that checks it, and by the server that runs it.

It loads neither PyTorch nor Flower, so that a mistake is answered at once. Three sections stay as
they were written, because others read them: a task makes itself of `task`, each client reads
`client` beside its own files, and the launcher reads `engine`. See docs/decisions/0066.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from calyx.config.section import (
    DeadlineS,
    NonNegativeInt,
    PositiveInt,
    Section,
    config,
    parse,
)
from calyx.machine.hardware import HardwareConfig
from calyx.model.attack_config import NO_ROBUST, RobustConfig
from calyx.model.combining import Combine
from calyx.model.metrics import Mode, Monitor, better_is
from calyx.model.training_config import TrainingConfig
from calyx.preprocessing.config import WrittenPreprocessing
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Cv, check_combined


@config
class StrategySection:
    """Which algorithm, and its two halves, which the strategy's own classes parse."""

    name: str  # an entry point of calyx.strategies
    server: Section  # stays on the server
    local: Section  # travels to the clients


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
    # Judge the folds' models together, too, on the test part, which the folds then leave alone.
    combine: Combine | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a combination without folds of rows."""
        check_combined(self.k, self.combine)

    def of_all(self) -> Cv | None:
        """As orders of all folds say it; None without a cross-validation."""
        return None if self.k is None else Cv(k=self.k, fold=None, combine=self.combine)


@config
class RunConfig:
    """The whole resolved config."""

    task: Section
    strategy: StrategySection
    training: TrainingConfig
    preprocessing: WrittenPreprocessing
    privacy: PrivacyConfig
    hardware: HardwareConfig
    engine: Section
    client: Section
    rounds: PositiveInt  # rounds at most
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    cohort_size: PositiveInt | None  # clients a round; null takes all
    # Clients that audit, separate validation, test and folds ask, the same each time; null asks all.
    census_size: PositiveInt | None
    min_replies: PositiveInt | None  # clients in a round's sums at least; null is half + 1
    # When the aggregated model is validated, and by whom: by the next round's clients, with their
    # training; or by everybody, before it. Null in the config is filled in by `calyx.composing.defaults`.
    evaluate: Literal["with_training", "separate"]
    retries: NonNegativeInt  # times that a failed round is repeated
    deadline_s: DeadlineS  # seconds that the server waits for a stage
    keep_checkpoints: PositiveInt  # the last K are kept; short rounds of a simulation may share one
    tensorboard: bool  # write events of TensorBoard into the run folder when the run ends
    mlflow: bool  # and a run of MLflow's
    profile: bool  # record where each round's time goes, in simulation: profile.jsonl
    baselines: bool | None  # train them too; null lets `calyx simulate` decide: not in a sweep
    stopping: Stopping
    phases: tuple[str, ...]  # what a run consists of, in order
    audit: Audit
    cv: CrossValidation
    robust: RobustConfig = NO_ROBUST  # left out by runs of before it: nobody is asked


def read_run(config: Mapping[str, Any]) -> RunConfig:
    """A resolved config, typed: each section once, here. Raises ConfigError."""
    return parse(RunConfig, config, "")
