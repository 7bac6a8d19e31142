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
    """The resolved `config` with its section `stopping` and `evaluate` filled in.

    Raises ConfigError for a task or strategy that there is not.
    """
    found = dict(config)
    if isinstance(config.get("stopping"), dict):
        found["stopping"] = stopping_of(config)
    if "evaluate" in config and config["evaluate"] is None:
        found["evaluate"] = _evaluation(config)
    return found


def stopping_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `stopping` with what is watched, its direction, and what runs are compared by.

    What is tuned is what is compared: personal models are watched where the strategy trains them.
    Runs of such a strategy are compared by how often these models are right where they classify: the
    loss of a model that has seen few rows says first of all how sure it is.
    Raises ConfigError for a task or strategy that there is not.
    """
    section = dict(config["stopping"])
    monitor, objective = section.get("monitor"), section.get("objective")
    if monitor is None:
        is_personal = _trains_personal(config.get("strategy"))
        monitor = "val_personal_loss" if is_personal else "val_loss"
        if objective is None and is_personal and _classifies(config.get("task")):
            objective = "val_personal_accuracy"
    if section.get("mode") is None and isinstance(monitor, str):
        section["mode"] = better_is(monitor)
    return section | {"monitor": monitor, "objective": objective or monitor}


def _classifies(task: Any) -> bool:  # noqa: ANN401 - whatever the config holds
    return isinstance(task, dict) and load_task(task).schema.target is None


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
