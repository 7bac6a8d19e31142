"""Every folder of exports is drafted so that a task reads it at once, and its numbers as they are meant.

A folder is a number; `CALYX_EXPORTS=10000` looks at so many.
"""

import os

import numpy as np
import yaml
from support.wild_exports import make

from calyx.composing.compose import compose, resolve
from calyx.data.drafting.writing import draft
from calyx.tasks.registry import load_task

EXPORTS = int(os.environ.get("CALYX_EXPORTS", "40"))


def differs(folder, export):
    """What a task reads otherwise by the drafted schema than it is meant, or None."""
    for name, content in export.files.items():
        (folder / name).write_bytes(content)
    drafted = draft(folder, export.target)
    (folder / "schema.yaml").write_text(drafted.text, encoding="utf-8")
    schema = yaml.safe_load(drafted.text)
    task = load_task(resolve(compose(["task=csv", f"task.data_dir={folder}"]))["task"])
    for site, columns in export.meant.items():
        table = task.load(site, folder, 1)
        labels = columns[export.target]
        kept = [i for i, label in enumerate(labels) if label is not None]
        if len(table) != len(kept):
            return f"{site} has {len(table)} rows, not {len(kept)}"
        for i, name in enumerate(schema["columns"]):
            if name in export.numbers:
                meant = [
                    np.nan if columns[name][row] is None else columns[name][row] for row in kept
                ]
                if not np.array_equal(table.x[:, i], np.array(meant, float), equal_nan=True):
                    return f"{name} of {site} is {table.x[:3, i]}, not {meant[:3]}"
        classes = schema["target"].get("classes")
        read = table.y.tolist() if classes is None else [str(classes[y]) for y in table.y]
        wanted = [labels[row] for row in kept]
        if read != wanted and [str(r).casefold() for r in read] != [w.casefold() for w in wanted]:
            return f"the target of {site} is {read[:3]}, not {wanted[:3]}"
    missed = export.numbers - set(schema["columns"]) - {export.target}
    return f"{missed} are left out" if missed else None


def test_a_task_reads_every_export_by_its_draft(tmp_path):
    for number in range(EXPORTS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        fault = differs(folder, make(number))
        assert fault is None, f"folder {number}: {fault}\n{(folder / 'schema.yaml').read_text()}"
