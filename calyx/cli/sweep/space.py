"""The overrides of a sweep in Hydra's grammar: what they may take, and the search space that they span."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calyx.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
from contextlib import nullcontext

from calyx.composing.compose import hydra_begun

Value = str | int | float


@dataclass(frozen=True)
class Choice:
    """One of some values, as they are written in an override."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """Numbers from `low` to `high`, both included, `step` apart or without a gap."""

    low: float
    high: float
    step: float | None
    is_log: bool

    @property
    def values(self) -> tuple[float, ...]:
        """All numbers, `step` apart; none where there is no step."""
        if self.step is None:
            return ()
        count = round((self.high - self.low) / self.step) + 1
        return tuple(_round(self.low + i * self.step) for i in range(count))


@dataclass(frozen=True)
class Space:
    """What is searched, by the key of its override, and the overrides that all trials share."""

    parts: dict[str, Choice | Numbers]
    fixed: tuple[str, ...]

    def words(self, values: dict[str, Any]) -> list[str]:
        """The overrides of a trial: the shared ones, and a value of each part."""
        return [*self.fixed, *(f"{key}={_text(values[key])}" for key in self.parts)]

    def samples(self) -> list[list[str]]:
        """Trials that between them hold every choice and both ends of all numbers."""
        ends = {key: _ends(part) for key, part in self.parts.items()}
        first = {key: values[0] for key, values in ends.items()}
        others = [first | {key: v} for key, values in ends.items() for v in values[1:]]
        return [self.words(values) for values in (first, *others)]

    def describe(self) -> dict[str, Any]:
        """The space as JSON values, which are equal for equal spaces."""
        return {key: [type(part).__name__, *_plain(part)] for key, part in self.parts.items()}


def read_space(words: Sequence[str]) -> Space:
    """The space of `words`, later ones in place of earlier ones of the same key.

    Raises ConfigError if there is nothing to search, or something cannot be; Hydra's errors for
    what is no override.
    """
    parts: dict[str, Choice | Numbers] = {}
    fixed: dict[str, str] = {}
    for override in parse_overrides(words):
        key = override.get_key_element()
        parts.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            parts[key] = _part(override)
        elif not override.is_hydra_override():
            fixed[key] = override.input_line
    if not parts:
        raise ConfigError(
            "hydra/sweeper=optuna has nothing to search; give a key values to choose from, such as "
            "strategy=fedavg,fedprox or training.lr=interval(0.01,1)."
        )
    return Space(parts, tuple(fixed.values()))


def _part(override: Any) -> Choice | Numbers:  # noqa: ANN401 - Hydra's Override
    from hydra.core.override_parser.types import ValueType

    value, line = override.value(), override.input_line
    is_log = "log" in getattr(value, "tags", ())
    if override.value_type == ValueType.INTERVAL_SWEEP:
        if not value.start < value.end:
            raise ConfigError(f"{line} holds no value: its start must be less than its end.")
        if is_log and value.start <= 0:
            raise ConfigError(f"{line} is searched by its logarithm, so it must begin above 0.")
        step = 1 if isinstance(value.start, int) and isinstance(value.end, int) else None
        return Numbers(value.start, value.end, step, is_log)
    texts = candidates(override)
    if override.value_type != ValueType.RANGE_SWEEP:
        return Choice(tuple(dict.fromkeys(texts)))
    if is_log:
        raise ConfigError(f"{line} has steps, and no logarithm; use tag(log, interval(…)).")
    numbers = sorted(float(t) if "." in t or "e" in t else int(t) for t in texts)
    return Numbers(numbers[0], numbers[-1], abs(value.step), is_log)


def distribution(part: Choice | Numbers) -> "BaseDistribution":
    """What is searched of one key, as a distribution of Optuna's."""
    from optuna import distributions as of

    if isinstance(part, Choice):
        return of.CategoricalDistribution(part.values)
    if isinstance(part.low, int) and isinstance(part.high, int):
        step = 1 if part.is_log else int(part.step or 1)
        return of.IntDistribution(part.low, part.high, log=part.is_log, step=step)
    return of.FloatDistribution(part.low, part.high, log=part.is_log, step=part.step)


def _ends(part: Choice | Numbers) -> tuple[Value, ...]:
    if isinstance(part, Choice):
        return part.values
    return (part.low, part.high) if part.low < part.high else (part.low,)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else repr(_round(value))


def _round(value: float) -> float:
    """0.1 + 2 × 0.3 is 0.7 to a person; the twelfth digit decides nothing."""
    return value if isinstance(value, int) else float(f"{value:.12g}")


def _plain(part: Choice | Numbers) -> list[Any]:
    if isinstance(part, Choice):
        return list(part.values)
    return [part.low, part.high, part.step, part.is_log]


def parse_overrides(words: Sequence[str]) -> list[Any]:
    """Hydra's parsed overrides; `glob` finds this program's config groups. Raises Hydra's errors."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    hydra = GlobalHydra.instance()
    # Inside a sweep Hydra is at work already, and there is one of it a process.
    begun = hydra.is_initialized()
    with nullcontext() if begun else hydra_begun():
        parser = OverridesParser.create(config_loader=hydra.config_loader())
        return parser.parse_overrides(list(words))


def candidates(override: Any) -> list[str]:  # noqa: ANN401 - Hydra's Override
    """The values of a discrete sweep, as they are written. Raises ConfigError if there are none."""
    from hydra.errors import HydraException

    try:
        values = [str(value) for value in override.sweep_string_iterator()]
    except (ValueError, HydraException) as error:
        raise ConfigError(f"{override.input_line} is no range of values: {error}.") from None
    if not values:
        raise ConfigError(f"The sweep has no jobs: {override.input_line} holds no value.")
    return values


def read_params(master: Any) -> list[str]:  # noqa: ANN401 - OmegaConf's DictConfig
    """What `hydra.sweeper.params` of a config file sweeps over."""
    params = master.hydra.sweeper.get("params") or {}
    return [f"{key}={value}" for key, value in params.items()]
