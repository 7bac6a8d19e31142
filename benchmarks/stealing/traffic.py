"""Callers that steal nothing, and what a detector makes of them.

Each of them is one key for a day. Shapes: N rows, C columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.stealing.prada import Prada
from benchmarks.stealing.victims import Values, Victim
from calyx.seeding import rng
from calyx.serving.holds import Holds
from calyx.serving.stealing import PATIENCE, Detector, DetectorConfig

_WHAT_IFS = 20  # of one patient, the first being the patient itself
NIGHT = 5000
VISITS = (0.1, 0.3)  # standard deviations: of vital signs by the hour, and of visits weeks apart


@dataclass(frozen=True)
class Traffic:
    """One caller's requests in their order."""

    kind: str
    requests: Sequence[Values]

    def __len__(self) -> int:
        """Rows in all."""
        return sum(map(len, self.requests))


@dataclass(frozen=True)
class Watched:
    """What a detector made of one caller; None: it never did."""

    slowed_after: int | None  # rows asked before the alert
    stopped_after: int | None
    answered: int  # rows
    prada_after: int | None  # rows before PRADA alarms


def each_ordinary(victim: Victim, callers: int) -> Iterator[Traffic]:
    """So many callers of each kind.

    They ask of test rows, but for all of a site's rows; a night's list has each row many times.
    """
    for number in range(callers):
        draw = rng(number, "stealing-ordinary")
        for parts in victim.parts.values():
            rows = _shuffle(parts["test"].x, draw)
            yield Traffic("a site's rows, one by one", _cut(rows, 1))
            everything = np.concatenate([part.x for part in parts.values()])
            yield Traffic("all of a site's rows, by 32", _cut(_shuffle(everything, draw), 32))
            varied = _vary(victim, draw, np.repeat(rows[:60], _WHAT_IFS, axis=0))
            yield Traffic("what-ifs of a site's rows", _cut(varied, _WHAT_IFS))
        everybody = victim.part("test").x
        yield Traffic("each row twice", _cut(np.repeat(_shuffle(everybody, draw), 2, axis=0), 10))
        if all(column.kind != "image" for column in victim.schema.columns):
            for moved in VISITS:
                visits = _add_visits(victim, draw, everybody, moved)
                yield Traffic(f"a third are second visits, {moved} sd apart", _cut(visits, 10))
        night = everybody[draw.integers(0, len(everybody), NIGHT)]
        yield Traffic("a nightly list of 5,000", [night])


def _shuffle(rows: Values, draw: np.random.Generator) -> Values:
    return rows[draw.permutation(len(rows))]


def _vary(victim: Victim, draw: np.random.Generator, rows: Values) -> Values:
    """Rows of which all but each first have one or two columns of another patient's."""
    others = victim.part("test").x
    rows = rows.copy()
    for place in range(len(rows)):
        if place % _WHAT_IFS:
            columns = draw.choice(rows.shape[1], draw.integers(1, 3), replace=False)
            rows[place, columns] = others[draw.integers(len(others)), columns]
    return rows


def _add_visits(victim: Victim, draw: np.random.Generator, rows: Values, moved: float) -> Values:
    """Rows and, of half of them, a second visit at which each number has moved by so many deviations."""
    again = rows[draw.random(len(rows)) < 0.5]
    is_number = np.array([not column.categories for column in victim.schema.columns])
    sizes = np.where(is_number, moved * np.nanstd(rows, axis=0), 0.0)
    again = again + sizes * draw.standard_normal(again.shape)
    schema = victim.schema
    return _shuffle(np.concatenate([rows, np.clip(again, schema.low, schema.high)]), draw)


def _cut(rows: Values, size: int) -> list[Values]:
    return [rows[begin : begin + size] for begin in range(0, len(rows), size)]


def cut_requests(kind: str, rows: Values, size: int = 100) -> Traffic:
    """A thief's rows as requests."""
    return Traffic(kind, _cut(rows, size))


def watch(victim: Victim, traffic: Traffic, *, with_prada: bool = True) -> Watched:
    """What the detector of the default config, and PRADA, make of a caller that waits as it is told."""
    clock = [0.0]
    with TemporaryDirectory() as folder:
        detector = Detector(
            DetectorConfig(),
            victim.population,
            victim.reference,
            Holds(Path(folder) / "holds"),
            lambda: clock[0],
        )
        asked = answered = 0
        slowed = stopped = None
        left = list(reversed(traffic.requests))
        while left:
            rows = left.pop()
            verdict = detector.observe("caller", victim.look(rows))
            if verdict.action == "slow":
                slowed = asked + len(rows) if slowed is None else slowed
                clock[0] += verdict.retry_after_s
                left += [*reversed(_cut(rows, PATIENCE))]  # it does as it is told
                continue
            asked += len(rows)
            if verdict.action == "stop":
                stopped = asked
                break
            answered += len(rows)
            clock[0] += len(rows)
    return Watched(slowed, stopped, answered, _ask_prada(victim, traffic) if with_prada else None)


def _ask_prada(victim: Victim, traffic: Traffic) -> int | None:
    prada, asked = Prada(), 0
    for rows in traffic.requests:
        inputs = victim.model.prepare(rows)
        labels = victim.model.compute(inputs).argmax(axis=1).tolist()
        for row, label in zip(inputs, labels, strict=True):
            asked += 1
            if prada.observe(row, label):
                return asked
            if asked >= 2000:
                return None
    return None
