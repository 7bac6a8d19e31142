"""Who missed rounds is told at the end, with how many and why."""

from dataclasses import replace

from support.run_folders import round_of

from calyx.run.rows import make_event
from calyx.run.summary import Absentee
from server.attendance import absentees, explain, sentences, who_is_away

ROUNDS = [
    round_of(1, cohort=["a", "b", "c"], dropped=["b"]),
    round_of(2, cohort=["a", "c"]),
    round_of(3, cohort=["a", "b", "c"], dropped=["b", "c"]),
]


def event(kind, client, message="x", **details):
    return make_event(kind, "warning", message, client=client, **details)


EVENTS = [
    event("client-dropped", "b", reason="no reply before the deadline"),
    event("client-failed", "b", "KeyError: 'x'.", code="internal-error"),
    event("client-failed", "c", "There are no rows.", code="no-rows"),
    event("client-dropped", "b", reason="internal-error"),
    event("client-dropped", "c", reason="its worker process died (signal 9)"),
]
MISSED = {
    "b": Absentee(took_part=0, asked=2, why="internal-error"),
    "c": Absentee(took_part=2, asked=3, why="its worker process died (signal 9)"),
}


def test_rounds_are_counted_by_those_in_which_a_client_was_asked():
    assert absentees(ROUNDS, EVENTS) == MISSED
    assert absentees(ROUNDS[1:2], EVENTS) == {}


def test_an_observer_knows_the_words_behind_the_code_and_no_others():
    told = explain(MISSED, EVENTS)
    assert told["b"] == replace(MISSED["b"], why="KeyError: 'x'")
    assert told["c"] == MISSED["c"]


def test_who_was_away_most_often_comes_first_and_many_are_counted():
    said = sentences(MISSED)
    assert said == [
        "b took part in 0 of 2 rounds: internal-error",
        "c took part in 2 of 3 rounds: its worker process died (signal 9)",
    ]
    many = {f"c{i}": MISSED["b"] for i in range(7)}
    assert sentences(many)[5:] == [
        "2 more clients missed a round; summary.json names all under `absentees`"
    ]
    assert sentences({}) == []


def test_sites_that_a_run_begins_without_are_named():
    assert who_is_away(["north", "south"], ["south", "north"]) == ""
    said = who_is_away(["west", "north", "south"], ["north"])
    assert said.startswith(
        "south and west of the roster did not answer: not connected, or with other"
    )
