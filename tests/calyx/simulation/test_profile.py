"""profile=true: the same model, and each lane does one thing at a time."""

from itertools import pairwise

import pytest

from calyx.cli.main import run
from calyx.run.folder import RunFolder
from calyx.run.json_rows import read_rows
from calyx.run.profile import ProfileRow

SMALL = ["simulate", "task.num_clients=5", "rounds=2", "training.epochs=1", "baselines=false"]


@pytest.mark.e2e
@pytest.mark.parametrize("workers", [0, 2])
def test_a_profile_changes_no_byte(tmp_path, workers, capsys):
    models = []
    for name in ("true", "false"):
        folder = RunFolder(tmp_path / name)
        words = [f"profile={name}", f"engine.workers={workers}", f"hydra.run.dir={folder.path}"]
        assert run([*SMALL, *words]) == 0
        models.append(folder.read_summary().model_sha256)
    assert models[0] == models[1]
    assert not (tmp_path / "false" / "profile.jsonl").exists()
    rows = list(read_rows(tmp_path / "true" / "profile.jsonl", ProfileRow))
    lanes = {"server"} | {f"worker {i}" for i in range(1, workers + 1)}
    assert lanes <= {row.lane for row in rows}
    phases = {phase for row in rows if row.round for phase in row.seconds}
    assert phases >= {"train", "validate", "encode", "encrypt", "aggregate"}
    for row in rows:
        for one, after in pairwise(row.stretches):
            assert one.at + one.seconds <= after.at + 1e-5  # rounded to microseconds
    assert "Where the time went" in (tmp_path / "true" / "report.html").read_text()
