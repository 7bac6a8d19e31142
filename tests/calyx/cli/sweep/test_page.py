"""docs/sweeps.md: its commands run, with fewer rounds and trials.

Those of several seeds of digits are run by e2e/test_commands.py, those side by side by
test_side_by_side.py.
"""

import importlib
import re
import shlex
import tomllib

import pytest
from support.pages import ROOT, commands
from support.program import run_here

from calyx.cli.sweep.outcomes import FILE
from calyx.cli.sweep.table import FIGURES, HEAD
from calyx.composing.compose import compose_master

PAGE = (ROOT / "docs" / "sweeps.md").read_text()
LINES = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
OURS = [words[1:] for words in LINES if words[0] == "calyx"]
SLURM = [words for words in OURS if "hydra/launcher=submitit_slurm" in words]
HERE = [words for words in OURS if "resume" in words or "task=heart" in words]
FEWER = {
    "rounds=10": "rounds=1",
    "rounds=8": "rounds=2",
    "rounds=20": "rounds=3",
    "hydra.sweeper.n_trials=12": "hydra.sweeper.n_trials=3",
    "hydra.sweeper.n_trials=8": "hydra.sweeper.n_trials=2",
}


@pytest.mark.e2e
def test_its_commands_run_one_after_another(here, heart):
    data = [heart[1], "engine.workers=0"]
    for words in HERE:
        if "hydra/launcher=joblib" not in words:
            short = [FEWER.get(word, word) for word in words]
            done = run_here(here, *short, *([] if "resume" in words else data))
            assert done.returncode == 0, done.stderr


def test_what_is_not_run_here_is_on_the_page_of_commands_or_slurms():
    others = [tuple(words[1:]) for words in OURS if words not in [*HERE, *SLURM]]
    assert len(others) == 1
    assert set(others) <= set(commands("docs/commands.md"))
    assert len(HERE) >= 6


def test_the_benchmark_that_the_page_names_is_one(capsys):
    (module,) = re.findall(r"`python -m ([\w.]+)`", PAGE)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert ended.value.code == 0
    assert "--jobs" in capsys.readouterr().out


def test_slurms_command_composes(here):
    (words,) = SLURM
    launcher = compose_master(words[2:]).hydra.launcher
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
