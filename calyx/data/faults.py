"""Faults in one client's rows, for simulation: what a broken export or a bad hand does to data.

Pure and deterministic: the same table, fault and seed give the same rows. The config key is
`task.faults`, null or a list. Real data is never touched: only a simulation has this key.

Shapes: N rows, C columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calyx.config.section import config, parse
from calyx.data.schema import Column, Schema, Table, present_values
from calyx.errors import ConfigError, DataError
from calyx.seeding import rng

Kind = Literal["missing", "outliers", "labels", "duplicates", "swapped", "unit"]
STRENGTHS: dict[Kind, float] = {  # where a fault names none; what each is, is said in `Fault`
    "missing": 0.20,
    "outliers": 0.01,
    "labels": 0.20,
    "duplicates": 0.05,
    "unit": 10.0,
}
OUTLIER_DISTANCE = 10.0  # of an outlier from the mean, in standard deviations of its column
WHOLE_TABLE: tuple[Kind, ...] = ("labels", "duplicates")  # kinds that are no column's
MAX_FACTOR = 1e6


@config
class Fault:
    """One fault of one client.

    - missing: a share of a column's values is gone;
    - outliers: in a share of the rows, a column is ten of its standard deviations off its mean;
    - labels: a share of the rows has another class;
    - duplicates: a share of the rows stands twice;
    - swapped: two columns of one kind have changed places;
    - unit: a column is multiplied by a factor.
    """

    client: str
    kind: Kind
    column: str | None = None  # null: drawn by seed among those that it can be seen in
    other: str | None = None  # of `swapped`: the second column; null: drawn
    strength: Annotated[float, Field(gt=0)] | None = None  # a share, or the factor of `unit`

    def __post_init__(self) -> None:
        """Refuse what the kind has no use for, and strengths that are none."""
        if self.column is not None and self.kind in WHOLE_TABLE:
            raise ValueError(f"{self.kind} is of whole rows and takes no column")
        if self.other is not None and (self.kind != "swapped" or self.column is None):
            raise ValueError("other is the second column of swapped, and goes with column")
        if self.other is not None and self.other == self.column:
            raise ValueError(f"the column {self.column} cannot be swapped with itself")
        if self.strength is None:
            return
        if self.kind == "swapped":
            raise ValueError("swapped has no strength")
        if self.kind == "unit" and (self.strength == 1 or self.strength > MAX_FACTOR):
            raise ValueError(f"strength is the factor of unit, not 1 and at most {MAX_FACTOR:g}")
        if self.kind != "unit" and self.strength > 1:
            raise ValueError(f"strength is a share of {self.kind}, above 0 and at most 1")


def parse_faults(section: Any, clients: Sequence[str], schema: Schema) -> tuple[Fault, ...]:  # noqa: ANN401 - raw config
    """The value of `task.faults`, checked against the task. Raises ConfigError."""
    entries = [] if section is None else section
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise ConfigError("The config key task.faults must be null or a list of faults.")
    faults = []
    for i, entry in enumerate(entries):
        fault = parse(Fault, entry, f"task.faults.{i}")
        wrong = _misfit(fault, clients, schema)
        if wrong:
            raise ConfigError(f"The config section task.faults.{i} cannot be used: {wrong}.")
        faults.append(fault)
    return tuple(faults)


def _misfit(fault: Fault, clients: Sequence[str], schema: Schema) -> str | None:
    if fault.client not in clients:
        return f"there is no client {fault.client}; the task has {_some(clients)}"
    columns = {column.name: column for column in schema.columns}
    named = [name for name in (fault.column, fault.other) if name is not None]
    unknown = [name for name in named if name not in columns]
    if unknown:
        return f"there is no column {unknown[0]}; the task has {_some(list(columns))}"
    if fault.kind == "labels" and schema.target is not None:
        return "labels needs classes, and the task predicts a number"
    kinds = _kinds(fault.kind)
    unfit = [name for name in named if columns[name].kind not in kinds]
    if unfit:
        what = f"{fault.kind} is for columns that are {' or '.join(kinds)}"
        return f"{what}, and {unfit[0]} is {columns[unfit[0]].kind}"
    if len({columns[name].kind for name in named}) > 1:
        return f"{fault.column} and {fault.other} are of two kinds, and swapped is within one"
    return None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{names[0]} … {names[-1]}"


def _kinds(kind: Kind) -> tuple[str, ...]:
    numbers = ("numeric", "image")
    return numbers if kind in ("outliers", "unit") else (*numbers, "categorical", "ordinal")


def corrupt(table: Table, schema: Schema, faults: Sequence[Fault], client: str, seed: int) -> Table:
    """The rows of `client` after its own faults, in their order; the table itself without any.

    Raises DataError where a fault finds nothing to change.
    """
    for place, fault in enumerate(faults):
        if fault.client == client:
            table = inject(table, schema, fault, seed, place)
    return table


def inject(table: Table, schema: Schema, fault: Fault, seed: int, place: int = 0) -> Table:
    """`table` [N, C] with one fault; the given arrays stay as they are.

    `place` is the fault's in the list, so that two of one kind differ. Columns that it does not
    change keep their bytes. Raises DataError where there is nothing to change.
    """
    fault = draw_columns(table, schema, fault, seed, place)
    draw = rng(seed, f"fault-{fault.kind}", place, fault.client)
    if fault.kind == "labels":
        return _flip(table, schema, _strength(fault), draw)
    if fault.kind == "duplicates":
        rows = _chosen(np.arange(len(table)), _strength(fault), draw)
        return table.take(np.concatenate([np.arange(len(table)), rows]))
    names = [column.name for column in schema.columns]
    x, i = table.x.copy(), names.index(str(fault.column))
    present = _present(table, schema.columns[i], i)
    match fault.kind:
        case "missing":
            x[_chosen(present, _strength(fault), draw), i] = np.nan
        case "outliers":
            rows = _chosen(present, _strength(fault) * len(table) / len(present), draw)
            values = table.x[present, i]
            signs = draw.choice([-1.0, 1.0], len(rows))
            x[rows, i] = values.mean() + signs * OUTLIER_DISTANCE * values.std()
        case "unit":
            x[present, i] *= _strength(fault)
        case "swapped":
            j = names.index(str(fault.other))
            x[:, [i, j]] = x[:, [j, i]]
    return replace(table, x=x)


def draw_columns(table: Table, schema: Schema, fault: Fault, seed: int, place: int = 0) -> Fault:
    """`fault` with the columns that it names or draws. Raises DataError where none is suitable.

    A column is suitable where the fault can be seen: missing needs a value; outliers, unit and
    swapped need two different ones.
    """
    if len(table) == 0:
        raise _refuse(fault, "there are no rows")
    if fault.kind in WHOLE_TABLE:
        return fault
    suitable = [
        column.name
        for i, column in enumerate(schema.columns)
        if column.kind in _kinds(fault.kind) and _is_suitable(table, column, i, fault.kind)
    ]
    draw = rng(seed, f"fault-column-{fault.kind}", place, fault.client)
    if fault.kind == "swapped":
        return _pair(table, schema, fault, suitable, draw)
    if fault.column is None and suitable:
        return replace(fault, column=suitable[draw.integers(len(suitable))])
    if fault.column not in suitable:
        raise _refuse(fault, f"{fault.column or 'no column'} has values that it would change")
    return fault


def _pair(
    table: Table, schema: Schema, fault: Fault, suitable: list[str], draw: np.random.Generator
) -> Fault:
    kinds = {column.name: column.kind for column in schema.columns}
    places = {column.name: i for i, column in enumerate(schema.columns)}
    wanted = {name for name in (fault.column, fault.other) if name is not None}
    pairs = [
        pair
        for pair in combinations(suitable, 2)
        if kinds[pair[0]] == kinds[pair[1]] and wanted <= set(pair)
    ]
    for k in draw.permutation(len(pairs)):
        first, second = pairs[k] if fault.column in (None, pairs[k][0]) else pairs[k][::-1]
        one, other = table.x[:, places[first]], table.x[:, places[second]]
        if not np.array_equal(one, other, equal_nan=True):
            return replace(fault, column=first, other=second)
    raise _refuse(fault, "there are no two columns of one kind with different values")


def _is_suitable(table: Table, column: Column, i: int, kind: Kind) -> bool:
    present = present_values(table.x[:, i], column)
    if kind == "missing":
        return len(present) > 0
    return len(present) > 0 and bool((present != present[0]).any())


def _present(table: Table, column: Column, i: int) -> NDArray[np.int64]:
    values = table.x[:, i]
    return np.flatnonzero(~np.isnan(values) & ~np.isin(values, column.missing_codes))


def _strength(fault: Fault) -> float:
    return STRENGTHS[fault.kind] if fault.strength is None else fault.strength


def _chosen(rows: NDArray[np.int64], share: float, draw: np.random.Generator) -> NDArray[np.int64]:
    """This share of `rows`, rounded, at least one and at most all of them; sorted."""
    count = min(max(1, round(share * len(rows))), len(rows))
    return np.sort(draw.choice(rows, count, replace=False))


def _flip(table: Table, schema: Schema, share: float, draw: np.random.Generator) -> Table:
    """Another class in this share of the rows, each of the others alike."""
    rows = _chosen(np.arange(len(table)), share, draw)
    y, classes = table.y.copy(), len(schema.classes)
    y[rows] = (y[rows] + draw.integers(1, classes, len(rows))) % classes
    return replace(table, y=y)


def _refuse(fault: Fault, why: str) -> DataError:
    return DataError(
        f"The fault {fault.kind} of {fault.client} has nothing to change: {why}; choose another "
        "column or client in task.faults."
    )
