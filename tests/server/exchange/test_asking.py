"""What events.jsonl is told of an exchange."""

from types import SimpleNamespace

import numpy as np
import pytest

from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from calyx.vector.contribution import Aggregate
from server.exchange.asking import _note
from server.exchange.exchange import Exchange, GroupSums, Outcome
from server.left_out import leave_out


def note(folder, cohort, dropped=(), trained=()):
    """What is told of a training of round 8."""
    sums = GroupSums({}, dict(dropped), bytes_up=0, bytes_down=0)
    outcome = Outcome(Exchange("train", 8, (cohort,)), sums, dict(dropped), trained)
    template = {"w": np.zeros((20, 10), np.float32)}
    _note(SimpleNamespace(folder=folder, template=template), outcome)


def test_who_is_left_out_is_not_said_to_be_away(tmp_path):
    """A round that was under way still names it, and its site is connected."""
    folder = RunFolder(tmp_path)
    leave_out(folder, {"north": "as its site says"}, 8)
    note(folder, ("north", "south"), dropped={"north": "not connected", "south": "not connected"})
    said = {e["client"]: e["reason"] for e in read_lines(folder.events) if "reason" in e}
    assert said == {
        "north": "it is left out, since its rows have changed",
        "south": "not connected",
    }


@pytest.mark.parametrize(("cut", "severity"), [(0, None), (6, "info"), (7, "warning")])
def test_more_than_a_hundredth_of_the_coordinates_cut_is_a_warning(tmp_path, cut, severity):
    """Of 200 coordinates of three clients."""
    folder = RunFolder(tmp_path)
    trained = Aggregate(9, {"w": np.zeros((20, 10))}, {}, {"clipped": [cut], "capped": [0]})
    note(folder, ("a", "b", "c"), trained=(trained,))
    assert [e["severity"] for e in read_lines(folder.events)] == ([severity] if severity else [])
