"""A client of `flwr run`, whose simulation knows partitions and no names: it composes its own config.

On a machine of its own a client has a name and a config, and never comes here.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from flwr.app import Context

from calyx.composing.compose import compose, resolve
from calyx.config.section import Section
from calyx.errors import ConfigError
from calyx.tasks.registry import load_task
from client.config import is_named, node_config

PARTITION = "partition-id"  # Flower's key, from 0
OVERRIDES = "config"  # of Flower's run config: Hydra overrides, separated by spaces


def node_values(context: Context) -> Mapping[str, object]:
    """The node config, or what stands for it in `flwr run`. Raises ConfigError."""
    values: Mapping[str, object] = context.node_config
    if is_named(values) or PARTITION not in values:
        return values
    number = values[PARTITION]
    names, section = _clients(str(context.run_config.get(OVERRIDES, "")))
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise ConfigError(f"{PARTITION}={number} is none of this task's {len(names)} clients.")
    return node_config(names[number], section)


@lru_cache(maxsize=2)
def _clients(overrides: str) -> tuple[Sequence[str], Section]:
    config = resolve(compose(overrides.split()))
    return load_task(config["task"]).clients, config["client"]
