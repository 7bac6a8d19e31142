"""Which keys an order may have, and what each may hold: read from the config dataclasses.

A site bounds orders by their keys. A key that no order has would bound nothing, and nobody would
notice, so that a policy is compared with these. It reads no order and judges no value.

A pattern is a dotted key in which `{}` stands for a name that somebody gives, such as a column's.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from calyx.config.human_yaml import NULLS, Plain, read_tree
from calyx.config.key_types import Types, fields_of, members
from calyx.errors import ConfigError, UserError
from calyx.model.attack_config import AttackConfig
from calyx.model.training_config import TrainingConfig
from calyx.preprocessing.config import PreprocessingConfig
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Cv, Order, Terms
from calyx.survey.blocks import StatisticsConfig
from calyx.tasks.registry import GROUPS, load_class
from calyx.tasks.task import TypedSection
from calyx.trust.measured import may_load

NAME = "{}"
ALIKE = 0.75  # how near a key is to one that there is, of 1, for it to be what is meant
Kinds = Mapping[str, Types]  # annotations of what may be there, by pattern


@lru_cache(maxsize=16)  # a policy is read by several commands of one process
def order_keys(tasks: tuple[str, ...] | None) -> Kinds:
    """The keys of orders for these tasks and whatever strategy; None is all that are installed.

    Raises ConfigError for a task that is not installed.
    """
    order, terms = fields_of(Order), fields_of(Terms)
    own = {key: order[key] for key in ("rounds", "deadline_s")} | {"seed": terms["seed"]}
    own |= {
        "cv.k": fields_of(Cv)["k"],
        "cv.combine": fields_of(Cv)["combine"],
        "task.w_max": terms["w_max"],
    }
    own |= {"cohort_size": terms["cohort_size"]}
    own |= {f"{kind}.name": cast(Any, Literal)[_installed(kind)] for kind in ("task", "strategy")}
    own |= {"task.faults": object, f"task.faults.{NAME}": object}  # of simulations
    kinds_of = {key: [kind] for key, kind in own.items()}
    sections = {
        "training": TrainingConfig,
        "preprocessing": PreprocessingConfig,
        "privacy": PrivacyConfig,
        "statistics": StatisticsConfig,
        "robust": AttackConfig,
    }
    pairs = [pair for name, cls in sections.items() for pair in _below(cls, name)]
    for _, cls in _classes("strategy", None):
        pairs += _below(cls.local_objective, "strategy.local")
    for name, cls in _classes("task", tasks):
        pairs += _of_task(name, cls)
    for key, kind in pairs:
        if key not in own or key == "task.w_max":
            kinds_of.setdefault(key, []).append(kind)
    return {key: tuple(dict.fromkeys(kinds)) for key, kinds in kinds_of.items()}


def covered(key: str, known: Kinds) -> Types:
    """What the keys may hold that a bound for `key` is of, `a.*` being all below a; () if none is."""
    section = key.removesuffix(".*")
    is_wide = section != key
    covered_kinds = (
        kinds
        for pattern, kinds in known.items()
        if any(_is(section, head) for head in (_heads(pattern) if is_wide else (pattern,)))
    )
    return tuple(kind for kinds in covered_kinds for kind in kinds)


def nearest(key: str, known: Kinds) -> str:
    """The key that is meant where an order has none of this name; "" if none is like it."""
    shown = sorted(pattern.replace(NAME, "NAME") for pattern in known)
    wide = {f"{head.replace(NAME, 'NAME')}.*" for pattern in known for head in _heads(pattern)}
    if f"{key}.*" in wide:  # the whole section was meant
        return f"{key}.*"
    alike = get_close_matches(key.lower(), sorted(wide) if key.endswith(".*") else shown, 1, ALIKE)
    last = key.rpartition(".")[2]
    return next(iter([*alike, *(k for k in shown if k.rpartition(".")[2] == last)]), "")


def _installed(kind: str) -> tuple[str, ...]:
    return tuple(sorted(entry_points(group=GROUPS[kind]).names))


def _classes(
    kind: Literal["task", "strategy"], names: Sequence[str] | None
) -> Iterator[tuple[str, Any]]:
    for name in _installed(kind) if names is None else names:
        try:
            yield name, load_class(kind, name)
        except ConfigError:
            if names is not None:
                raise  # of those that nobody named, one that is broken is asked for by no order


def _of_task(name: str, cls: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - a task's class
    """Those of the section `task`: of its dataclass where the task says it, else of its config file."""
    if isinstance(cls, TypedSection) and dataclasses.is_dataclass(cls.section):
        return list(_below(cls.section, "task"))
    values = _written(name)
    if values is None:  # nothing says what there may be
        return [(f"task.{NAME}", object)]
    return list(_of_values(values, "task"))


def _written(task: str) -> Mapping[str, Any] | None:
    """The section `task` as its package writes it; None where there is no such file."""
    for point in entry_points(group="calyx.configs"):
        if not may_load(point.value):  # to find its files imports it
            continue
        try:
            path = Path(str(files(point.value).joinpath("task", f"{task}.yaml")))
            section = read_tree(path, "docs/bring-your-own.md").get("task")
        except (ImportError, OSError, UserError):
            continue
        if isinstance(section, dict):
            return {str(k): v for k, v in section.items() if k != "data_dir"}
    return None


def _of_values(value: Any, key: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - YAML
    """What a file's values tell: a key that is null there may be a section as well."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _of_values(inner, f"{key}.{name}")
        return
    yield key, object
    if isinstance(value, Mapping) or (isinstance(value, Plain) and value in NULLS):
        yield f"{key}.{NAME}", object


def _below(kind: Any, key: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - an annotation
    """Each leaf below a key, and its annotation."""
    is_leaf = False
    for one in members(kind):
        origin: Any = get_origin(one)
        origin = one if origin is None else origin
        if dataclasses.is_dataclass(one):
            for name, inner in fields_of(one).items():
                yield from _below(inner, f"{key}.{name}")
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            yield from _below(get_args(one)[1] if get_args(one) else object, f"{key}.{NAME}")
        else:
            is_leaf = True
    if is_leaf:
        yield key, kind


def _heads(pattern: str) -> Iterator[str]:
    """The sections that a pattern lies in: of a.b.c these are a and a.b."""
    parts = pattern.split(".")
    for end in range(1, len(parts)):
        yield ".".join(parts[:end])


def _is(key: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(re.escape(NAME), ".+"), key))
