"""What events.jsonl is told of an exchange."""

from types import SimpleNamespace

from calyx.files import read_lines
from server.asking import _note
from server.folder import RunFolder
from server.left_out import leave_out


def test_who_is_left_out_is_not_said_to_be_away(tmp_path):
    """A round that was under way still names it, and its site is connected."""
    folder = RunFolder(tmp_path)
    leave_out(folder, {"north": "as its site says"}, 8)
    outcome = SimpleNamespace(
        exchange=SimpleNamespace(round=8, kind="train"),
        dropped={"north": "not connected", "south": "not connected"},
        collected=SimpleNamespace(accused=(), notes=(), odd=[]),
        trained=None,
        cohort=(),
    )
    grid = SimpleNamespace(contents=SimpleNamespace(w_max=1))
    _note(SimpleNamespace(folder=folder, grid=grid), outcome)
    said = {e["client"]: e["reason"] for e in read_lines(folder.events) if "reason" in e}
    assert said == {
        "north": "it is left out, since its rows have changed",
        "south": "not connected",
    }
