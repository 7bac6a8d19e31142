"""Hydra composes here, and nowhere else outside the program's own `hydra.main`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from calyx.composing.defaults import fill_in_defaults
from calyx.errors import ConfigError
from calyx.files.plain import absolute, at_home
from calyx.tasks.registry import load_class
from calyx.tasks.task import CompletedSection

CONFIG_MODULE = "conf"
CONFIG_NAME = "config"
PATH_KEYS = (
    *("task.data_dir", "task.schema", "audit.baseline"),
    *(f"client.{key}" for key in ("data_dir", "state_dir", "identity", "roster")),
)


@contextmanager
def hydra_begun() -> Iterator[None]:
    """Hydra with our configs and those of installed packages."""
    from hydra import initialize_config_module

    from calyx.composing.searchpath import register

    register()
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        yield


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    """The composed config of `overrides`. Hydra's state is global: one call at a time a process."""
    from hydra import compose as hydra_compose

    with hydra_begun():
        return hydra_compose(CONFIG_NAME, overrides=list(overrides), return_hydra_config=with_hydra)


def compose_master(overrides: Sequence[str]) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    """What a sweep's sweeper and launcher see: Hydra's own part, and what is swept left open."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    with hydra_begun():
        loader = GlobalHydra.instance().config_loader()
        return loader.load_configuration(CONFIG_NAME, list(overrides), RunMode.MULTIRUN)


def resolve(cfg: Any) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Plain values of a composed config, without Hydra's own part; what follows is filled in.

    Raises UserError where the task cannot complete its section, or cannot be made of it.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    values = OmegaConf.to_container(cfg, resolve=False)
    if not isinstance(values, dict):
        raise TypeError("a composed config is a mapping")
    values.pop("hydra", None)
    try:
        plain = OmegaConf.to_container(OmegaConf.create(values), resolve=True)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"{said}: ${{KEY}} stands for another key's value; a text that holds it is written \\${{KEY}}."
        ) from None
    config = {str(k): v for k, v in plain.items()} if isinstance(plain, dict) else {}
    for name in PATH_KEYS:
        _settle_path(config, *name.split("."))
    return fill_in_defaults(_complete(config))


def _settle_path(config: dict[str, Any], section: str, key: str) -> None:
    """Put the home folder in place of `~`. Raises UserError.

    In a file, a folder named 2024, true or nan is read as another thing than a name.
    """
    keys = config.get(section, {})
    if not isinstance(keys, dict):
        raise ConfigError(
            f"The config key {section} is {json.dumps(keys)}, but must be keys with values."
        )
    value = keys.get(key)
    if isinstance(value, str):
        config[section][key] = at_home(value)
    elif value is not None and (section, key) != ("task", "schema"):
        kind = "yes or no" if isinstance(value, bool) else "a number or a list"
        raise ConfigError(
            f"{section}.{key} is read as {kind}, and not as a folder's name; write {section}.{key}=./NAME."
        )


def _complete(config: dict[str, Any]) -> dict[str, Any]:
    """Put into the config what the task reads on the launcher's machine, so that all clients get the same."""
    task = config.get("task")
    if isinstance(task, dict) and isinstance(task.get("name"), str):
        cls = load_class("task", task["name"])
        if isinstance(cls, CompletedSection):
            return config | {"task": cls.completed(task)}
    return config


def settle(
    cfg: Any,  # noqa: ANN401 - OmegaConf's DictConfig
    *,
    single: bool,
    workers: int | None = None,
) -> dict[str, Any]:
    """Plain values: absolute folders, baselines in a `single` run only, null as a choice made.

    `workers` takes the place of an `engine.workers` of null, where jobs share the machine.
    """
    config = resolve(cfg)
    if config["baselines"] is None:
        config["baselines"] = single
    if workers is not None and config["engine"].get("workers") is None:
        config["engine"]["workers"] = workers
    paths = (  # the home folder is in place of `~` already
        (config["task"], "data_dir"),
        (config["client"], "data_dir"),
        (config["audit"], "baseline"),
    )
    for section, key in paths:
        if isinstance(section.get(key), str):
            section[key] = str(absolute(section[key]))
    return config
