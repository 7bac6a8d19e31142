"""The gateway where importing Flower, Hydra or Ray fails: in a process of its own, from its command on."""

import subprocess
import sys

from support.releases import make_release, write_signers

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("flwr", "hydra", "omegaconf", "ray", "sklearn", "server", "client"):
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""
LOAD = """
from pathlib import Path
from calyx.cli import serve
from calyx.releases.signers import read_signers
from calyx.serving import running, settings
from calyx.serving.served import make_served
from calyx.serving.swap import Releases

cfg = settings.read_settings(None, ["serve.state_dir=state"])
release = Releases(Path("releases"), read_signers(Path("signers.json"))).choose(None)
served = make_served(release, cfg)
print(served.version, sorted(name for name in sys.modules if name.startswith("flwr")))
"""


def test_a_release_is_served_where_flower_and_hydra_are_not_there(tmp_path) -> None:
    (tmp_path / "releases").mkdir()
    make_release(tmp_path / "releases" / "heart-1")
    write_signers(tmp_path / "signers.json")
    ended = subprocess.run(
        [sys.executable, "-c", BLOCKED + LOAD],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("1 []\n", "")
