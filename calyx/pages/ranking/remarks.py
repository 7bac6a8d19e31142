"""What is to be said beside a ranking: copies, missing seeds, ties, what has no effect. Pure.

A remark is one sentence without a full stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calyx.model.metrics import PERSONAL
from calyx.pages.ranking.entries import Entry, rows_text
from calyx.pages.ranking.standings import Group, Settings, Standing
from calyx.words.sentences import join_names

_MOST_NAMED = 3  # settings or keys in one remark


def remarks(groups: Sequence[Group], what: str = "job") -> list[str]:
    """Everything to be said of a ranking; `what` is the word for one run."""
    lines = [line for group in groups for line in group.lines]
    standings = [line.standing for line in lines]
    return [
        *_apart(groups),
        *_own_models(groups),
        *_copies(standings, what),
        *_without_spread(standings),
        *_seeds_compared(groups),
        *_without_place(groups),
        *_ties(groups),
    ]


def _apart(groups: Sequence[Group]) -> list[str]:
    known = [group for group in groups if group.kind]
    if len(known) < 2:
        return []
    return [f"{len(known)} groups are not ranked against each other: {_why_apart(known)}"]


def _own_models(groups: Sequence[Group]) -> list[str]:
    """Where common and own models stand in one column."""
    sentences = []
    for group in groups:
        own = [name for name in group.figures if PERSONAL in name]
        if own and len(group.figures) > len(own):
            owners = [
                line.standing.label
                for line in group.lines
                if any(e.value is not None and e.figure in own for e in line.standing.entries)
            ]
            sentences.append(
                f"{'; '.join(owners[:_MOST_NAMED])}: by {own[0]}, of clients' own models"
            )
    return sentences


def _why_apart(groups: Sequence[Group]) -> str:
    kinds = [group.kind for group in groups if group.kind]
    if len({kind.task for kind in kinds}) > 1:
        return "their figures are of several tasks"
    if len({kind.figure for kind in kinds}) > 1:
        return "they are not compared by the same figure"
    if len({kind.over for kind in kinds}) > 1:
        return "some of their figures are means over rows, and some over clients"
    if len({kind.classes for kind in kinds}) > 1:
        return "they tell other classes apart"
    values = (e for g in groups for line in g.lines for e in line.standing.entries if e.kind)
    if any(one.rows is None for one in values):
        return (
            "their figures are of other rows, or of unknown ones (as of an earlier version's run)"
        )
    return "their figures are of other rows"


def describe_group(group: Group) -> str:
    """What a group's figures are, and of whom."""
    if group.kind is None:
        return "no figure"
    entries = (e for line in group.lines for e in line.standing.entries if e.value is not None)
    texts = {e.seed: rows_text(e.rows) for e in entries if e.rows}
    of = "".join(f": {text}" for text in list(texts.values())[:1])
    if len(set(texts.values())) > 1:
        of += f" with seed {next(iter(texts))}, and others of the same clients with other seeds"
    over = "" if group.kind.over == "rows" else f", a mean over {group.kind.over}"
    return f"{group.kind.figure}{over}, task {group.kind.task}{of}"


def _copies(standings: Sequence[Standing], what: str) -> list[str]:
    sentences = []
    for one in standings:
        for seed, runs in one.seeds.items():
            known = [e for e in runs if e.value is not None]
            if len(known) < 2:
                continue
            models = {e.model for e in known}
            if seed not in one.values:
                why = "their figures are of other rows, so that none is counted"
            elif len(models) == 1 and None not in models:
                why = "the same model: copies, which count once"
            else:
                why = "models that differ; their mean counts as one"
            sentences.append(f"{one.label}: {len(known)} {what}s have seed {seed} and {why}")
    return _shorten(sentences)


def _without_spread(standings: Sequence[Standing]) -> list[str]:
    """Seeds that change nothing are no repetitions."""
    sentences = []
    for one in standings:
        num = len(one.values)
        if num < 2:
            continue
        if one.num_independent == 1:
            sentences.append(
                f"{one.label}: all {num} seeds gave the same model: the seed has no effect"
            )
        elif one.num_independent < num:
            sentences.append(
                f"{one.label}: {num} seeds gave only {one.num_independent} different models"
            )
        elif len(set(one.values.values())) == 1:
            sentences.append(
                f"{one.label}: all {num} seeds gave exactly the same figure, which is a reason to "
                "look and no certainty"
            )
    return _shorten(sentences)


def _seeds_compared(groups: Sequence[Group]) -> list[str]:
    sentences = []
    for group in groups:
        if group.lost:
            sentences.append(f"no setting has a figure of {_seeds(group.lost)}")
        if len(group.placed) > 1 and any(
            len(line.values) < len(line.standing.values) for line in group.placed
        ):
            sentences.append(
                f"the settings have other seeds each; they are compared over {_seeds(group.seeds)}, "
                "which all of those with a place have"
            )
    return sentences


def _without_place(groups: Sequence[Group]) -> list[str]:
    sentences = []
    for group in groups:
        behind = [line for line in group.lines if line.place is None and line.values]
        if not behind or len(group.lines) < 2:
            continue
        if group.placed:
            names = "; ".join(_missing(line.standing, group.seeds) for line in behind[:_MOST_NAMED])
            more = f" and {len(behind) - _MOST_NAMED} more" if len(behind) > _MOST_NAMED else ""
            sentences.append(
                f"no place for {names}{more}: a mean over some seeds is not ranked beside a mean "
                "over all"
            )
        else:
            sentences.append(
                "no setting has a place, because there is no seed that all of them have"
            )
    return sentences


def _missing(one: Standing, seeds: Sequence[str]) -> str:
    total = tuple(dict.fromkeys([*seeds, *one.seeds]))
    return f"{one.label}, which has {len(one.values)} of {len(total)} seeds"


def _ties(groups: Sequence[Group]) -> list[str]:
    sentences, is_alone = [], len([group for group in groups if group.kind]) < 2
    for number, group in enumerate(groups, start=1):
        leaders, of = group.leaders, "" if is_alone else f" of group {number}"
        if len(leaders) < 2:
            continue
        if len(leaders) == len(group.placed):
            settings = [dict(line.standing.settings) for line in leaders]
            varied = [k for k in _keys(settings) if len({one.get(k) for one in settings}) > 1]
            sentences.append(
                f"all {len(leaders)} settings{of} tie: {join_names(varied, len(varied))} "
                f"{'does' if len(varied) == 1 else 'do'} not change what is compared"
            )
        else:
            sentences.append(f"{len(leaders)} settings share the lead{of}")
    return sentences


@dataclass(frozen=True)
class Result:
    """What a finished run came to, to see whether a key changes anything."""

    settings: Settings
    seed: str
    model: str | None
    figures: Mapping[str, Any]


def without_effect(results: Sequence[Result]) -> list[str]:
    """Say which varied keys have no effect: all their values give the same model and figures.

    Runs are compared that differ in this key only. Where a strategy has models of clients' own, the
    common one is not all there is, so the figures are compared too.
    """
    keys = _keys([dict(one.settings) for one in results])
    idle = [key for key in keys if _is_idle(key, results)]
    if not idle:
        return []
    has = "has" if len(idle) == 1 else "have"
    return [
        f"{join_names(idle, len(idle))} {has} no effect: the models are the same whatever the value"
    ]


def _is_idle(key: str, results: Sequence[Result]) -> bool:
    alike: dict[object, dict[str | None, set[object]]] = {}
    for one in results:
        if one.model is None:
            return False
        others = (one.seed, tuple(pair for pair in one.settings if pair[0] != key))
        value = dict(one.settings).get(key)
        outcome = (one.model, tuple(sorted(_select_figures(one.figures).items())))
        alike.setdefault(others, {}).setdefault(value, set()).add(outcome)
    several = [values for values in alike.values() if len(values) > 1]
    return bool(several) and all(len(set().union(*v.values())) == 1 for v in several)


def _keys(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys of all settings, each once; what one setting has, another one's config may not have."""
    return list(dict.fromkeys(key for one in settings for key in one))


def _select_figures(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a model, common or a client's own; not what it cost, and not when it was best."""
    return {
        key: float(value)
        for key, value in figures.items()
        if key.startswith(("test_", PERSONAL, "best_val_")) and isinstance(value, int | float)
    }


def missing_figures(entries: Sequence[Entry], what: str = "job") -> list[str]:
    """Why finished runs have no figure to be compared by."""
    jobs_by_reason: dict[str, list[str]] = {}
    for one in entries:
        if one.value is None and one.kind is not None:
            jobs_by_reason.setdefault(one.why, []).append(one.name)
    return [
        f"{what}{'' if len(names) == 1 else 's'} {', '.join(names)} cannot be ranked: {why}"
        for why, names in jobs_by_reason.items()
    ]


def _seeds(seeds: Sequence[str]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}"


def _shorten(sentences: list[str]) -> list[str]:
    """The first few of a kind, and how many more there are."""
    more = len(sentences) - _MOST_NAMED
    return (
        sentences if more <= 0 else [*sentences[:_MOST_NAMED], f"and {more} more settings likewise"]
    )
