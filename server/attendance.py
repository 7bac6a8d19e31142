"""Who was asked in the rounds of a run and gave nothing: how often, and why the last time."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from calyx.run.folder import Row
from calyx.words.sentences import MOST_NAMED, join_names

AWAY = "site-away"  # the event of a roster's sites that a run begins without


@dataclass(frozen=True)
class Absentee:
    """A client that was not in the sums of every round that it was asked in."""

    took_part: int  # rounds
    asked: int  # rounds
    why: str  # the last time


def who_is_away(roster: Iterable[str], known: Collection[str]) -> str:
    """A sentence of the roster's sites of which nobody knows where they are; "" of none."""
    away = sorted(set(roster) - set(known))
    if not away:
        return ""
    return (
        f"{join_names(away)} of the roster did not answer: not connected, or with other code than this "
        "run's. The run does without; `calyx runs` says who is online."
    )


def absentees(rounds: Iterable[Row], events: Iterable[Row]) -> dict[str, Row]:
    """By name, of the lines of rounds.jsonl and events.jsonl; without those who missed nothing."""
    reasons = {str(e["client"]): str(e["reason"]) for e in events if e["event"] == "client-dropped"}
    asked: dict[str, int] = {}
    missed: dict[str, int] = {}
    for row in rounds:
        for name in row["cohort"]:
            asked[name] = asked.get(name, 0) + 1
        for name in row["dropped"]:
            missed[name] = missed.get(name, 0) + 1
    return {
        name: asdict(
            Absentee(asked[name] - missed[name], asked[name], reasons.get(name, "unknown"))
        )
        for name in sorted(missed)
    }


def explained(absent: dict[str, Row], events: Iterable[Row]) -> dict[str, Row]:
    """The same with what the clients themselves said, as only a simulation's observer knows it."""
    kinds = ("client-failed", "client-refused")
    said = {(e["client"], e.get("code")): str(e["message"]) for e in events if e["event"] in kinds}
    own = {name: said.get((name, row["why"].partition(" ")[0])) for name, row in absent.items()}
    return {
        name: row | {"why": (own[name] or row["why"]).removesuffix(".")}
        for name, row in absent.items()
    }


def absentees_of(summary: Row) -> dict[str, Absentee]:
    """Those of a run's summary, which names none where nobody was away."""
    found: Row = summary.get("absentees") or {}
    return {name: Absentee(**row) for name, row in found.items()}


def sentences(absent: dict[str, Absentee]) -> list[str]:
    """Who was away, for a person: those who were away most often first, and the first few of many."""
    order = sorted(absent.items(), key=lambda item: (item[1].took_part / item[1].asked, item[0]))
    found = [
        f"{name} took part in {one.took_part} of {one.asked} rounds: {one.why}"
        for name, one in order[:MOST_NAMED]
    ]
    more = len(order) - MOST_NAMED
    if more > 0:
        found.append(
            f"{more} more clients missed a round; summary.json names all under `absentees`"
        )
    return found
