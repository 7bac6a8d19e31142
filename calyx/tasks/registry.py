"""Tasks, strategies and questions by name: what is installed as an entry point is all that can be named."""

import inspect
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from calyx.config.section import Section
from calyx.data.names import NumberedNames
from calyx.data.schema import Schema
from calyx.errors import CalyxError, ConfigError, printable
from calyx.tasks.causes import cause_of
from calyx.tasks.task import Task
from calyx.trust.measured import may_load
from calyx.vector.weighing import check_w_max

Kind = Literal["task", "strategy", "question"]
GROUPS = {"task": "calyx.tasks", "strategy": "calyx.strategies", "question": "calyx.questions"}
# What a class must have to be one: a look at its names, which finds an entry point that is another
# thing altogether. Whether a task's attributes are right is seen when it is made and used.
_METHODS = {
    "task": ("load", "model"),
    "strategy": ("server_config", "local_objective", "initial_state", "combine", "apply"),
}
_ATTRIBUTES = ("name", "w_max", "clients", "schema")
_WANTED = {
    "task": "a class made from the section `task`, with name, w_max, clients, schema, load and model "
    "(calyx/tasks/task.py)",
    "strategy": "a subclass of strategies.algorithm.Algorithm",
}


@lru_cache(maxsize=64)  # reading the metadata of all installed packages takes milliseconds
def load_class(kind: Literal["task", "strategy"], name: str) -> Any:  # noqa: ANN401 - its Protocol is the caller's
    """The class behind the entry point `name`. Raises ConfigError that lists what is installed."""
    cls = load_point(kind, name)
    lacks = [method for method in _METHODS[kind] if not hasattr(cls, method)]
    if not inspect.isclass(cls) or lacks:
        (point,) = {point.value for point in entry_points(group=GROUPS[kind], name=name)}
        raise _not_one(kind, name, point, lacks)
    return cls


def load_point(kind: Kind, name: str) -> Any:  # noqa: ANN401 - what it is, the caller looks at
    """What the entry point `name` of a kind names. Raises ConfigError that lists what is installed."""
    points = entry_points(group=GROUPS[kind])
    named = [point for point in points if point.name == name]
    if not named:
        installed = ", ".join(sorted(points.names))
        raise ConfigError(f"There is no {kind} {name!r}; installed: {installed}.")
    if len({point.value for point in named}) > 1:
        packages = " and ".join(sorted(p.dist.name if p.dist else p.value for p in named))
        raise ConfigError(f"{packages} both bring a {kind} {name!r}; uninstall one of them.")
    _check_measured(kind, name, named[0])
    try:
        return named[0].load()
    except (Exception, SystemExit) as error:  # a script that was named by mistake ends its process
        package = named[0].dist.name if named[0].dist else named[0].value
        cause = printable(f"{type(error).__name__}: {error}", 200)
        raise ConfigError(
            f"The {kind} {name!r} of the package {package} cannot be imported ({cause}); mend "
            f"{named[0].value.partition(':')[0]}, or install the package again."
        ) from error


def _check_measured(kind: str, name: str, point: EntryPoint) -> None:
    """Importing a module runs it: a site with a manifest looks first. Raises ConfigError."""
    if not may_load(point.module):
        package = printable(point.module.partition(".")[0], 80)
        raise ConfigError(
            f"The {kind} {name!r} is of the package {package}, which this site's manifest does not cover: "
            f"ask the consortium for one that was signed with `calyx keys manifest --package {package}`."
        )


def _not_one(kind: str, name: str, where: str, lacks: list[str]) -> ConfigError:
    problem = f"lacks {', '.join(lacks)}" if lacks else "is no class of that kind"
    return ConfigError(
        f"The entry point {name!r} of a {kind}, {where}, {problem}: it must be {_WANTED[kind]}."
    )


def own_section(section: Section) -> Section:
    """What a task is made from: without a machine's `data_dir`, and the `faults` of a simulation."""
    return {k: v for k, v in section.items() if k not in ("data_dir", "faults")}


def load_task(section: Section) -> Task:
    """The task of a config section. Raises ConfigError."""
    name = section.get("name")
    if not isinstance(name, str):
        raise ConfigError("The config key task.name is missing; give it a task's name.")
    own = own_section(section)
    cls = load_class("task", name)
    where = f"{cls.__module__}:{cls.__qualname__}"
    try:
        inspect.signature(cls).bind(own)
    except TypeError:
        raise _not_one("task", name, where, ["a constructor that takes the section"]) from None
    try:
        task: Task = cls(own)
        lacks = [attribute for attribute in _ATTRIBUTES if not hasattr(task, attribute)]
    except CalyxError:
        raise
    except (Exception, SystemExit) as error:  # a script that was named by mistake ends its process
        raise ConfigError(
            f"task={name} cannot be made: {cause_of(error, cls)}. Mend it."
        ) from error
    if lacks:
        raise _not_one("task", name, where, lacks)
    _check_types(task, name)
    return task


def _check_types(task: Task, name: str) -> None:
    """Raise ConfigError where an attribute is not of its type."""
    if task.name != name:
        raise ConfigError(
            f"task={name} is a class whose name is {task.name!r:.80}: its name is to be that of its entry "
            "point and of its config file."
        )
    clients: Any = task.clients
    schema: Any = task.schema
    is_numbered = isinstance(clients, NumberedNames)  # names, each once, by themselves
    is_listed = isinstance(clients, tuple | list)
    if not is_numbered and not (is_listed and all(isinstance(c, str) and c for c in clients)):
        raise ConfigError(
            f"The clients of task={name} are names, a tuple of texts, and not {clients!r:.80}."
        )
    if not isinstance(schema, Schema):
        kind = type(schema).__name__
        raise ConfigError(
            f"The schema of task={name} is a {kind}, and no calyx.data.schema.Schema."
        )
    listed = () if is_numbered else clients
    for what, names in (("client", listed), ("class", schema.classes)):
        if len(set(names)) < len(names):
            twice = next(word for word in names if names.count(word) > 1)
            raise ConfigError(f"task={name} has the {what} {printable(twice, 80)} twice.")
    w_max: Any = task.w_max
    if not (w_max is None or isinstance(w_max, int)):
        raise ConfigError(
            f"The w_max of task={name} is a number of rows or None, not {w_max!r:.80}."
        )
    try:
        check_w_max(w_max)
    except ValueError as error:
        raise ConfigError(f"task={name}: {error}.") from None
