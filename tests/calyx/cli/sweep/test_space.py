"""Search spaces: Hydra's grammar in, Optuna's distributions and override texts out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from calyx.cli.sweep.space import Numbers, distribution, parse_overrides, read_space
from calyx.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=x,y", CategoricalDistribution(("x", "y"))),
        ("a=1,null,0.5", CategoricalDistribution(("1", "null", "0.5"))),
        ("a=choice([1,2],[3])", CategoricalDistribution(("[1,2]", "[3]"))),
        ("strategy=glob(fed*p*)", CategoricalDistribution(("fedopt", "fedprox"))),
        ("a=range(1,5)", IntDistribution(1, 4)),
        ("a=range(0,10,5)", IntDistribution(0, 5, step=5)),
        ("a=range(5,1,-2)", IntDistribution(3, 5, step=2)),
        ("a=range(0.1,0.9,0.3)", FloatDistribution(0.1, 0.7, step=0.3)),
        ("a=interval(1,5)", FloatDistribution(1.0, 5.0)),
        ("a=int(interval(1,5))", IntDistribution(1, 5)),
        ("a=tag(log,interval(0.01,1))", FloatDistribution(0.01, 1.0, log=True)),
        ("a=tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
    ],
)
def test_a_sweep_of_hydras_grammar_is_a_distribution(word, expected):
    (part,) = read_space([word]).parts.values()
    assert distribution(part) == expected


def test_a_trial_is_the_shared_overrides_and_a_value_of_each_part():
    space = read_space(["seed=3", "+x.y=interval(0,1)", "strategy=fedavg,fedprox"])
    words = space.words({"+x.y": 0.1 + 0.2, "strategy": "fedprox"})
    assert words == ["seed=3", "+x.y=0.3", "strategy=fedprox"]


def test_a_later_override_takes_the_place_of_an_earlier_one():
    assert read_space(["seed=1,2", "lr=1,2", "seed=7"]).words({"lr": "2"}) == ["seed=7", "lr=2"]


def test_samples_hold_every_choice_and_both_ends():
    samples = read_space(["s=a,b,c", "lr=interval(0.1,1)"]).samples()
    assert samples == [["s=a", "lr=0.1"], ["s=b", "lr=0.1"], ["s=c", "lr=0.1"], ["s=a", "lr=1.0"]]


@settings(deadline=None)
@given(
    st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-9),
    st.floats(1e-3, 10.0),
    st.integers(1, 50),
)
def test_the_values_of_a_range_are_evenly_spaced_and_keep_its_ends(low, step, count):
    part = Numbers(low, low + step * count, step, False)
    assert len(part.values) == count + 1
    assert part.values[0] == pytest.approx(part.low, rel=1e-9)
    assert part.values[-1] == pytest.approx(part.high, rel=1e-9, abs=1e-6)


@given(st.floats(1e-9, 1e9))
def test_a_number_is_written_as_one_that_hydra_reads_as_the_same(value):
    space = read_space(["a=interval(0,1e10)"])
    (word,) = space.words({"a": value})
    (again,) = parse_overrides([word])
    assert float(again.value()) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["seed=1"], "nothing to search"),
        (["a=interval(1,1)"], "less than its end"),
        (["a=tag(log,interval(0,1))"], "above 0"),
        (["a=range(1,1)"], "holds no value"),
        (["a=range(1,5,0)"], "no range"),
        (["a=tag(log,range(1,5))"], "no logarithm"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(words, why):
    with pytest.raises(ConfigError, match=why) as caught:
        read_space(words)
    assert "\n" not in str(caught.value)
