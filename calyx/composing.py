"""Hydra composes here, and nowhere else outside the program's own `hydra.main`."""

from collections.abc import Sequence
from typing import Any

from calyx.registry import load_class

CONFIG_MODULE = "conf"
CONFIG_NAME = "config"


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    """The composed config of `overrides`. Hydra's state is global: one call at a time a process."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module

    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        return hydra_compose(CONFIG_NAME, overrides=list(overrides), return_hydra_config=with_hydra)


def resolved(cfg: Any) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Plain values of a composed config, without Hydra's own part.

    Raises UserError where the task cannot complete its section.
    """
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(cfg, resolve=False)
    if not isinstance(values, dict):
        raise TypeError("a composed config is a mapping")
    values.pop("hydra", None)
    plain = OmegaConf.to_container(OmegaConf.create(values), resolve=True)
    return _completed({str(k): v for k, v in plain.items()} if isinstance(plain, dict) else {})


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """With what the task reads from the launcher's machine, so that all clients get the same."""
    task = config.get("task")
    if isinstance(task, dict) and isinstance(task.get("name"), str):
        complete = getattr(load_class("task", task["name"]), "completed", None)
        if complete is not None:
            return config | {"task": complete(task)}
    return config
