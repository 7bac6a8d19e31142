"""Places of settings: every seed counts once, and only what has the same seeds is compared. Pure.

A mean over the seeds that happened to finish is not put beside a mean over all, and figures of
other rows, units or kinds are not sorted in one column: such settings stand in groups of their own.
See docs/decisions/0030.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean

from calyx.pages.ranking.entries import Entry, Kind, is_same_rows
from calyx.run.summary import Summary
from calyx.words.digits import ABSENT

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Standing:
    """Runs whose settings differ in the seed only."""

    settings: Settings
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Its name in a line: what was varied."""
        words = (f"{key.removesuffix('.name')}={value}" for key, value in self.settings)
        return " ".join(words) or "all runs"

    @property
    def kind(self) -> Kind | None:
        """What its figures are; None while it has none."""
        return next((e.kind for e in self.entries if e.kind is not None), None)

    @cached_property
    def seeds(self) -> dict[str, tuple[Entry, ...]]:
        """Its runs by seed, in the order of the seeds."""
        names = sorted({e.seed for e in self.entries}, key=_seed_order)
        return {s: tuple(e for e in self.entries if e.seed == s) for s in names}

    @cached_property
    def values(self) -> dict[str, float]:
        """Seed → its figure, for the seeds that have one.

        Runs of one seed are one repetition, whose figure is the mean of theirs; there is none if they
        are of different kinds, or of different rows.
        """
        by_seed = {}
        for seed, runs in self.seeds.items():
            known = [e for e in runs if e.value is not None and e.kind == self.kind]
            if known and all(is_same_rows(known[0].rows, e.rows) for e in known):
                by_seed[seed] = mean(e.value for e in known if e.value is not None)
        return by_seed

    @property
    def is_whole(self) -> bool:
        """Whether every one of its seeds has a figure."""
        return bool(self.values) and len(self.values) == len(self.seeds)

    @cached_property
    def num_independent(self) -> int:
        """Repetitions of which none is a copy: seeds with a figure, those with one model once."""
        models = [self.model_of(seed) for seed in self.values]
        known = {model for model in models if model is not None}
        return len(known) + models.count(None)

    def model_of(self, seed: str) -> str | None:
        """The SHA-256 of a seed's model, where it is known and its runs have the same."""
        models = {e.model for e in self.seeds[seed] if e.value is not None}
        return next(iter(models)) if len(models) == 1 else None


@dataclass(frozen=True)
class Line:
    """A standing with its place among those that it is compared with; None if it has none."""

    standing: Standing
    place: int | None
    is_tied: bool
    seeds: tuple[str, ...]  # those that it is ranked over, or all that it was run with
    values: tuple[float, ...]  # of those seeds, where they have a figure


@dataclass(frozen=True)
class Group:
    """Settings that may be compared with each other, the best first, those without a place last."""

    kind: Kind | None  # None where none of them has a figure
    lines: tuple[Line, ...]
    seeds: tuple[str, ...] = ()  # over which those with a place are ranked
    lost: tuple[str, ...] = field(default=())  # seeds that no setting has

    @property
    def placed(self) -> tuple[Line, ...]:
        """The lines that have a place."""
        return tuple(line for line in self.lines if line.place is not None)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of what it is ranked by: more than one where some have models of clients' own."""
        entries = (e for line in self.lines for e in line.standing.entries)
        return tuple(dict.fromkeys(e.figure for e in entries if e.value is not None))

    def place_text(self, line: Line) -> str:
        """The place of one of its lines; a dash where it has none, or there is nothing beside it."""
        if line.place is None or len(self.lines) < 2:
            return ABSENT
        return f"{line.place}{'=' if line.is_tied else ''}"

    @property
    def leaders(self) -> tuple[Line, ...]:
        """The first, or all that share the lead."""
        return tuple(line for line in self.lines if line.place == 1)


def sample(line: Line, summaries: Mapping[str, Summary | None], name: str) -> list[float]:
    """A figure, one value a seed that has it: the mean of the seed's runs.

    `summaries` are by the name of an entry; None, or no such name, of a run that has not ended.
    """
    means = []
    for seed in line.seeds:
        known = [summaries.get(entry.name) for entry in line.standing.seeds[seed]]
        figures = [summary.figure(name) for summary in known if summary]
        if values := [value for value in figures if value is not None]:
            means.append(mean(values))
    return means


def standings(entries: Iterable[Entry]) -> list[Standing]:
    """Entries by setting, in the order in which they are given."""
    by_settings: dict[Settings, list[Entry]] = {}
    for entry in entries:
        by_settings.setdefault(entry.settings, []).append(entry)
    return [Standing(settings, tuple(runs)) for settings, runs in by_settings.items()]


def rank(entries: Iterable[Entry]) -> list[Group]:
    """The settings in groups that do not compare with each other; those without a figure last."""
    groups: list[list[Standing]] = []
    empty = []
    for one in standings(entries):
        if not one.values:
            empty.append(one)
            continue
        fitting = (g for g in groups if all(is_comparable(one, other) for other in g))
        group = next(fitting, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    if empty and len(groups) == 1:
        return [_rank([*groups[0], *empty])]
    return [*map(_rank, groups), *([_rank(empty)] if empty else [])]


def is_comparable(one: Standing, other: Standing) -> bool:
    """Whether their figures are of one kind, and for each seed that both have of the same rows."""
    return one.kind == other.kind and all(
        is_same_rows(left.rows, right.rows)
        for seed in one.values.keys() & other.values.keys()
        for left in one.seeds[seed]
        for right in other.seeds[seed]
        if left.value is not None and right.value is not None
    )


def ranking_seeds(group: Sequence[Standing]) -> tuple[str, ...]:
    """The seeds over which a group's settings are ranked; none if there are no such.

    All seeds of the group, if a setting has them all and no other one stands alone by that; those
    that all whole settings share otherwise. What lacks one of them has no place.
    """
    whole = [set(one.values) for one in group if _is_whole(one, group)]
    if not whole:
        return ()
    union = set().union(*(one.values for one in group))
    has_all = sum(seeds == union for seeds in whole)
    shared = union if has_all >= min(2, len(whole)) else set.intersection(*whole)
    return tuple(sorted(shared, key=_seed_order))


def lost_seeds(group: Sequence[Standing]) -> tuple[str, ...]:
    """Seeds of which no setting has a figure: they tell none from another."""
    union = {seed for one in group for seed in one.seeds}
    known = {seed for one in group for seed in one.values}
    return tuple(sorted(union - known, key=_seed_order)) if known else ()


def _is_whole(one: Standing, group: Sequence[Standing]) -> bool:
    return bool(one.values) and set(one.seeds) - set(one.values) <= set(lost_seeds(group))


def _rank(group: Sequence[Standing]) -> Group:
    seeds = ranking_seeds(group)
    kind = next((one.kind for one in group if one.values), None)
    sign = kind.sign if kind else 1
    placed = [
        one for one in group if seeds and _is_whole(one, group) and set(seeds) <= set(one.values)
    ]
    means = {one.settings: mean(one.values[s] for s in seeds) for one in placed}
    placed.sort(key=lambda one: sign * means[one.settings])
    values = list(means.values())
    lines = []
    for one in placed:
        here = means[one.settings]
        place = 1 + sum(sign * other < sign * here for other in values)
        ranked_by = tuple(one.values[s] for s in seeds)
        lines.append(Line(one, place, values.count(here) > 1, seeds, ranked_by))
    others = sorted((one for one in group if one not in placed), key=lambda one: not one.values)
    lines += [
        Line(one, None, False, tuple(one.seeds), tuple(one.values.values())) for one in others
    ]
    return Group(kind, tuple(lines), seeds, lost_seeds(group))


def _seed_order(seed: str) -> tuple[int, float, str]:
    try:
        return 0, int(seed), seed
    except ValueError:
        return 1, 0, seed
