"""conf/experiment: each recipe composes, runs, says what to expect, and yields to the command line."""

import json
import re
from pathlib import Path

import pytest

from calyx.composing import compose, resolved
from cli import simulate

FILES = sorted((Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_is_pinned_and_says_what_to_expect(path):
    text = path.read_text()
    assert text.startswith("# @package _global_\n")
    assert re.search(r"Expect [a-z ]*\.\d\d", text)
    config = resolved(compose([f"experiment={path.stem}"]))
    for key in ("seed", "rounds"):
        assert re.search(rf"^{key}: {config[key]}$", text, re.MULTILINE)
    assert "override /task" in text


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(tmp_path, heart_dir, name):
    short = ["rounds=1", "baselines=false", "engine.workers=0", f"hydra.run.dir={tmp_path / 'run'}"]
    data = [f"task.data_dir={heart_dir}"] if "heart" in name else []
    assert simulate.main([f"experiment={name}", *short, *data]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["rounds"] == 1


def test_the_command_line_wins():
    config = resolved(compose(["experiment=digits-scaffold", "strategy=fedavg", "training.lr=0.3"]))
    assert (config["strategy"]["name"], config["training"]["lr"]) == ("fedavg", 0.3)
    assert config["task"]["alpha"] == 0.1
