"""Names by arithmetic are those that a list would hold."""

import sys

import numpy as np
import pytest

from calyx.data.names import client_names


@pytest.mark.parametrize("num_clients", [1, 2, 100, 101, 1797])
def test_they_are_a_list_of_numbered_names_and_sort_like_it(num_clients):
    width = max(2, len(str(num_clients - 1)))
    listed = [f"client-{number:0{width}d}" for number in range(num_clients)]
    names = client_names(num_clients)
    assert list(names) == listed == sorted(listed)
    assert [names[i] for i in range(-1, num_clients)] == [listed[-1], *listed]
    assert list(names[1::3]) == listed[1::3]
    assert [names.index(name) for name in listed] == list(range(num_clients))


def test_names_of_some_places_are_those_and_know_who_is_among_them():
    names = client_names(1000).take(np.array([3, 500, 999]))
    assert list(names) == ["client-003", "client-500", "client-999"]
    assert names.index("client-500") == 1
    assert "client-004" not in names


@pytest.mark.parametrize(
    "stranger", ["client-10", "client-1", "client-001", "client-²0", "client--1", "10", "", 3, None]
)
def test_a_name_of_another_form_is_none_of_them(stranger):
    names = client_names(10)
    assert stranger not in names
    with pytest.raises(ValueError, match="none of these names"):
        names.index(stranger)


def test_a_million_of_them_take_no_room():
    names = client_names(10**6)
    assert sys.getsizeof(names) + sys.getsizeof(names.numbers) < 1000
    assert (len(names), names[-1], names.index("client-123456")) == (10**6, "client-999999", 123456)
