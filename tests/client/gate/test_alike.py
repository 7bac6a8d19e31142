"""What an order says alike to all clients of a process is computed once, and never of another order."""

from client.gate.alike import once_for_same


def test_it_is_computed_once_for_the_same_objects_and_anew_for_equal_ones():
    asked = []

    @once_for_same
    def count(names, first=0):
        asked.append(names)
        return len(names) - first

    one, other = ["a", "b"], ["a", "b"]
    assert [count(one), count(one), count(other), count(one), count(one, 1)] == [2, 2, 2, 2, 1]
    assert [names is one for names in asked] == [True, False, True]


def test_an_object_that_is_gone_leaves_nothing_to_one_in_its_place():
    @once_for_same
    def first(names):
        return names[0]

    assert [first([i]) for i in range(1000)] == list(range(1000))


def test_what_is_refused_is_asked_again():
    asked = []

    @once_for_same
    def refuse(names):
        asked.append(names)
        raise ValueError

    names = []
    for _ in range(2):
        try:
            refuse(names)
        except ValueError:
            continue
    assert len(asked) == 2
