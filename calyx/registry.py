"""Tasks and strategies by name: what is installed as an entry point is all that can be named."""

from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Literal

from calyx.config import Section
from calyx.errors import ConfigError, printable
from calyx.tasks.base import Task


@lru_cache(maxsize=64)  # reading the metadata of all installed packages takes milliseconds
def load_class(kind: Literal["task", "strategy"], name: str) -> Any:  # noqa: ANN401 - its Protocol is the caller's
    """The class behind the entry point `name`. Raises ConfigError that lists what is installed."""
    group = {"task": "calyx.tasks", "strategy": "calyx.strategies"}[kind]
    found = entry_points(group=group)
    named = [point for point in found if point.name == name]
    if not named:
        installed = ", ".join(sorted(found.names))
        raise ConfigError(f"There is no {kind} {name!r}; installed: {installed}.")
    if len({point.value for point in named}) > 1:
        packages = " and ".join(sorted(p.dist.name if p.dist else p.value for p in named))
        raise ConfigError(f"{packages} both bring a {kind} {name!r}; uninstall one of them.")
    try:
        return named[0].load()
    except Exception as error:
        package = named[0].dist.name if named[0].dist else named[0].value
        cause = printable(f"{type(error).__name__}: {error}", 200)
        raise ConfigError(
            f"The {kind} {name!r} of the package {package} cannot be imported ({cause}); mend "
            f"{named[0].value.partition(':')[0]}, or install the package again."
        ) from error


def load_task(section: Section) -> Task:
    """The task of a config section, without what is none of its own.

    That is `data_dir`, which belongs to a machine, and `faults`, which a simulation makes in rows.
    """
    name = section.get("name")
    if not isinstance(name, str):
        raise ConfigError("The config key task.name is missing; give it a task's name.")
    own = {k: v for k, v in section.items() if k not in ("data_dir", "faults")}
    task: Task = load_class("task", name)(own)
    return task
