"""docs/tasks.md speaks of every task and every partition, and each of its commands runs."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from support.pages import shortened

from calyx.composing import compose, resolved
from calyx.tasks.partitions import PartitionConfig
from cli.main import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tasks.md").read_text()
COMMANDS = re.findall(r"^calyx simulate (.+)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(tmp_path, command):
    words = shortened(shlex.split(command))
    assert run(["simulate", *words, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (f"task={summary['task']}", summary["rounds"]) == (words[0], 1)


def test_the_page_has_every_task_and_every_partition():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    partitions = get_args(get_type_hints(PartitionConfig)["partition"])
    assert [name for name in project["entry-points"]["calyx.tasks"] if name not in PAGE] == []
    assert len(partitions) == 4
    assert [name for name in partitions if f"| `{name}` |" not in PAGE] == []
    assert {command.split()[0] for command in COMMANDS} >= {
        f"task={name}" for name in ("digits", "mnist", "heart", "vowel", "shakespeare")
    }


def test_what_the_page_says_of_models_and_clients_is_so():
    from calyx.registry import load_task

    for name, parameters, clients in (
        ("mnist", "20,490", "10"),
        ("shakespeare", "26,865", "36 speaking roles"),
        ("vowel", "64 hidden units", "15 speakers"),
    ):
        task = load_task(resolved(compose([f"task={name}"]))["task"])
        model = task.model(len(task.schema.columns))
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        assert parameters in row
        assert clients in row
        assert len(task.clients) == int(clients.split()[0])
        if "parameters" in row:
            assert f"{sum(p.numel() for p in model.parameters()):,}" == parameters
