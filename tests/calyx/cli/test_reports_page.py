"""docs/reports.md: every command on it runs, in order."""

import re
import shlex
from pathlib import Path

import pytest

from calyx.cli.main import run

pytestmark = pytest.mark.e2e
TEXT = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()
SHORT = ["task.num_clients=6", "baselines=false", "engine.workers=0", "rounds=1"]


def test_its_commands_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) == 6
    for line in lines:
        _, command, *arguments = shlex.split(line)
        if command == "simulate":
            arguments = [a for a in arguments if not a.startswith("rounds=")] + SHORT
        assert run([command, *arguments]) == 0, capsys.readouterr().err
    assert (tmp_path / "comparison.html").is_file()
    assert list((tmp_path / "runs" / "c" / "tensorboard").iterdir())
    assert (tmp_path / "runs" / "d" / "mlflow.json").is_file()
    assert (tmp_path / "runs" / "p" / "profile.jsonl").is_file()
