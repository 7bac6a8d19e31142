"""The table of docs/strategies.md: what its cells say, and one run of it."""

import pytest

from benchmarks import comparison
from benchmarks.comparison import Job, Outcome


def outcome(strategy, task="digits", seed=1, **figures):
    return Outcome(strategy, task, seed, figures.get("a"), figures.get("p"), figures.get("note"))


def test_a_cell_is_the_mean_and_deviation_over_seeds_and_a_gap_is_a_dash_with_a_note():
    found = comparison.table(
        [
            outcome("fedavg", seed=1, a=0.9),
            outcome("fedavg", seed=2, a=0.92),
            outcome("fedavg", "heart", a=0.8),
            outcome("ditto", seed=1, a=0.9, p=0.95),
            outcome("ditto", seed=2, a=0.9, p=0.97),
            outcome("ditto", "heart", note="no such thing."),
        ]
    )
    lines = found.splitlines()
    assert lines[2] == "| `fedavg` | 0.910 ± 0.014 | – | 0.800 | – |"
    assert lines[3] == "| `ditto` | 0.900 ± 0.000 | 0.960 ± 0.014 | – | – |"
    assert lines[4:] == ["", "- `ditto` on heart, seed 1: no such thing."]


def test_pairs_are_differences_at_the_same_seed():
    of = {"fedavg": (0.9, 0.8, None), "scaffold": (0.92, 0.78, 0.5)}
    outcomes = [
        outcome(name, seed=seed, a=value, note=None if value else "it failed.")
        for name, values in of.items()
        for seed, value in enumerate(values, 1)
    ]
    line = comparison.pairs(outcomes).splitlines()[3]
    assert line == "| `scaffold` | 0.733 ± 0.214 | 0.000 ± 0.028 | 1 of 2 |"


def test_robust_strategies_see_every_client_by_itself(tmp_path):
    krum, fedavg = (
        comparison.command(Job(name, "digits", 1, ()), tmp_path) for name in ("krum", "fedavg")
    )
    assert "privacy.groups=all" in krum
    assert "privacy.groups=all" not in fedavg


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--tasks", "mnist"], ["--rounds", "x"]])
def test_a_wrong_option_is_refused_before_any_run(wrong):
    with pytest.raises(SystemExit) as ended:
        comparison.main(wrong)
    assert ended.value.code == 2
