"""What sums promise, and what weakens the promise, in words that agree with the rules."""

import pytest

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.privacy.section import USUAL_H_MIN, USUAL_N_MIN, PrivacyConfig, guarantee, weaknesses


def privacy(*overrides):
    return parse(PrivacyConfig, resolve(compose(list(overrides)))["privacy"], "privacy")


def test_the_default_promises_six_of_ten_and_five_honest():
    text = guarantee(privacy(), 10, 10)
    assert "at least 6 of a group's 10 clients, 5 of them honest" in text
    assert weaknesses(privacy(), 10) == []


def test_the_defaults_are_the_protocols_own():
    assert (privacy().n_min, privacy().h_min) == (USUAL_N_MIN, USUAL_H_MIN)
    assert (privacy().name, privacy().sampling) == ("secagg", "adversarial")


def test_without_encryption_the_promise_says_so():
    assert "can read every client's update" in guarantee(privacy("privacy=none"), 10, 10)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("privacy.n_min=4", "n_min=4 is below"),
        ("privacy.h_min=1", "h_min=1 is below"),
        ("privacy.max_colluders=0", "max_colluders=0 is below the protocol's own 1"),
        ("privacy.sampling=trusted", "believes the server"),
    ],
)
def test_what_was_weakened_by_hand_is_said(override, words):
    found = weaknesses(privacy(override), 10)
    assert len(found) == 1
    assert words in found[0]


def test_a_simulation_says_what_sites_would_need_of_the_sampling_that_it_trusts():
    """C = 100 of 1,000: beside them three honest clients."""
    (said,) = weaknesses(privacy("privacy.sampling=trusted"), 1000, is_simulated=True)
    assert "need 103 clients in a sum" in said
    assert "by hand" not in said


@pytest.mark.parametrize("override", ["privacy.n_min=1", "privacy.h_min=0", "privacy.prg=md5"])
def test_values_that_protect_nothing_are_refused(override):
    with pytest.raises(ConfigError, match=r"privacy\."):
        privacy(override)


def test_heart_may_sum_its_four_hospitals_and_nothing_less():
    config = resolve(compose(["task=heart"]))
    assert config["privacy"]["n_min"] == 4
    assert config["client"]["policy"]["n_min"] == 4
