"""Overrides of a sweep in Hydra's own grammar: what they hold, and what they may take."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from calyx.composing.compose import hydra_begun
from calyx.errors import ConfigError


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
