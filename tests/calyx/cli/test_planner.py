"""`calyx doctor privacy` says which groups hold, and why others do not."""

import pytest

from calyx.cli import doctor
from calyx.errors import UserError


def said(capsys, *arguments):
    code = doctor.main(["privacy", *arguments])
    return code, " ".join(capsys.readouterr().out.split())


def test_ten_clients_hold_in_one_group(capsys):
    code, text = said(capsys, "clients=10", "dropouts=4")
    assert code == 0
    assert "privacy.groups=1 holds: every sum covers at least 6 clients, of which 5 are" in text
    assert "a server that chooses weights reads about ten rows a sum" in text
    assert said(capsys, "clients=10", "dropouts=5")[0] == 1


def test_attackers_need_a_clean_majority_of_groups(capsys):
    code, text = said(capsys, "clients=30", "attackers=2")
    assert code == 0
    assert "privacy.groups=5 holds" in text
    assert "2 attackers are outvoted" in text
    assert said(capsys, "clients=30", "attackers=3")[0] == 1


def test_a_small_cohort_of_a_large_roster_needs_trusted_sampling(capsys):
    code, text = said(capsys, "clients=500", "cohort=40")
    assert code == 1
    assert "a group of 40 is too small, 53 would do" in text
    code, text = said(capsys, "clients=500", "cohort=40", "privacy.sampling=trusted")
    assert code == 0
    assert "believes the server" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "how many clients"),
        (["clients=x"], "none of the planner's arguments"),
        (["clients=10", "cohort=11"], "not within the roster"),
        (["clients=10", "cohort=0"], "not within the roster"),
        (["clients=10", "privacy.n_min=1"], "privacy.n_min is 1"),
        (["clients=10", "rounds=3"], "none of the planner's arguments"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments, words):
    with pytest.raises(UserError, match=words):
        doctor.main(["privacy", *arguments])
