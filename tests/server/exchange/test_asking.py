"""What events.jsonl is told of an exchange."""

from types import SimpleNamespace

import numpy as np
import pytest

from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from calyx.vector.contribution import Aggregate
from server.exchange.asking import _note
from server.left_out import leave_out


def test_who_is_left_out_is_not_said_to_be_away(tmp_path):
    """A round that was under way still names it, and its site is connected."""
    folder = RunFolder(tmp_path)
    leave_out(folder, {"north": "as its site says"}, 8)
    outcome = SimpleNamespace(
        exchange=SimpleNamespace(round=8, kind="train"),
        dropped={"north": "not connected", "south": "not connected"},
        sums=SimpleNamespace(accused=(), notes=()),
        odd=(),
        trained=None,
        cohort=(),
    )
    setting = SimpleNamespace(contents=SimpleNamespace(w_max=1))
    _note(SimpleNamespace(folder=folder, setting=setting), outcome)
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
    outcome = SimpleNamespace(
        exchange=SimpleNamespace(round=1, kind="train", cohort=("a", "b", "c")),
        dropped={},
        sums=SimpleNamespace(accused=(), notes=()),
        odd=(),
        trained=(trained,),
        replies=3,
    )
    setting = SimpleNamespace(contents=SimpleNamespace(w_max=64))
    _note(SimpleNamespace(folder=folder, setting=setting), outcome)
    assert [e["severity"] for e in read_lines(folder.events)] == ([severity] if severity else [])
