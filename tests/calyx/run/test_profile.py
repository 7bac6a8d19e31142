"""profile.jsonl: pieces by round and lane, by hand arithmetic."""

from calyx.machine.spans import Piece, Recorded
from calyx.run import profile
from calyx.run.json_rows import as_json, parse_row
from calyx.run.profile import ProfileRow, rows_of

RECORDED = Recorded(
    started=10.0,
    pieces=[
        Piece("worker 1", "train", 13.0, 1.0),
        Piece("server", "move", 10.5, 0.25),
        Piece("worker 1", "validate", 12.25, 0.5),
        Piece("worker 1", "train", 14.5, 0.5),
        Piece("server", "write", 16.0, 1.0),
    ],
    rounds=[(1, 12.0), (2, 14.0), (0, 15.0)],
)


def test_pieces_are_of_the_round_and_the_lane_in_which_they_began():
    rows = list(rows_of(RECORDED, ended=18.0))
    assert [(r.round, r.lane, r.length, r.seconds) for r in rows] == [
        (0, "server", 2.0, {"move": 0.25}),
        (1, "worker 1", 2.0, {"train": 1.0, "validate": 0.5}),
        (2, "worker 1", 1.0, {"train": 0.5}),
        (0, "server", 3.0, {"write": 1.0}),
    ]
    assert [(s.phase, s.at) for s in rows[1].stretches] == [("validate", 0.25), ("train", 1.0)]
    assert [parse_row(ProfileRow, as_json(row)) for row in rows] == rows


def test_what_is_not_listed_is_counted(monkeypatch):
    monkeypatch.setattr(profile, "MOST_PIECES", 1)
    row = list(rows_of(RECORDED, ended=18.0))[1]
    assert ([s.phase for s in row.stretches], row.unlisted) == (["validate"], 1)
    assert row.seconds == {"train": 1.0, "validate": 0.5}
