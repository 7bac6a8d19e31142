"""What an exchange that failed says: whose fault it is, in one sentence."""

from calyx.words.sentences import join_names
from server.exchange.exchange import (
    LOST_GROUP,
    UNSOUND,
    Exchange,
    GroupSums,
    Outcome,
    TooFewReplies,
)

NAMES = tuple(f"site-{i}" for i in range(9))


def failed(dropped):
    sums = GroupSums({}, dropped, bytes_up=0, bytes_down=0)
    return TooFewReplies(Outcome(Exchange("train", 3, (NAMES,)), sums, dropped), 5)


def test_who_gave_nothing_is_named_and_who_only_lost_its_group_is_counted():
    lost = dict.fromkeys(NAMES, f"{LOST_GROUP}: 8 clients are left")
    error = failed(lost | {"site-4": "no-rows"})
    assert error.at_fault == {"site-4": "no-rows"}
    assert error.answered == [name for name in NAMES if name != "site-4"]
    assert str(error) == (
        "Round 3 (train) has 0 of 9 clients in its sums and needs 5 "
        "(site-4: no-rows; 8 others: its group has no sum: 8 clients are left)"
    )


def test_of_many_at_fault_the_first_are_named_and_the_rest_counted():
    text = str(failed(dict.fromkeys(NAMES[:7], "no-rows")))
    assert "site-4: no-rows; and 2 more)" in text
    assert "site-5" not in text


def test_why_a_sum_is_unsound_is_said_once_for_its_clients():
    text = str(failed(dict.fromkeys(NAMES, f"{UNSOUND}: why") | {"site-4": "no-rows"}))
    assert text.endswith(f"(site-4: no-rows; 8 clients: {UNSOUND}: why)")


def test_names_read_as_a_sentence():
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b"]) == "a and b"
    assert join_names(["a", "b", "c"]) == "a, b and c"
    assert join_names(list("abcdefg")) == "a, b, c, d, e and 2 more"
