"""The display's parts."""

from cli.display import sparkline


def test_a_sparkline_runs_from_lowest_to_highest():
    assert sparkline([0.0, 7.0]) == "▁█"
    assert sparkline([7.0, 0.0, 3.5]) == "█▁▄"
    assert sparkline([2.0, 2.0]) == "▁▁"
