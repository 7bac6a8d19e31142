"""The environment of Flower's processes: nothing of it brings code or settings of somebody else's."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from calyx.flower.bell import PORT_VARIABLE
from calyx.machine.proxies import past_proxies
from calyx.trust.measured import ROOT


def flower_environment(state: Path, bell_port: int) -> dict[str, str]:
    """The environment of SuperLink, of superexec, and of the server apps that superexec starts."""
    programs = Path(sys.executable).parent
    return without_python(past_proxies(os.environ), ROOT) | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "FLWR_HOME": str(state.absolute() / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        PORT_VARIABLE: str(bell_port),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
    }


def without_python(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """This process's environment without Python's variables, which can bring other code than is installed.

    Where PYTHONPATH names `root`, the folder that this process has our packages from, it goes on to
    name that folder alone: a checkout that its developers run is no installed package.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    named = environment.get("PYTHONPATH", "").split(os.pathsep)
    return kept | {"PYTHONPATH": str(root)} if str(root) in named else kept
