"""A gateway that is killed while it writes its log loses no line that it has answered for."""

import os
import signal
import subprocess
import sys

import pytest

from calyx.secagg.keys import identity_of
from calyx.serving.decisions import DecisionLog
from calyx.serving.log_check import check_chain
from calyx.serving.log_config import LogConfig
from calyx.serving.log_lines import list_files

WRITER = """
import sys
from pathlib import Path
from calyx.serving.decisions import Decision, DecisionLog
from calyx.serving.log_config import LogConfig
log = DecisionLog(Path(sys.argv[1]), bytes(32), "ab" * 32, LogConfig())
while True:
    log.append(Decision("r", "ward", "predict", "answered", 200, "ab" * 32, 1))
    print("answered", flush=True)
"""


@pytest.mark.e2e
def test_a_killed_gateway_keeps_every_line_and_its_successor_goes_on(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ
    ) as writer:
        for _ in range(500):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        answered = 500 + len(writer.stdout.readlines())
    DecisionLog(tmp_path, bytes(32), "ab" * 32, LogConfig()).close()
    chain = check_chain(list_files(tmp_path)[1], [identity_of(bytes(32))], replica=1)
    assert (chain.damages, chain.files, chain.has_ended) == ([], 2, True)
    assert answered <= chain.decisions <= answered + 1
