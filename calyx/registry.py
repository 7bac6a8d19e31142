"""Tasks and strategies by name: what is installed as an entry point is all that can be named."""

from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Literal

from calyx.config import Section
from calyx.errors import ConfigError
from calyx.tasks.base import Task


@lru_cache(maxsize=64)  # reading the metadata of all installed packages takes milliseconds
def load_class(kind: Literal["task", "strategy"], name: str) -> Any:  # noqa: ANN401 - its Protocol is the caller's
    """The class behind the entry point `name`. Raises ConfigError that lists what is installed."""
    group = {"task": "calyx.tasks", "strategy": "calyx.strategies"}[kind]
    found = entry_points(group=group)
    if name not in found.names:
        installed = ", ".join(sorted(found.names))
        raise ConfigError(f"There is no {kind} {name!r}; installed: {installed}.")
    return found[name].load()


def load_task(section: Section) -> Task:
    """The task of a config section; its `data_dir`, which belongs to a machine, is left out."""
    name = section.get("name")
    if not isinstance(name, str):
        raise ConfigError("The config key task.name is missing; give it a task's name.")
    task: Task = load_class("task", name)({k: v for k, v in section.items() if k != "data_dir"})
    return task
