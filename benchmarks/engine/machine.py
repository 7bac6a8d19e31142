"""On what a table was measured: processor, memory, versions, day."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from calyx.machine.hardware import cores


def describe() -> dict[str, str | int]:
    """For the line above a table."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": _memory_gb(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "calyx": version("calyx"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _memory_gb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return round(int(lines[0].split()[1]) / 1e6)
