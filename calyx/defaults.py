"""Settings that follow from others where the config leaves them null: filled in when it is composed.

What is written by hand stays, and is checked where it is parsed. A run folder's `config.yaml` holds
the values that were filled in, so that a resumed run, a report and a sweep see the same ones.
"""

from collections.abc import Mapping
from typing import Any

from calyx.config import better_is, parse
from calyx.errors import ConfigError
from calyx.registry import load_class, load_task


def followed(config: dict[str, Any]) -> dict[str, Any]:
    """The resolved `config` with `stopping.monitor`, `stopping.mode` and `evaluate` filled in.

    Raises ConfigError for a task or strategy that there is not.
    """
    stopping, found = config.get("stopping"), dict(config)
    if isinstance(stopping, dict):
        found["stopping"] = stopping | watched(stopping, config.get("strategy"))
    if "evaluate" in config and config["evaluate"] is None:
        found["evaluate"] = _evaluation(config)
    return found


def watched(stopping: Mapping[str, Any], strategy: Any) -> dict[str, Any]:  # noqa: ANN401 - checked here
    """`monitor` and `mode` of a section `stopping`, for the section of a strategy.

    What is tuned is what is compared: personal models are watched where the strategy trains them.
    Raises ConfigError for a strategy that there is not.
    """
    monitor, mode = stopping.get("monitor"), stopping.get("mode")
    if monitor is None:
        monitor = "val_personal_loss" if _trains_personal(strategy) else "val_loss"
    if mode is None and isinstance(monitor, str):
        mode = better_is(monitor)
    return {"monitor": monitor, "mode": mode}


def _trains_personal(strategy: Any) -> bool:  # noqa: ANN401 - whatever the config holds
    if not isinstance(strategy, Mapping) or not isinstance(strategy.get("name"), str):
        return False  # it is refused where the section is parsed
    objective = load_class("strategy", strategy["name"]).local_objective
    try:
        personal = parse(objective, strategy.get("local") or {}, "strategy.local").personal()
    except ConfigError:
        return False  # it is said, with all else that is wrong, where the strategy is checked
    return personal is not None


def _evaluation(config: Mapping[str, Any]) -> str:
    """By everybody in each round: with the training where all take part in it, else separately."""
    size, task = config.get("cohort_size"), config.get("task")
    if size is None or not isinstance(task, dict):
        return "with_training"
    return "with_training" if size == len(load_task(task).clients) else "separate"
