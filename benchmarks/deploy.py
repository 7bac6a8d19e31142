"""What separate machines cost: stages, rounds, transfers and memory, beside stock Flower.

`python -m benchmarks.deploy` prints a table, `--json` one JSON object and nothing else. Real
processes with TLS and node keys, each machine in a network namespace where that is allowed (as
root), else on loopback; stock Flower is measured in the same run. Times are medians, in seconds.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from rich.console import Console
from rich.table import Table

from benchmarks.fleet import Fleet, wait_for
from calyx.files.plain import read_lines
from calyx.trust.measured import PACKAGES

HERE = Path(__file__).resolve().parent
WIDE = HERE / "wide"
TWO, FOUR = ("north", "south"), tuple(f"client-{i:02d}" for i in range(4))
PACE_S = 2.0  # of the policy that the pages print
MIB_100 = 26_114_400  # parameters beside the MLP's 100,002: 100 MiB of float32
TARGETS = {
    "stage_s": 1.0,
    "plain_round_s": 3.0,
    "encrypted_round_s": 8.0,
    "paced_round_s": 8.0 + PACE_S,
    "transfer_100_mib_s": 10.0,
    "client_idle_mib": 450.0,
}
PLAIN = {"privacy": "none"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--stages", type=int, default=15, help="no-op stages to time")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to time")
    parser.add_argument(
        "--short", action="store_true", help="only a stage and a plain round of ours"
    )
    options = parser.parse_args(arguments)
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory(prefix="calyx-deploy-") as folder:
        found |= _two_sites(Path(folder) / "two", options)
        if not options.short:
            found |= _four_sites(Path(folder) / "four", options.rounds)
    if options.json:
        json.dump(found, sys.stdout)
        return
    _print(found)


def _two_sites(folder: Path, options: argparse.Namespace) -> dict[str, float | str]:
    folder.mkdir()
    with Fleet(folder, TWO, None, path=[WIDE]) as fleet:
        found: dict[str, float | str] = {
            "machines": "loopback" if fleet.why_loopback else "network namespaces"
        }
        if not options.short:
            found["flower_stage_s"] = _stock_stage(fleet, max(3, options.stages // 3))
        fleet.serve(env=other_server(folder / "noop", HERE / "noop.py"))
        fleet.join(**PLAIN)
        found["stage_s"] = _noop_stage(fleet, options.stages)
        fleet.down()
        fleet.serve()
        fleet.join(**PLAIN)
        found["plain_round_s"] = _plain_round(fleet, 0, options.rounds, seed=1)
        if options.short:
            return found
        found["transfer_100_mib_s"] = _plain_round(fleet, MIB_100, 3, seed=2)
        fleet.down()
        fleet.serve()
        fleet.join(**PLAIN)
        _plain_round(fleet, 0, 2, seed=3)
        found["client_idle_mib"] = _memory_mib(fleet.processes["north"].pid)
    return found


def other_server(folder: Path, app: Path) -> dict[str, str]:
    """An environment in which the operator's server app is the file `app`: a copy of ours with it."""
    for package in PACKAGES:
        shutil.copytree(HERE.parent / package, folder / package)
    shutil.copy(app, folder / "server" / "app.py")
    return {"PYTHONPATH": str(folder)}


def _noop_stage(fleet: Fleet, count: int) -> float:
    out = fleet.folder / "noop.json"
    fleet.script(HERE / "noop.py", fleet.control, "keys/ca.crt", out, count)
    return _median(json.loads(out.read_text()))


def _stock_stage(fleet: Fleet, count: int) -> float:
    """Stock Flower with TLS and node authentication, in its default mode."""
    programs, port = Path(sys.executable).parent, str(fleet.port)
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    quiet["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] = "1"
    # Flower's programs start each other by their names.
    quiet["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    link = [str(programs / "flower-superlink"), "--host", "0.0.0.0", "--port", port]  # noqa: S104 - of its own namespace, or the one that stock Flower knows
    link += ["--ssl-certfile", "keys/server.crt", "--ssl-keyfile", "keys/server.key"]
    link += ["--ssl-ca-certfile", "keys/ca.crt", "--enable-supernode-auth"]
    link += ["--database", "stock.db", "--disable-runtime-dependency-installation"]
    fleet.start("superlink", link, env=quiet | {"FLWR_HOME": str(fleet.folder / "flower")})
    publics = [f"sites/{name}.node.pub" for name in fleet.sites]
    wait_for(lambda: _registers(fleet, port, publics))
    for i, name in enumerate(fleet.sites):
        _write_ssh_key(fleet.folder / "sites" / f"{name}.node.key")
        node = [str(programs / "flower-supernode"), "--superlink", f"{fleet.host}:{port}"]
        node += ["--root-certificates", "keys/ca.crt", "--port", str(9094 + i)]
        node += ["--auth-supernode-private-key", f"sites/{name}.node.ssh"]
        home = {"FLWR_HOME": str(fleet.folder / f"flower-{name}")}
        fleet.start(f"node-{name}", node, name, quiet | home)
    out = fleet.folder / "stock.json"
    arguments = ("submit", port, "keys/ca.crt", out, count, len(fleet.sites))
    fleet.script(HERE / "stock.py", *arguments)
    fleet.down()
    return _median(json.loads(out.read_text()))


def _registers(fleet: Fleet, port: str, publics: list[str]) -> bool:
    try:
        fleet.script(HERE / "stock.py", "register", port, "keys/ca.crt", *publics)
    except AssertionError:  # it is not up yet
        if fleet.processes["superlink"].poll() is not None:
            raise SystemExit(f"Flower's SuperLink has ended: {fleet.said('superlink')}") from None
        return False
    return True


def _write_ssh_key(path: Path) -> None:
    """The same node key in the form that Flower's own programs read."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.with_suffix(".ssh").write_bytes(text)


def _plain_round(fleet: Fleet, ballast: int, rounds: int, seed: int) -> float:
    """Of the first round nothing is counted: sites import PyTorch in it."""
    run = f"plain-{seed}"
    fleet.submit(
        "task=wide",
        f"task.ballast={ballast}",
        "privacy=none",
        f"rounds={rounds}",
        f"seed={seed}",
        "training.epochs=1",
        "training.batch_size=128",
        "stopping.patience=99",
        "baselines=false",
        f"hydra.run.dir={run}",
    )
    return _round_s(fleet.folder / run)


def _four_sites(folder: Path, rounds: int) -> dict[str, float | str]:
    """An encrypted round, and the same where sites answer at multiples of PACE_S."""
    folder.mkdir()
    found: dict[str, float | str] = {}
    with Fleet(folder, FOUR, None) as fleet:
        for seed, (name, pace_s) in enumerate((("encrypted", 0.0), ("paced", PACE_S))):
            fleet.serve()
            fleet.join(pace_s=pace_s)
            fleet.submit(
                "task.num_clients=4",
                "privacy.n_min=4",
                f"rounds={rounds}",
                f"seed={seed}",
                "stopping.patience=99",
                "baselines=false",
                f"hydra.run.dir={name}",
            )
            found[f"{name}_round_s"] = _round_s(folder / name)
            fleet.down()
    return found


def _round_s(run: Path) -> float:
    rows = read_lines(run / "rounds.jsonl")
    return _median([float(row["seconds"]) for row in rows[1:-1] or rows])


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds), 3)


def _memory_mib(pid: int) -> float:
    """What a process needs for itself: its share of shared pages counts in part (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    pages = next(line for line in lines if line.startswith("Pss:"))
    return round(int(pages.split()[1]) / 1024, 1)


def _print(found: dict[str, float | str]) -> None:
    table = Table("figure", "measured", "target", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in found.items():
        table.add_row(name, str(value), f"≤ {TARGETS[name]:g}" if name in TARGETS else "")
    Console().print(table)


if __name__ == "__main__":
    main()
