"""One process a run: a second one would write into the same folder."""

import subprocess
import sys

import pytest

from calyx.errors import UserError
from calyx.run.folder import RunFolder

HOLD = """
import sys
from pathlib import Path
from calyx.run.folder import RunFolder
with RunFolder(Path(sys.argv[1])).alone():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_is_going_on_elsewhere_is_not_touched(tmp_path):
    folder = RunFolder(tmp_path / "run")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="still going on in another process"), folder.alone():
            pass
        other.kill()  # a crash leaves the file, and no lock
        other.wait()
        with folder.alone():
            pass
        assert list(folder.path.iterdir()) == []
    finally:
        other.kill()
        other.communicate()
