"""docs/tasks.md speaks of every task and every partition, and what it says of them is so.

Its commands are run by e2e/test_commands.py.
"""

import tomllib
from typing import get_args, get_type_hints

from support.pages import ROOT, commands

from calyx.composing.compose import compose, resolve
from calyx.data.partitions import PartitionConfig

PAGE = (ROOT / "docs" / "tasks.md").read_text()


def test_the_page_has_every_task_and_every_partition():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    partitions = get_args(get_type_hints(PartitionConfig)["partition"])
    assert [name for name in project["entry-points"]["calyx.tasks"] if name not in PAGE] == []
    assert len(partitions) == 4
    assert [name for name in partitions if f"| `{name}` |" not in PAGE] == []
    assert {words[0] for words in commands("docs/tasks.md")} >= {
        f"task={name}" for name in ("digits", "mnist", "heart", "vowel", "shakespeare")
    }


def test_what_the_page_says_of_models_and_clients_is_so():
    from calyx.tasks.registry import load_task

    for name, parameters, clients in (
        ("mnist", "20,490", "10"),
        ("shakespeare", "26,865", "36 speaking roles"),
        ("vowel", "64 hidden units", "15 speakers"),
    ):
        task = load_task(resolve(compose([f"task={name}"]))["task"])
        model = task.model(len(task.schema.columns))
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        assert parameters in row
        assert clients in row
        assert len(task.clients) == int(clients.split()[0])
        if "parameters" in row:
            assert f"{sum(p.numel() for p in model.parameters()):,}" == parameters
