"""Whatever a task's `load` does wrong is one sentence that names the client, what, and where."""

import random
import subprocess
import sys

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table, Target
from calyx.errors import DataError
from client.rows.loading import load

X, Y = np.zeros((4, 2)), np.array([0, 1, 1, 0])
COLUMNS = (Column("a", "numeric"), Column("b", "numeric"))


class Ships:
    """Two columns; `table` is what `load` returns, or raises."""

    name = "fleet"

    def __init__(self, table, target=None):
        self.table = table
        self.schema = Schema(COLUMNS, () if target else ("no", "yes"), target)

    def load(self, client, data_dir, seed):
        if isinstance(self.table, BaseException):
            raise self.table
        return self.table() if callable(self.table) else self.table


WRONG = {
    "a name that is not there": (KeyError("colour"), r"fails: KeyError: 'colour' \("),
    "a file that is not there": (
        FileNotFoundError(2, "No such file", "a.csv"),
        "fails: FileNotFound",
    ),
    "a script's end": (SystemExit(3), r"fails: SystemExit: 3 \("),
    "no text": (ValueError(), r"fails: ValueError \("),
    "a tuple": ((X, Y), "returns a tuple, and not a calyx.data.schema.Table"),
    "nothing": (None, "returns None, and not"),
    "lists": (Table(X.tolist(), Y), r"gives x as a list, and not float64 \[rows, 2\]"),
    "float32": (Table(X.astype(np.float32), Y), r"gives x as float32 \[4, 2\], and not float64"),
    "a column too many": (Table(np.zeros((4, 3)), Y), r"gives x as float64 \[4, 3\], and not"),
    "one column alone": (Table(np.zeros(4), Y), r"gives x as float64 \[4\], and not"),
    "words": (Table(np.full((4, 2), "a"), Y), r"gives x as <U1 \[4, 2\], and not"),
    "labels in a column": (Table(X, Y[:, None]), r"gives y as int64 \[4, 1\], and not int64 \[4\]"),
    "labels of other rows": (Table(X, Y[:3]), r"gives y as int64 \[3\], and not int64 \[4\]"),
    "labels that are floats": (Table(X, Y * 1.0), r"gives y as float64 \[4\], and not int64"),
    "a label too many": (Table(X, Y + 1), "gives the label 2, none of 0 … 1"),
    "a label below": (Table(X, Y - 1), "gives the label -1, none of 0 … 1"),
}


@pytest.mark.parametrize(("table", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_table_of_the_schema_is_refused(table, words):
    with pytest.raises(DataError, match=rf"^oslo: `load` of task=fleet {words}") as caught:
        load(Ships(table), "oslo", None, 1)
    assert "(rows/test_loading.py, line " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sentence_of_the_tasks_own_stays_as_it_is():
    with pytest.raises(DataError, match=r"^oslo\.csv is not there\.$"):
        load(Ships(DataError("oslo.csv is not there.")), "oslo", None, 1)


def test_a_table_is_what_the_task_made():
    for table, target in ((Table(X, Y), None), (Table(X, Y * 1.0), Target("cost", 0, 1))):
        assert load(Ships(table, target), "oslo", None, 1) is table
    assert len(load(Ships(Table(X[:0], Y[:0])), "oslo", None, 1)) == 0


def test_what_a_task_draws_from_global_generators_while_loading_is_seeded():
    def draw(client, seed):
        task = Ships(lambda: Table(np.random.randn(4, 2) + random.random(), Y))
        return load(task, client, None, seed).x.tolist()

    assert draw("a", 1) == draw("a", 1)
    assert draw("a", 1) != draw("b", 1)
    assert draw("a", 1) != draw("a", 2)


def test_a_client_that_does_not_fit_into_a_real_limit_is_one_sentence():
    """In a process of its own, whose limit is that of what it has by now and 64 MiB."""
    code = """
import re, resource
from pathlib import Path
import numpy as np
from calyx.data.schema import Column, Schema, Table
from calyx.errors import DataError
from client.rows.loading import load

class Large:
    name, schema = "large", Schema((Column("a", "numeric"),), ("no", "yes"))
    def load(self, client, data_dir, seed):
        rows = 2**25
        return Table(np.ones((rows, 1)), np.ones(rows, dtype=np.int64))

used = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, -1))
try:
    load(Large(), "north", None, 1)
except DataError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.startswith(
        "north's rows do not fit into memory (Unable to allocate 256. MiB"
    )
    assert ended.stdout.count("\n") == 1
