"""The project is a plain Flower app: Flower's own tool accepts and bundles it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "calyx",
    "client",
    "server",
    "strategies",
    "conf",
    "pyproject.toml",
    "LICENSE",
    "README.md",
)


def test_flower_bundles_the_apps_and_their_config_and_nothing_else(tmp_path):
    project = tmp_path / "calyx"
    project.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, project / part)
    offline = {
        "FLWR_HOME": str(tmp_path / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    built = subprocess.run(
        [str(Path(sys.executable).parent / "flwr"), "build"],
        cwd=project,
        env=os.environ | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [bundle] = project.glob("*.fab")
    names = zipfile.ZipFile(bundle).namelist()
    assert {"server/app.py", "client/app.py", "conf/config.yaml", "conf/task/heart.yaml"} <= set(
        names
    )
    tops = {name.split("/")[0] for name in names}
    assert tops <= {
        "calyx",
        "client",
        "server",
        "strategies",
        "conf",
        "pyproject.toml",
        "LICENSE",
        ".info",
    }
