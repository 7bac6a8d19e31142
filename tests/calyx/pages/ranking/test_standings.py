"""Places: over which seeds, and which settings have none."""

import pytest
from support.run_folders import summary_of

from calyx.model.populations import read_population
from calyx.pages.ranking.entries import Entry, Kind
from calyx.pages.ranking.remarks import describe_group, remarks
from calyx.pages.ranking.standings import rank

LOSS = Kind("x", "best_val_loss")


def entries(**settings):
    """Setting → seed → value; None failed."""
    return [
        Entry(f"{name}-{seed}", (("s", name),), str(seed), value, "", "best_val_loss", LOSS)
        for name, values in settings.items()
        for seed, value in values.items()
    ]


def placed(**settings):
    (group,) = rank(entries(**settings))
    return {dict(line.standing.settings)["s"]: line.place for line in group.lines}, group.seeds


@pytest.mark.parametrize(
    ("settings", "places", "seeds"),
    [
        # The seeds that both have are those that count.
        ({"a": {1: 5, 2: 1}, "b": {2: 2, 1: 3}}, {"b": 1, "a": 2}, ("1", "2")),
        ({"a": {1: 1, 2: 1, 3: 9}, "b": {1: 2, 2: 2}}, {"a": 1, "b": 2}, ("1", "2")),
        # One run beside settings of several seeds does not take their seeds away.
        ({"a": {1: 5, 2: 5}, "b": {1: 3, 2: 3}, "c": {1: 1}}, {"b": 1, "a": 2, "c": None}, ("1", "2")),
        ({"a": {1: 5, 2: 5}, "b": {1: None, 2: 1}}, {"a": 1, "b": None}, ("1", "2")),
        # A seed that nobody has tells none from another.
        ({"a": {1: 5, 2: None}, "b": {1: 3, 2: None}}, {"b": 1, "a": 2}, ("1",)),
        ({"a": {1: 5}, "b": {2: 3}}, {"a": None, "b": None}, ()),
        ({"a": {1: 5, 2: None}, "b": {1: None, 2: 3}}, {"a": None, "b": None}, ()),
        ({"a": {1: None}, "b": {1: None}}, {"a": None, "b": None}, ()),
    ],
)  # fmt: skip
def test_a_place_is_over_seeds_that_all_with_a_place_have(settings, places, seeds):
    assert placed(**settings) == (places, seeds)


def test_seeds_of_ten_and_more_are_in_order():
    (group,) = rank(entries(a=dict.fromkeys((10, 2, 1), 0.5)))
    assert group.seeds == ("1", "2", "10")


def test_what_is_compared_over_some_seeds_only_is_said():
    said = remarks(rank(entries(a={1: 1, 2: 1, 3: 9}, b={1: 2, 2: 2})))
    assert any("compared over seeds 1, 2," in line for line in said)
    said = remarks(rank(entries(a={1: 5, 2: None}, b={1: 3, 2: None})))
    assert "no setting has a figure of seed 2" in said
    said = remarks(rank(entries(a={1: 5}, b={2: 3})))
    assert said == ["no setting has a place, because there is no seed that all of them have"]


def test_figures_of_own_models_are_of_those_who_have_one():
    """Of 20 clients 10 have a model of their own: a personal figure is of other rows than a common one."""
    everybody, own = (
        {"over": "rows", "clients": n, "asked": 20, "who": "x", "rows": 90} for n in (20, 10)
    )
    on = {"tested_on": everybody, "personal_tested_on": own, "validated_on": everybody}
    both = summary_of(**on)
    assert both.whose("test_accuracy").clients == 20
    assert both.whose("personal_accuracy").clients == 10
    assert both.whose("best_val_personal_loss").clients == 20  # an older file, without the key
    assert summary_of(tested_on=own).whose("personal_accuracy").clients == 10  # no common model


def test_a_group_is_described_by_rows_that_all_of_it_has():
    """Each seed splits the rows anew: the mean of the first seed's targets is not that of the others."""

    def entry(seed, mean):
        rows = {"over": "rows", "clients": 6, "asked": 6, "who": "x", "rows": 72}
        population = read_population(rows | {"target_mean": mean, "target_sd": 2.0, "labels": None})
        return Entry(f"a-{seed}", (("s", "a"),), seed, 1.0, "", "f", LOSS, rows=population)

    (group,) = rank([entry("1", 10.0), entry("2", 10.0)])
    assert describe_group(group).endswith("72 rows of 6 clients, whose target is 10.00 ± 2.000")
    (group,) = rank([entry("1", 10.0), entry("2", 11.0)])
    assert describe_group(group).endswith(
        "10.00 ± 2.000 with seed 1, and others of the same clients with other seeds"
    )
