"""A client's own config: what its machine decides, whatever an order says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calyx.config import Section, canonical_json, config, parse
from calyx.errors import ConfigError
from calyx.hardware import HardwareConfig

_NAME_KEY = "client-name"  # in Flower's node config
_CONFIG_KEY = "client-config"


@config
class ClientConfig:
    """The section `client`."""

    name: str
    data_dir: str | None  # where this client's data lies; null: the task's own source
    hardware: Section  # of this client's machine


@dataclass(frozen=True)
class Site:
    """Who this client is, and what its machine gives it."""

    name: str
    data_dir: Path | None
    hardware: HardwareConfig


def node_config(name: str, section: Section) -> dict[str, str]:
    """Flower's flat node config for a client called `name` with this section `client`."""
    return {_NAME_KEY: name, _CONFIG_KEY: canonical_json(section)}


def read_site(values: Mapping[str, object]) -> Site:
    """The site behind a node config. Raises ConfigError."""
    name, text = values.get(_NAME_KEY), values.get(_CONFIG_KEY)
    if not isinstance(name, str) or not isinstance(text, str):
        raise ConfigError(f"The node config needs {_NAME_KEY} and {_CONFIG_KEY}.")
    cfg = parse(ClientConfig, json.loads(text), "client")
    hardware = parse(HardwareConfig, cfg.hardware, "client.hardware")
    return Site(name, Path(cfg.data_dir) if cfg.data_dir else None, hardware)
