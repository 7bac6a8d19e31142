"""The benchmark of encryption runs, and says what scripts read."""

import json
import subprocess
import sys
from pathlib import Path

KEYS = {
    "mask_ns_per_u32",
    "ctr_ns_per_u32",
    "client_ms",
    "flower_client_ms",
    "server_ms",
    "wire_ratio",
}


def test_json_is_one_object_alone_on_standard_output():
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.secagg", "--json", "--repeats=1", "--parameters=2000"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(ended.stdout)
    assert figures.keys() >= KEYS
    assert all(value > 0 for value in figures.values())
