"""docs/sweeps.md: its commands run, with fewer rounds and trials."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from calyx.composing import compose_master
from cli.main import run
from cli.sweep.outcomes import FILE
from cli.sweep.table import FIGURES, HEAD

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sweeps.md").read_text()


def blocks():
    found = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [[shlex.split(line) for line in block.splitlines()] for block in found]


def shortened(words, heart_words):
    """The same command with fewer rounds and trials, and with the data that is here."""
    short = [re.sub(r"^rounds=\d+$", "rounds=2", word) for word in words]
    short = [re.sub(r"n_trials=(\d+)", lambda m: f"n_trials={int(m[1]) // 4}", w) for w in short]
    if "resume" in words:
        return [re.sub(r"^rounds=2$", "rounds=3", word) for word in short]
    if "task=heart" in words:
        return [*short, *heart_words[1:2]]
    return [*short, "rounds=2", "task.num_clients=6", "training.epochs=1"]


RUN = [block for block in blocks() if any(w[:1] == ["calyx"] for w in block)]
SLURM = [block for block in RUN if any("submitit_slurm" in " ".join(w) for w in block)]


@pytest.mark.parametrize(
    "block", [b for b in RUN if b not in SLURM], ids=lambda b: " ".join(b[-1])[:60]
)
def test_the_commands_of_a_block_run(block, heart):
    for words in block:
        if words[0] == "calyx":
            assert run(shortened(words[1:], heart)) == 0, words


def test_the_benchmark_that_the_page_names_is_one(capsys):
    (module,) = re.findall(r"`python -m ([\w.]+)`", PAGE)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert ended.value.code == 0
    assert "--jobs" in capsys.readouterr().out


def test_slurms_command_composes(here):
    ((words,),) = [[w for w in block if w[0] == "calyx"] for block in SLURM]
    launcher = compose_master(words[3:]).hydra.launcher
    assert (launcher.partition, launcher.timeout_min) == ("PARTITION", 120)


def test_what_the_page_says_to_install_is_an_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = set(re.findall(r"pip install 'calyx\[(\w+)\]'", PAGE))
    assert named == {"sweep", "slurm"}
    assert named <= set(extras)


def test_the_page_names_the_file_and_every_setting():
    settings = compose_master(["hydra/sweeper=optuna"]).hydra.sweeper
    for name in set(settings) - {"_target_", "name", "prune_by"}:
        assert f"`{name}`" in PAGE, name
    assert FILE in PAGE
    assert set(HEAD) == {"job", "folder", "status", "error"}
    assert "rounds" in FIGURES
