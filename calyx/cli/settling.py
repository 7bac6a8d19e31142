"""The resolved config with what depends on how and where it was started made explicit."""

from typing import Any

from calyx.composing.compose import resolve
from calyx.files.plain import absolute


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
