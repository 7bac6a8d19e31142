"""A question to more clients than a sum has room for: nobody is asked twice, and the sums add up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.federation import Federation

from server.exchange.asking import ask_all
from server.exchange.exchange import Exchange, total_counts
from server.exchange.parts import split

NAMES = tuple(f"client-{i:02d}" for i in range(40))


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 4), st.integers(1, 40))
def test_each_client_is_in_one_part_and_no_group_of_one_has_more_than_it_may(
    clients, n_max, groups, min_replies
):
    dealt = tuple(NAMES[:clients][i::groups] for i in range(groups))
    parts = split(Exchange("test", 3, dealt), n_max, min_replies)
    for i, group in enumerate(dealt):
        assert sorted(name for part in parts for name in part.groups[i]) == list(group)
    assert all(len(group) <= n_max for part in parts for group in part.groups)
    if len(parts) > 1:
        assert sum(part.min_replies for part in parts) >= min_replies


@pytest.mark.parametrize("kind", ["evaluate", "statistics"])
def test_the_sums_of_all_parts_are_the_sum_over_everybody(kind):
    counts = []
    for n_max, parts in ((5, 1), (2, 3)):
        five = Federation("task.num_clients=5", "cohort_size=2", f"privacy.n_max={n_max}")
        weights = five.template if kind == "evaluate" else {}
        number = 1 if kind == "evaluate" else 0
        exchange = Exchange(kind, number, (tuple(five.nodes),))
        outcome = ask_all(replace(five.setting, template=weights), exchange, weights)
        assert (len(outcome.sums.sums), outcome.replies) == (parts, 5)
        counts.append(total_counts(outcome.counted or outcome.evaluated))
    whole, in_parts = counts
    assert whole.keys() == in_parts.keys()
    assert all((whole[name] == in_parts[name]).all() for name in whole)
