"""Of one client's own vector, no arithmetic tells a small number of its rows.

The oracle knows the true rows. It writes down each published count as a sum over atoms (a class, in
one of a variable's finest groups), solves for every population "these groups of these classes" that
the published counts determine, and looks whether the solution is a small number of rows.

Shapes: G groups, K classes; atoms [G · K].
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calyx.data.schema import Column, Schema, Table, Target
from calyx.findings.distribution import Uncertain, read
from calyx.survey.blocks import ALL, ITEMS, Survey
from calyx.survey.categories import hide
from calyx.survey.measuring import measure
from calyx.survey.moments import STEPS
from calyx.survey.regrouping import regroup
from calyx.survey.suppression import coarse_shares, suppress_crossed, suppress_part

NAN = float("nan")
MINIMUM = 10
CODE, BELOW, ABOVE, UNKNOWN = -9.0, -5.0, 105.0, 7.0
BINS = (12.0, 37.0, 62.0, 87.0)  # the middle of each of four bins of 0 … 100
NUMERIC = (NAN, CODE, BELOW, ABOVE, *BINS)  # an atom's value stands for its group
NAMED = (NAN, UNKNOWN, 0.0, 1.0, 2.0)
COLUMNS = (
    Column("number", "numeric", missing_codes=(CODE,), low=0, high=100),
    Column("word", "categorical", categories=(0.0, 1.0, 2.0)),
)


def published(table, classes=3, minimum=MINIMUM):
    schema = Schema(COLUMNS, tuple("abc"[:classes]))
    survey = Survey(schema, len(BINS), (ALL,))
    found = measure(survey, {ALL: table}, minimum, ITEMS)
    blocks = {b.name: found[f"{ALL}/{b.name}"].reshape(b.shape) for b in survey.blocks(ALL)}
    return {name: cells.tolist() for name, cells in blocks.items()}


@dataclass
class Oracle:
    """What the published counts determine of one variable's rows."""

    truth: np.ndarray  # [G, K]
    facts: list
    values: list

    def learn(self, groups, classes, value):
        """A count over these groups and classes: known where it is shown, or truly none."""
        atoms = np.zeros(self.truth.shape)
        atoms[np.ix_(groups, classes)] = 1
        if value or not (self.truth * atoms).any():
            self.facts.append(atoms.ravel())
            self.values.append(value)

    def learn_crossed(self, groups, totals, table):
        """A class table [J, K]: a zero is a number where its row adds up, or its class is shown.

        A row of zeros beside a total is one that was left out; so it is with a class.
        """
        is_shown = np.any(table, axis=0)
        for group, total, row in zip(groups, totals, table, strict=True):
            for k, value in enumerate(row):
                if value or (any(row) and (is_shown[k] or sum(row) == total)):
                    self.learn(group, [k], value)

    def told(self, minimum):
        """The small populations that are told: [(groups, classes, rows)]."""
        matrix = np.array(self.facts)
        inverse = np.linalg.pinv(matrix)
        sizes = self.truth.shape
        subsets = [np.array(list(product((0, 1), repeat=n))) for n in sizes]
        populations = np.einsum("ag,bk->abgk", *subsets).reshape(-1, sizes[0] * sizes[1])
        is_determined = np.abs(populations @ inverse @ matrix - populations).max(axis=1) < 1e-8
        solved = np.rint(populations @ inverse @ np.array(self.values))
        true = populations @ self.truth.ravel()
        wrong = is_determined & (solved >= 1) & (solved < minimum)
        exact = wrong & (solved == true)
        told = zip(populations[exact], solved[exact], strict=True)
        return [(p.reshape(sizes).tolist(), size) for p, size in told]


def oracle(rows, atoms, classes):
    truth = np.array([[rows.count((a, k)) for k in range(classes)] for a in range(len(atoms))])
    return Oracle(truth, [], [])


def learn_common(of, sent, column):
    """Rows, labels, missing and present: nested totals that every variable has."""
    groups, classes = (list(range(n)) for n in of.truth.shape)
    of.learn(groups, classes, sent["rows"][0])
    for k in classes:
        of.learn(groups, [k], sent["labels"][k])
    is_number = column == 0
    of.learn([0, 1] if is_number else [0], classes, sent["missing"][column])
    return groups, classes


def numbers_told(rows, classes, minimum=MINIMUM):
    x = np.array([[NUMERIC[a], 0.0] for a, _ in rows])
    sent = published(Table(x, np.array([k for _, k in rows])), classes, minimum)
    of = oracle(rows, NUMERIC, classes)
    _, every = learn_common(of, sent, 0)
    bins = list(range(4, 8))
    of.learn([1], every, sent["coded"][0])
    of.learn([2], every, sent["outside"][0][0])
    of.learn([3], every, sent["outside"][0][1])
    of.learn(bins, every, sent["present"][0])
    cells = np.array(sent["cells"][0])
    assert ((cells == 0) | (cells >= minimum)).all()
    if cells.any():
        known = read(cells, (0.0, 100.0), Uncertain())
        for place, edge in enumerate((25.0, 50.0, 75.0), start=1):
            least, most = known.below(edge)
            if least == most:  # else it is not told how many rows lie below
                of.learn(bins[:place], every, least)
    totals = [sent["missing"][0], sent["present"][0]]
    crossed = [sent["class_missing"][0], sent["class_present"][0]]
    of.learn_crossed([[0, 1], bins], totals, crossed)
    return of.told(minimum)


def words_told(rows, classes, minimum=MINIMUM):
    """Of a count that is lower than the truth, rows of it are hidden: an attacker knows that much.

    What is given to the oracle are all counts that are exact, also those of which an attacker does not
    know that they are: it is stronger than any.
    """
    x = np.array([[50.0, NAMED[a]] for a, _ in rows])
    sent = published(Table(x, np.array([k for _, k in rows])), classes, minimum)
    of = oracle(rows, NAMED, classes)
    every = list(range(classes))
    of.learn(list(range(len(NAMED))), every, sent["rows"][0])
    for k in every:
        of.learn(list(range(len(NAMED))), [k], sent["labels"][k])
    sizes = [sent["missing"][1], sent["unknown"][0], *sent["category"]]
    crossed = [sent["class_missing"][1], [0] * classes, *sent["class_category"]]
    for group, (size, by_class) in enumerate(zip(sizes, crossed, strict=True)):
        if size == of.truth[group].sum():
            of.learn([group], every, size)
        for k in every:
            if by_class[k] and by_class[k] == of.truth[group, k]:
                of.learn([group], [k], by_class[k])
    assert sum(sizes) + sent["hidden_rows"][0] == len(rows)
    for counts in (sizes, sent["hidden_rows"], *crossed):
        assert all(count == 0 or count >= minimum for count in counts)
    return of.told(minimum)


def tables(groups, classes):
    """Rows as (group, class): cells around the minimum, many of them empty."""
    cell = st.one_of(st.just(0), st.integers(1, 14), st.integers(10, 60))
    cells = st.lists(cell, min_size=groups * classes, max_size=groups * classes)
    return cells.map(
        lambda counts: [
            (place // classes, place % classes)
            for place, count in enumerate(counts)
            for _ in range(count)
        ]
    )


def sized(counts):
    """Rows of `counts` {(group, class): rows}."""
    return [key for key, count in counts.items() for _ in range(count)]


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 3).flatmap(lambda k: st.tuples(tables(len(NUMERIC), k), st.just(k))))
@example((sized({(0, 0): 5, (1, 0): 12, (4, 0): 40, (5, 1): 30}), 2))  # missing − coded
@example((sized({(0, 0): 25, (0, 1): 3, (4, 0): 40, (5, 1): 30}), 2))  # labels − class_present
@example((sized({(0, 0): 2, (4, 0): 40, (5, 1): 30}), 2))
@example((sized({(2, 0): 25, (4, 1): 5}), 2))  # rows − outside
@example((sized({(2, 0): 4, (3, 1): 12, (5, 0): 30, (6, 1): 30}), 2))
def test_no_arithmetic_tells_a_small_number_of_rows_of_a_numeric_column(made):
    rows, classes = made
    if len(rows) >= MINIMUM:
        assert numbers_told(rows, classes) == []


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 3).flatmap(lambda k: st.tuples(tables(len(NAMED), k), st.just(k))))
@example((sized({(2, 0): 16, (2, 1): 7, (3, 0): 40, (3, 1): 50}), 2))  # category − class_category
@example((sized({(2, 0): 20, (2, 1): 20, (3, 0): 40, (3, 1): 50, (1, 1): 4}), 2))
@example((sized({(2, 0): 20, (2, 1): 20, (3, 0): 40, (3, 1): 50, (0, 1): 14, (0, 0): 3}), 2))
def test_no_arithmetic_tells_a_small_number_of_rows_of_a_categorical_column(made):
    rows, classes = made
    if len(rows) >= MINIMUM:
        assert words_told(rows, classes) == []


def test_the_oracle_finds_what_a_client_that_hides_nothing_tells():
    rows = sized({(0, 0): 5, (1, 0): 12, (4, 0): 40, (5, 1): 30})
    table = Table(
        np.array([[NUMERIC[a], 0.0] for a, _ in rows]),
        np.array([k for _, k in rows], dtype=np.int64),
    )
    sent = published(table, 2, minimum=1)
    of = oracle(rows, NUMERIC, 2)
    learn_common(of, sent, 0)
    of.learn([1], [0, 1], sent["coded"][0])
    told = {size for _, size in of.told(MINIMUM)}
    assert 5 in told


def column(rows):
    return np.array([[NUMERIC[a], 0.0] for a, _ in rows]), np.array([k for _, k in rows])


def test_a_class_table_is_shown_where_nothing_small_follows_from_it():
    rows = sized({(0, 0): 25, (0, 1): 13, (4, 0): 40, (5, 1): 30})
    sent = published(Table(*column(rows)), 2)
    assert sent["class_present"][0] == [40, 30]
    complete = sized({(4, 0): 40, (4, 1): 15, (5, 1): 30, (0, 1): 4})
    sent = published(Table(*column(complete)), 2)
    assert sent["class_present"][0] == sent["labels"] == [40, 49]
    assert (sent["missing"][0], sent["present"][0]) == (0, 89)


def test_rows_that_become_present_have_the_values_in_the_middle_and_are_counted_by_a_bound():
    """Not scaled sums: the sum of k equal shares of whole numbers tells k by its fractions."""
    values = np.array([10.0] * 10 + [40.0, 50.0, 60.0] + [80.0] * 10 + [NAN] * 3)
    found = regroup(values, (0.0, 100.0), MINIMUM)
    assert (found.is_changed, found.joined, found.left) == (True, MINIMUM - 1, 0)
    assert found.values[23:].tolist() == [40.0, 50.0, 60.0]


def test_sums_are_those_of_whole_rows_also_where_some_are_missing():
    rows = sized({(4, 0): 40, (5, 1): 30, (0, 1): 4})
    sent = published(Table(*column(rows)), 2)
    assert sent["sum"][0] * 128 == pytest.approx((12.0 * 44 + 37.0 * 30) * 2**STEPS)


def test_where_every_group_is_small_a_column_counts_as_missing():
    values = np.array([50.0] * 5 + [-1.0] * 5 + [101.0] * 5 + [NAN] * 5)
    found = regroup(values, (0.0, 100.0), MINIMUM)
    assert np.isnan(found.values).all()
    # Of 15 rows that have a value; three groups of at most nine each became missing.
    assert (found.joined, found.left) == (0, 3 * (MINIMUM - 1))


def test_a_rare_category_is_hidden_with_rows_of_the_commonest_and_nothing_is_counted_in_its_place():
    table = np.array([[3], [151], [4], [148], [0]])
    shown, hidden = hide(table, MINIMUM)
    assert shown.ravel().tolist() == [0, 148, 0, 148, 0]  # 3 + 4 are hidden, and three more
    assert hidden.tolist() == [10]
    shown, hidden = hide(np.array([[0, 0], [40, 30], [9, 0], [20, 60], [0, 2]]), MINIMUM)
    assert shown.tolist() == [[0, 0], [39, 30], [0, 0], [20, 52], [0, 0]]
    assert hidden.tolist() == [10, 10]


def test_a_group_that_becomes_small_by_what_it_gives_is_hidden_whole():
    shown, hidden = hide(np.array([[0], [12], [11], [3]]), MINIMUM)
    assert shown.ravel().tolist() == [0, 0, 11, 0]
    assert hidden.tolist() == [15]


@given(tables(5, 2), st.integers(1, 12))
def test_whatever_the_rows_each_is_counted_once_or_hidden_among_many(rows, minimum):
    table = np.array([[rows.count((a, k)) for k in range(2)] for a in range(5)])
    shown, hidden = hide(table, minimum)
    assert (shown <= table).all()
    assert (shown.sum(axis=0) + hidden == table.sum(axis=0)).all()
    for k, sizes in enumerate(table.T):
        assert hidden[k] == 0 or hidden[k] >= min(minimum, sizes.sum())
    sizes = shown.sum(axis=1)
    assert ((sizes == 0) | (sizes >= minimum)).all()


@given(st.integers(1, 9), st.integers(1, 9))
def test_how_many_rows_a_rare_category_has_makes_no_difference_to_what_is_sent(few, fewer):
    """Two tables of as many rows in each class: of the first category 60 and 50, less the rare ones."""

    def sent(rare):
        counts = {(2, 0): 60 - rare, (2, 1): 50, (3, 0): rare, (4, 0): 20, (4, 1): 30, (0, 1): 15}
        rows = sized(counts)
        x = np.array([[50.0, NAMED[a]] for a, _ in rows])
        return published(Table(x, np.array([k for _, k in rows])), 2)

    assert sent(few) == sent(fewer)


@pytest.mark.parametrize(
    ("part", "total", "shown"),
    [(12, 17, 17), (12, 12, 12), (12, 30, 12), (5, 30, 0), (5, 14, 0), (0, 30, 0), (22, 30, 30)],
)
def test_codes_are_all_or_none_of_the_missing_where_one_of_both_is_few(part, total, shown):
    assert suppress_part(part, total, MINIMUM) == shown


def test_a_group_is_hidden_with_another_one_where_what_is_left_of_a_class_would_be_small():
    table = np.array([[106, 36], [49, 91], [40, 60], [9, 12]])
    known = (np.ones(4, dtype=bool), np.ones(2, dtype=bool))
    shown = suppress_crossed(table, table.sum(axis=0), *known, MINIMUM)
    assert shown.tolist() == [[106, 36], [49, 91], [0, 0], [0, 0]]


def test_a_lone_group_is_not_shown_since_it_would_compare_clients_and_not_groups():
    table = np.array([[106, 36], [49, 91], [9, 12]])
    known = (np.ones(3, dtype=bool), np.ones(2, dtype=bool))
    assert not suppress_crossed(table, table.sum(axis=0), *known, MINIMUM).any()


def test_only_the_class_that_would_be_told_is_hidden_with_one_more():
    present, labels = np.array([[50, 40, 30, 20]]), np.array([50, 43, 30, 20])
    known = (np.ones(1, dtype=bool), np.ones(4, dtype=bool))
    assert not suppress_crossed(present, labels, *known, MINIMUM).any()  # 3 follows from the totals
    labels = np.array([50, 43, 30, 29])
    shown = suppress_crossed(present, labels, *known, MINIMUM)
    assert shown.tolist() == [[50, 0, 30, 0]]


def test_a_share_of_a_small_class_is_half_the_minimum_and_not_a_rounded_count():
    assert coarse_shares(np.array([8, 115]), 10).tolist() == [5 / 120, 1.0]
    assert coarse_shares(np.array([5, 118]), 10).tolist() == [5 / 120, 1.0]
    assert coarse_shares(np.array([41, 79]), 10).tolist() == [40 / 120, 80 / 120]


def test_how_many_rows_stand_once_only_is_not_told_by_how_many_stand_twice():
    x = np.column_stack([np.repeat([10.0, 20.0, 30.0], 10), np.zeros(30)])
    sent = published(Table(x, np.zeros(30, dtype=np.int64)), 2)
    assert sent["duplicates"] == [0]


def test_a_regressions_columns_are_regrouped_too():
    schema = Schema(COLUMNS[:1], (), Target("cost", 50.0, 10.0))
    x = np.array([[50.0]] * 30 + [[NAN]] * 4)
    sent = measure(Survey(schema, 4, (ALL,)), {ALL: Table(x, np.full(34, 50.0))}, MINIMUM, ITEMS)
    assert sent[f"{ALL}/present"].tolist() == [34, 34]
    assert sent[f"{ALL}/missing"].tolist() == [0, 0]


def test_rows_that_stand_twice_and_are_few_are_hidden_and_bounded():
    """Three of thirty: 0 are told, and that there may be nine more; the truth lies within."""
    x = np.column_stack([np.arange(30.0) + 1, np.zeros(30)])
    x[:3] = x[3:6]
    few = published(Table(x, np.zeros(30, dtype=np.int64)), 2)
    assert (few["duplicates"], few["duplicates_open"]) == ([0], [9])
    x = np.column_stack([np.repeat([10.0, 20.0, 30.0], 10), np.zeros(30)])
    most = published(Table(x, np.zeros(30, dtype=np.int64)), 2)  # 27 of 30
    assert (most["duplicates"], most["duplicates_open"]) == ([0], [30])
