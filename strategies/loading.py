"""The client's half of an algorithm by name, as an order gives it; it needs no Flower."""

from collections.abc import Mapping
from typing import Any

from calyx.config.section import parse
from calyx.tasks.registry import load_class
from strategies.algorithm import Algorithm
from strategies.local import LocalObjective


def load_objective(name: str, local: Mapping[str, Any]) -> LocalObjective:
    """The client's half of an installed algorithm. Raises ConfigError."""
    cls: type[Algorithm[object]] = load_class("strategy", name)
    return parse(cls.local_objective, local, "strategy.local")
