"""What sets the runs of a comparison apart: the keys of their configs that name a setting. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from calyx.files.foreign import parse_yaml
from calyx.pages.folder import Run
from calyx.pages.ranking.standings import Settings

# What a run should not depend on: it names a setting only where runs of one seed differ in nothing else.
_QUIET = ("baselines", "tensorboard", "mlflow", "profile", "hardware", "client", "engine")
# Settings that follow from another one where nobody has written them.
_FOLLOWS = {
    "stopping.monitor": "strategy.name",
    "stopping.mode": "stopping.monitor",
    "stopping.objective": "strategy.name",
    "evaluate": "cohort_size",
}
# What is read from a folder of data, so that the folder's name says it.
_OF_DATA = ("task.clients", "task.schema")
_ABSENT = "–"  # in a config that has no such key


def settings_of(runs: Sequence[Run]) -> list[Settings]:
    """The settings, without the seed, by which each run is told from the others."""
    flat = [_flat(_config(run)) for run in runs]
    keys = [key for key in sorted({key for one in flat for key in one}) if key != "seed"]
    differ = [key for key in keys if len({one.get(key, _ABSENT) for one in flat}) > 1]
    loud = [key for key in differ if key.partition(".")[0] not in _QUIET]
    named = [key for key in loud if not _follows(key, loud, flat)]
    quiet = [key for key in differ if key not in loud and _is_varied(key, named, flat)]
    alike = {tuple(one.get(key, _ABSENT) for one in flat): key for key in reversed(quiet)}
    named += [key for key in quiet if key in alike.values()]
    named.sort(key=lambda key: not key.endswith(".name"))  # a strategy before its own keys
    return [tuple((key, one[key]) for key in named if key in one) for one in flat]


def _follows(key: str, differ: Sequence[str], flat: Sequence[Mapping[str, str]]) -> bool:
    """Whether a key differs because another one does, so that it tells nothing more.

    A strategy's own keys follow from its name, as long as all runs of that name have the same; the
    clients and the schema from the folder of data that they were read from.
    """
    parents = [f"{key.partition('.')[0]}.name", _FOLLOWS.get(key, "")]
    if ".".join(key.split(".")[:2]) in _OF_DATA:
        parents.append("task.data_dir")
    for parent in parents:
        if parent == key or parent not in differ:
            continue
        pairs = {(one.get(parent), one.get(key)) for one in flat}
        if len(pairs) == len({first for first, _ in pairs}):
            return True
    return False


def _is_varied(key: str, named: Sequence[str], flat: Sequence[Mapping[str, str]]) -> bool:
    """Whether runs of one seed and one setting differ in this key."""
    seen: dict[tuple[str | None, ...], set[str]] = {}
    for one in flat:
        place = tuple(one.get(other) for other in (*named, "seed"))
        seen.setdefault(place, set()).add(one.get(key, _ABSENT))
    return any(len(values) > 1 for values in seen.values())


def _config(run: Run) -> dict[str, Any]:
    values = parse_yaml(run.config_text)
    return values if isinstance(values, dict) else {}


def _flat(values: Mapping[str, Any], head: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{head}{key}"
        if isinstance(value, dict):
            flat |= _flat(value, f"{path}.")
        else:
            flat[path] = "null" if value is None else str(value)
    return flat
