"""conf/experiment: each recipe composes, says what to expect, and yields to the command line.

That each of them runs is shown by e2e/test_commands.py.
"""

import re
from pathlib import Path

import pytest

from calyx.composing.compose import compose, resolve

FILES = sorted((Path(__file__).parents[3] / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_pinned_and_says_what_to_expect(path):
    text = path.read_text()
    assert text.startswith("# @package _global_\n")
    assert re.search(r"Expect [a-z ]*\.\d\d", text)
    config = resolve(compose([f"experiment={path.stem}"]))
    for key in ("seed", "rounds"):
        assert re.search(rf"^{key}: {config[key]}$", text, re.MULTILINE)
    assert "override /task" in text


def test_the_command_line_wins():
    config = resolve(compose(["experiment=digits-scaffold", "strategy=fedavg", "training.lr=0.3"]))
    assert (config["strategy"]["name"], config["training"]["lr"]) == ("fedavg", 0.3)
    assert config["task"]["alpha"] == 0.1
