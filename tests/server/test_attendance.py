"""Who missed rounds is told at the end, with how many and why."""

from server.attendance import absentees, absentees_of, explained, sentences

ROUNDS = [
    {"cohort": ["a", "b", "c"], "dropped": ["b"]},
    {"cohort": ["a", "c"], "dropped": []},
    {"cohort": ["a", "b", "c"], "dropped": ["b", "c"]},
]
EVENTS = [
    {"event": "client-dropped", "client": "b", "reason": "no reply before the deadline"},
    {
        "event": "client-failed",
        "client": "b",
        "code": "internal-error",
        "message": "KeyError: 'x'.",
    },
    {"event": "client-failed", "client": "c", "code": "no-rows", "message": "There are no rows."},
    {"event": "client-dropped", "client": "b", "reason": "internal-error"},
    {"event": "client-dropped", "client": "c", "reason": "its worker process died (signal 9)"},
]
MISSED = {
    "b": {"took_part": 0, "asked": 2, "why": "internal-error"},
    "c": {"took_part": 2, "asked": 3, "why": "its worker process died (signal 9)"},
}


def test_rounds_are_counted_by_those_in_which_a_client_was_asked():
    assert absentees(ROUNDS, EVENTS) == MISSED
    assert absentees(ROUNDS[1:2], EVENTS) == {}


def test_an_observer_knows_the_words_behind_the_code_and_no_others():
    told = explained(MISSED, EVENTS)
    assert told["b"] == MISSED["b"] | {"why": "KeyError: 'x'"}
    assert told["c"] == MISSED["c"]


def test_who_was_away_most_often_comes_first_and_many_are_counted():
    said = sentences(absentees_of({"absentees": MISSED}))
    assert said == [
        "b took part in 0 of 2 rounds: internal-error",
        "c took part in 2 of 3 rounds: its worker process died (signal 9)",
    ]
    many = {f"c{i}": MISSED["b"] for i in range(7)}
    assert sentences(absentees_of({"absentees": many}))[5:] == [
        "2 more clients missed a round; summary.json names all under `absentees`"
    ]
    assert sentences(absentees_of({})) == []
