"""How fast the gateway answers, beside LitServe and BentoML with the same model, measured in turns.

Ours has all that it does in use: a key, its budgets, every cell checked, unusual values and drift counted,
the detector of stealing (which only alerts here), and a line of the signed log a request. Theirs checks
nothing and knows nobody, and computes by PyTorch, as their pages show it. All speak plain HTTP on loopback,
over eight connections, and are asked for the same rows, of which no two are alike. LitServe with one worker
is two processes, one that listens and one that computes: ours is measured with one, and with two replicas.

    python -m benchmarks.serve --data FOLDER [--folder FOLDER] [--seconds 5] [--turns 3]
    python -m benchmarks.serve --data FOLDER --fuzz 20000
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import Generator

from benchmarks.engine.machine import describe
from benchmarks.engine.programs import Failed
from benchmarks.serve.load import request_of
from benchmarks.serve.programs import (
    PEERS,
    cpu_s,
    environment,
    make_peer,
    peer_command,
    program,
    run_calyx,
    serving,
)
from calyx.machine.ports import why_taken
from calyx.seeding import rng

OURS, TWO = "Calyx", "Calyx, two replicas"
SIZES = (1, 256)  # rows of a request
CONNECTIONS = 8
RATE = 300.0  # requests a second, at which times are measured
KINDS = 64  # of requests of each size, which go round


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    port: int
    pid: int  # of its first process
    requests: Mapping[int, list[str]]  # by their rows


@dataclass(frozen=True)
class Measured:
    """One load on one server."""

    server: str
    rows: int
    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float  # processor time of all its processes, an answer


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the task heart's files")
    parser.add_argument("--folder", type=Path, help="where peers' environments are kept")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--fuzz", type=int, metavar="N", help="send N requests of nobody's, and no load"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _say("making two releases …")
        key = make_releases(folder, options.data.absolute())
        if options.fuzz:
            return _fuzz(folder, key, options.fuzz, stack)
        servers = list(_start_all(folder, options.folder or folder / "peers", key, stack))
        found = [
            _measure(server, rows, options.seconds, 0.0)
            for _ in range(options.turns)
            for rows in SIZES
            for server in servers
        ]
        paced = _measure(servers[0], 1, options.seconds, RATE)
        swapped, version = _swap(folder, servers[0], options.seconds)
    sys.stdout.write(f"{write_table(found, paced, swapped, version)}\n")
    sys.stdout.write(json.dumps({"machine": describe(), "measured": [*map(vars, found)]}) + "\n")
    return 0


def make_releases(folder: Path, data: Path) -> str:
    """A run, the first release of it in releases/, the second beside, signed by two; an API key."""
    run = folder / "run"
    short = ["rounds=2", "training.epochs=1", "baselines=false", f"hydra.run.dir={run}"]
    run_calyx(folder, "simulate", "task=heart", f"task.data_dir={data}", *short)
    for name in ("anna", "bela"):
        run_calyx(folder, "keys", "signer", name)
    publics = ["anna.pub", "bela.pub"]
    run_calyx(folder, "keys", "signers", "--threshold", "2", "--out", "signers.json", *publics)
    (folder / "releases").mkdir()
    for release in ("releases/heart-1", "releases/heart-2"):
        run_calyx(folder, "release", str(run), "--to", release)
        for name in ("anna", "bela"):
            run_calyx(folder, "release", "sign", release, "--key", f"{name}.key")
    (folder / "releases" / "heart-2").rename(folder / "heart-2")
    scopes = ["--scope", "predict", "--scope", "model", "--scope", "metrics", "--scope", "docs"]
    scopes += ["--expires", "1d"]
    said = run_calyx(folder, "keys", "gateway", "add", "bench", *scopes)
    return next(word for word in said.split() if word.startswith("calyx_"))


def _fuzz(folder: Path, key: str, count: int, stack: ExitStack) -> int:
    """Send requests that nobody would; 1 where one is answered as none must be."""
    from benchmarks.serve.fuzz import fuzz  # late: schemathesis is of `dev`

    ours = _start_ours(folder, key, _free_ports(1)[0], stack)
    seen = fuzz(ours.port, key, ours.requests[1][0].encode(), count)
    sys.stdout.write(f"{json.dumps(seen.statuses)}\n{seen.failures} of {count} must not be.\n")
    return int(seen.failures > 0)


def _start_ours(folder: Path, key: str, port: int, stack: ExitStack, replicas: int = 1) -> Server:
    far, name = 10**9, OURS if replicas == 1 else TWO
    words = [f"serve.replicas={replicas}", f"serve.state_dir=state-{replicas}"]
    words += [f"serve.port={port}", "serve.keys=gateway.json", "serve.detector.mode=alert"]
    words += [f"serve.limits.requests_per_minute={far}", f"serve.limits.rows_per_day={far}"]
    ours = program("serve", "releases", "--signers", "signers.json", *words)
    pid = stack.enter_context(serving(["env", f"--chdir={folder}", *ours], port, {}))
    return Server(name, port, pid, _requests("/v1/predict", [f"authorization: Bearer {key}"]))


def _start_all(folder: Path, peers: Path, key: str, stack: ExitStack) -> Iterator[Server]:
    ports = _free_ports(2 + len(PEERS))
    yield _start_ours(folder, key, ports[0], stack)
    yield _start_ours(folder, key, ports[1], stack, replicas=2)
    release = folder / "releases" / "heart-1"
    for peer, port in zip(PEERS, ports[2:], strict=True):
        try:
            python = make_peer(peer, peers / peer.module)
            command = peer_command(peer, python, release, port)
            pid = stack.enter_context(serving(command, port, {"RELEASE": str(release)}))
        except (Failed, AssertionError) as error:
            _say(f"{peer.name} is not measured: {error}")
            continue
        yield Server(peer.name, port, pid, _requests("/predict", []))


def _requests(path: str, headers: list[str]) -> dict[int, list[str]]:
    draw = rng(0, "benchmark-requests")
    return {
        rows: [
            request_of(path, json.dumps({"rows": _draw(draw, rows)}).encode(), headers).decode()
            for _ in range(KINDS)
        ]
        for rows in SIZES
    }


def _draw(draw: Generator, count: int) -> list[dict[str, Any]]:
    """Patients of heart's schema, no two alike, about as old and as ill as those of the task."""
    numbers = {"age": (54, 9), "trestbps": (132, 18), "chol": (247, 51), "thalach": (137, 25)}
    cells: dict[str, Any] = {
        name: draw.normal(*about, count).round(1) for name, about in numbers.items()
    }
    cells |= {
        "oldpeak": draw.uniform(0, 3, count).round(2),
        "ca": draw.choice((0.0, 1.0, 2.0), count),
    }
    codes = {"sex": (0, 1), "cp": (1, 2, 3, 4), "fbs": (0, 1), "restecg": (0, 1, 2)}
    codes |= {"exang": (0, 1), "slope": (1, 2, 3), "thal": (3, 6, 7)}
    cells |= {name: draw.choice(words, count) for name, words in codes.items()}
    bounds = {"age": (18, 100), "trestbps": (60, 240), "chol": (80, 610), "thalach": (50, 220)}
    cells |= {name: cells[name].clip(*ends) for name, ends in bounds.items()}
    columns = {name: values.tolist() for name, values in cells.items()}
    return [{name: column[i] for name, column in columns.items()} for i in range(count)]


def _free_ports(count: int) -> list[int]:
    return [port for port in range(9200, 9400) if why_taken("127.0.0.1", port) is None][:count]


def _load(server: Server, rows: int, seconds: float, rate: float) -> "subprocess.Popen[bytes]":
    words = [str(server.port), str(seconds), str(CONNECTIONS), str(rate)]
    command = [sys.executable, "-m", "benchmarks.serve.load", *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment())
    if process.stdin is not None:
        process.stdin.write(json.dumps(server.requests[rows]).encode())
        process.stdin.close()
        process.stdin = None
    return process


def _measure(server: Server, rows: int, seconds: float, rate: float) -> Measured:
    return _read(server, rows, cpu_s(server.pid), _load(server, rows, seconds, rate))


def _read(server: Server, rows: int, before: float, process: "subprocess.Popen[bytes]") -> Measured:
    """What a load came to; `before` is the server's processor time when it began."""
    out, _ = process.communicate()
    taken = cpu_s(server.pid) - before
    said: dict[str, Any] = json.loads(out)
    if said["failed"]:
        _say(f"{server.name}, {rows} rows: {said['failed']} failed: {said['why']}")
    times = said["p50_ms"], said["p99_ms"], said["failed"]
    return Measured(
        server.name, rows, said["per_s"], *times, round(1e6 * taken / max(1, said["answers"]))
    )


def _swap(folder: Path, server: Server, seconds: float) -> tuple[Measured, int]:
    """The same pace while a newer release is put there; and the version that answers after it."""
    before, process = cpu_s(server.pid), _load(server, 1, seconds + 3, RATE)
    time.sleep(1)
    shutil.copytree(folder / "heart-2", folder / "releases" / ".heart-2")
    (folder / "releases" / ".heart-2").rename(folder / "releases" / "heart-2")
    measured = _read(server, 1, before, process)
    import httpx

    ready = httpx.get(f"http://127.0.0.1:{server.port}/readyz").json()
    return measured, int(ready["release"]["version"])


def write_table(found: Sequence[Measured], paced: Measured, swapped: Measured, version: int) -> str:
    """The figures as Markdown, medians over the turns; processor time is that of a request."""
    lines = [
        "| server | one row: requests/s, p50, p99 | processor time | 256 rows: rows/s | processor time |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(one.server for one in found):
        one, many = (_median(found, name, rows, "per_s") for rows in SIZES)
        p50, p99 = (_median(found, name, 1, key) for key in ("p50_ms", "p99_ms"))
        cpu = [f"{_median(found, name, rows, 'cpu_us') / 1e3:.2f} ms" for rows in SIZES]
        lines.append(
            f"| {name} | {one:,.0f}, {p50:.1f} ms, {p99:.1f} ms | {cpu[0]} | {256 * many:,.0f} | {cpu[1]} |"
        )
    lines.append("")
    lines.append(f"At {RATE:.0f} requests/s: p50 {paced.p50_ms} ms, p99 {paced.p99_ms} ms.")
    lines.append(
        f"A swap to version {version} under that load: {swapped.failed} failed, p99 {swapped.p99_ms} ms."
    )
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _median(found: Sequence[Measured], name: str, rows: int, key: str) -> float:
    values = [vars(one)[key] for one in found if (one.server, one.rows) == (name, rows)]
    return float(statistics.median(values))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
