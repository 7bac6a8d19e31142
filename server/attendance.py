"""Who was asked in the rounds of a run and gave nothing: how often, and why the last time."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from calyx.run.rows import Event, RoundRow
from calyx.run.summary import Absentee
from calyx.words.sentences import MOST_NAMED, join_names

AWAY = "site-away"  # the event of a roster's sites that a run begins without


def who_is_away(roster: Iterable[str], known: Collection[str]) -> str:
    """A sentence of the roster's sites of which nobody knows where they are; "" of none."""
    away = sorted(set(roster) - set(known))
    if not away:
        return ""
    return (
        f"{join_names(away)} of the roster did not answer: not connected, or with other code than this "
        "run's. The run does without; `calyx runs` says who is online."
    )


def absentees(rounds: Iterable[RoundRow], events: Iterable[Event]) -> dict[str, Absentee]:
    """By name, of the rounds and the events of a run; without those who missed nothing."""
    dropped = [event for event in events if event.event == "client-dropped"]
    reasons = {str(event.client): str(event.details.get("reason")) for event in dropped}
    rows = list(rounds)
    asked = Counter(name for row in rows for name in row.cohort)
    missed = Counter(name for row in rows for name in row.dropped)
    return {
        name: Absentee(
            took_part=asked[name] - missed[name],
            asked=asked[name],
            why=reasons.get(name, "unknown"),
        )
        for name in sorted(missed)
    }


def explain(absent: Mapping[str, Absentee], events: Iterable[Event]) -> dict[str, Absentee]:
    """The same with what the clients themselves said, as only a simulation's observer knows it."""
    kinds = ("client-failed", "client-refused")
    said = {(e.client, e.details.get("code")): e.message for e in events if e.event in kinds}
    words = {name: said.get((name, one.why.partition(" ")[0])) for name, one in absent.items()}
    return {
        name: replace(one, why=(words[name] or one.why).removesuffix("."))
        for name, one in absent.items()
    }


def sentences(absent: Mapping[str, Absentee]) -> list[str]:
    """Who was away, for a person: those who were away most often first, and the first few of many."""
    order = sorted(absent.items(), key=lambda item: (item[1].took_part / item[1].asked, item[0]))
    said = [
        f"{name} took part in {one.took_part} of {one.asked} rounds: {one.why}"
        for name, one in order[:MOST_NAMED]
    ]
    more = len(order) - MOST_NAMED
    if more > 0:
        said.append(f"{more} more clients missed a round; summary.json names all under `absentees`")
    return said
