"""The rows that a figure was computed on. Only figures of the same rows can be compared.

See docs/decisions/0029.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from calyx.data.schema import Schema
from calyx.model.metrics import SHARE_STEPS, Counts, Over
from calyx.vector.exact import FLOAT_STEPS, SQUARE_STEPS, root

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_TOLERANCE = 1e-9  # relative; of means that were rounded once


@dataclass(frozen=True)
class Population:
    """The rows that a figure is of, as far as a server can know them.

    `labels` are rows of each class, or where `over` is clients their mean shares; `target_mean` and
    `target_sd` are in the target's own unit. Of a classifier, or a regression, the others are None.
    """

    over: Over  # what the figure is a mean over
    clients: int  # that have rows in it, and a model to judge by them
    asked: int  # clients
    who: str  # digest of the names of the clients that answered, with rows or without
    rows: int | None  # None where they are confidential
    labels: tuple[float, ...] | None = None
    target_mean: float | None = None
    target_sd: float | None = None  # of the population
    untrained: int = 0  # clients that have no such model, and are left out

    @property
    def majority(self) -> float | None:
        """The accuracy of naming the commonest class for every row, which needs no column.

        None without rows, and of a regression: there naming the mean has an R² of 0 by definition.
        """
        if not self.labels or not sum(self.labels):
            return None
        return max(self.labels) / sum(self.labels)

    def to_json(self) -> dict[str, Any]:
        """As JSON values: `validated_on` and `tested_on` of a run's files."""
        return asdict(self) | {"labels": None if self.labels is None else list(self.labels)}


def population_of(schema: Schema, counts: Counts, names: Iterable[str], asked: int) -> Population:
    """The population of an evaluation's summed `counts`, which the clients `names` gave."""
    untrained = int(counts["untrained"][0])
    clients = int(counts["clients"][0])
    rows = int(counts["rows"][0]) if "rows" in counts else None
    who = hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()[:16]
    n = clients if rows is None else rows
    over: Over = "clients" if rows is None else "rows"
    head = Population(over, clients, asked, who, rows, untrained=untrained)
    if schema.target is None:
        labels = [int(v) for v in counts["labels"]]
        shares = [v / (max(1, n) << SHARE_STEPS) for v in labels]
        return replace(head, labels=tuple(shares if rows is None else labels))
    if n == 0:
        return head
    total = int(counts["target"][0]) - int(counts["target"][1])
    spread = max(0, n * int(counts["target_square"][0]) - total**2)
    center, scale = schema.target.center, schema.target.scale
    return replace(
        head,
        target_mean=center + total / (n << FLOAT_STEPS) * scale,
        target_sd=root(spread, n**2 << SQUARE_STEPS) * scale,
    )


def read_population(value: object) -> Population | None:
    """A population from JSON; None where there is none, or it is none of ours."""
    if not isinstance(value, dict):
        return None
    try:
        population: Population = _reader().validate_json(json.dumps(value), strict=True)
    except (ValueError, RecursionError):
        return None
    numbers = [
        *(population.labels or ()),
        population.target_mean or 0.0,
        population.target_sd or 0.0,
    ]
    if not all(map(math.isfinite, numbers)):
        return None
    # Whole numbers stay whole: the file is written again, with the same bytes.
    labels = value.get("labels")
    return replace(population, labels=None if labels is None else tuple(labels))


@cache
def _reader() -> "TypeAdapter[Population]":
    from pydantic import TypeAdapter

    return TypeAdapter(Population)


def is_same_population(one: Population | None, other: Population | None) -> bool:
    """Whether figures of the two are of the same rows, as far as can be told; never where one is None."""
    if one is None or other is None:
        return False
    heads = [(p.over, p.clients, p.who, p.rows, p.labels is None) for p in (one, other)]
    if heads[0] != heads[1] or len(one.labels or ()) != len(other.labels or ()):
        return False
    pairs = list(zip(one.labels or (), other.labels or (), strict=True))
    if (one.target_mean is None) != (other.target_mean is None):
        return False
    if one.target_mean is not None and other.target_mean is not None:
        pairs += [(one.target_sd or 0.0, other.target_sd or 0.0)]
        spread = max(one.target_sd or 0.0, other.target_sd or 0.0)
        near = max(spread, abs(one.target_mean)) * _TOLERANCE
        if not math.isclose(one.target_mean, other.target_mean, rel_tol=0, abs_tol=near):
            return False
    return all(math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=1e-300) for a, b in pairs)
