"""The environments of other people's simulators: made once in a folder, pinned, each on its own.

An environment shares PyTorch, NumPy and whatever else this one has, so that all compute with the same
releases; what the simulator needs besides is installed without asking what else it would like.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.measurement import Program
from benchmarks.engine.ours import LIMIT_S
from benchmarks.engine.programs import Failed, start
from benchmarks.engine.workload import Outcome, Workload, read_outcome
from benchmarks.environments import make_environment, own_places


@dataclass(frozen=True)
class Peer:
    """A simulator of somebody else's."""

    name: str  # in the table, and as keys of the JSON know it
    module: str  # of benchmarks/engine/peers/
    packages: tuple[str, ...]  # pinned; none where this environment has it
    most_rounds: int | None = None
    largest_cohort: int | None = None  # of one that starts a process a client and round


PEERS = (
    Peer("Flower on Ray", "flower", ()),
    Peer(
        "pfl-research",
        "pfl",
        (
            "pfl==0.6.0",
            "multiprocess==0.70.18",
            "dill==0.4.0",
            "dp-accounting==0.5.0",
            "prv-accountant==0.2.0",
        ),
    ),
    Peer(
        "fluke",
        "fluke",
        (
            "fluke-fl==0.8.1",
            "cerberus==1.3.8",
            "clearml==2.1.12",
            "datasets==5.2.0",
            "diskcache==5.6.3",
            "lightning-utilities==0.15.3",
            "opacus==1.6.0",
            "psutil==7.2.2",
            "seaborn==0.13.2",
            "torchmetrics==1.9.0",
            "wandb==0.31.0",
        ),
    ),
    Peer(
        "FedLab",
        "fedlab",
        (
            "fedlab==1.3.0",
            "munch==4.0.0",
            "nvidia-ml-py==13.615.71",
            "psutil==7.2.2",
            "torchvision==0.28.0",
        ),
    ),
    Peer(
        "NVFlare simulator",
        "nvflare_simulator",
        (
            "nvflare==2.9.0",
            "blinker==1.9.0",
            "docker==7.2.0",
            "flask==3.1.3",
            "flask-jwt-extended==4.7.4",
            "flask-sqlalchemy==3.1.1",
            "gunicorn==27.0.1",
            "itsdangerous==2.2.0",
            "psutil==7.2.2",
            "pyhocon==0.3.63",
            "pyjwt==2.15.1",
        ),
        most_rounds=4,
        largest_cohort=10,
    ),
)


def peer_programs(folder: Path) -> list[Program]:
    """Every peer, in an environment below `folder`, which is made where it is not there.

    One that cannot be installed is a program that fails, and says why.
    """
    return [
        Program(peer.name, _runner_of(peer, folder / peer.module), most_rounds=peer.most_rounds)
        for peer in PEERS
    ]


def _runner_of(peer: Peer, folder: Path) -> Callable[[Workload, Path], Outcome]:
    def run(work: Workload, where: Path) -> Outcome:
        largest, size = peer.largest_cohort, work.setting.cohort_size
        if largest is not None and size > largest:
            raise Failed(f"it starts a process for each client of a round, and there are {size}")
        python = _make(peer, folder)
        source, target = where / "work.npz", where / "outcome.npz"
        work.save(source)
        command = [str(python), "-m", f"benchmarks.engine.peers.{peer.module}"]
        quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        start([*command, str(source), str(target)], os.environ | quiet, LIMIT_S)
        return read_outcome(target)

    return run


def _make(peer: Peer, folder: Path) -> Path:
    """The interpreter of the peer's environment. Raises Failed where it cannot be made."""
    if not peer.packages:
        return Path(sys.executable)
    python, is_whole = folder / "bin" / "python", folder / "is-whole"
    places = own_places()  # another checkout's environment may have made it, and be gone
    shared = "".join(f"{place}\n" for place in places)
    if not is_whole.exists() or is_whole.read_text() != shared:
        make_environment(folder, places)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        try:
            start([*pip, "--no-deps", *peer.packages], os.environ, LIMIT_S)
        except Failed as error:
            raise Failed(f"it cannot be installed: {error}") from None
        is_whole.write_text(shared)
    return python
