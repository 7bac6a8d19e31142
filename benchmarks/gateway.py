"""Malformed exchanges over real TLS against a gateway: `python -m benchmarks.gateway`.

From many loopback addresses it gets what no site would send. Its memory and whether a sound request is
answered meanwhile are printed. Linux has all of 127.0.0.0/8 on the loopback; elsewhere it does not run.
"""

import argparse
import json
import multiprocessing
import os
import random
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calyx.authority import make_server as make_keys
from server.doors import make_server
from server.gateway import Behind, make_gateway
from server.guard import Limits

Door = tuple[int, Path]  # the port of a gateway on 127.0.0.1, and whom to trust
SOUND = b"POST /v1/fleet/get-run HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx"
LOOK_EVERY = 100  # exchanges


@dataclass(frozen=True)
class Found:
    """What became of the gateway."""

    before: float  # MiB of its memory
    after: float
    looks: int  # sound requests meanwhile
    served: int  # of them answered
    slowest_s: float  # of them


def connect(door: Door, source: str = "127.0.0.1") -> ssl.SSLSocket:
    """A TLS connection from a loopback address."""
    trusted = ssl.create_default_context(cafile=str(door[1]))
    raw = socket.create_connection(("127.0.0.1", door[0]), 5.0, (source, 0))
    return trusted.wrap_socket(raw, server_hostname="127.0.0.1")


def answer(door: Door, data: bytes, source: str = "127.0.0.1", patience_s: float = 5.0) -> int:
    """The status line's number; 0 where the connection was closed without one, or none came."""
    with closing(connect(door, source)) as line:
        line.settimeout(patience_s)
        with suppress(OSError):
            line.sendall(data)
        with suppress(OSError):
            head = line.recv(100)
            return int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0
    return 0


def nonsense(draw: random.Random) -> bytes:
    """Bytes of an exchange that no site would send."""
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: draw.randbytes(draw.randrange(1, 4000)),
        lambda: b"GET " + b"/" * draw.randrange(1, 70_000) + b" HTTP/1.1\r\n\r\n",
        lambda: SOUND.replace(b"x\r\n\r\n", b"x\r\n" + b"a: b\r\n" * 20_000 + b"\r\n"),
        lambda: SOUND.replace(b"length: 1", b"length: " + draw.choice((b"-1", b"1e9", b"9" * 40))),
        lambda: SOUND.replace(b"length: 1", b"length: 99999"),
        lambda: SOUND.replace(b"content-length: 1", b"transfer-encoding: chunked") + b"zz\r\n",
        lambda: SOUND.replace(b"host: x", b"flwr-signature: a\r\nflwr-signature: b"),
        lambda: SOUND.replace(b"POST", draw.choice((b"CONNECT", b"PRI", b"\0", b"GET"))),
        lambda: SOUND.replace(b"get-run", draw.choice((b"../control/start-run", b"%00", b"\xff"))),
        lambda: SOUND.replace(b"host: x", b"upgrade: websocket\r\nconnection: upgrade"),
        lambda: SOUND[: draw.randrange(1, len(SOUND))],
        lambda: SOUND * 30,
    )
    return draw.choice(kinds)()


def _behind(where: socket.socket, keys: Path) -> None:
    """A server that answers everything, as a SuperLink would a site."""

    async def say(request: Request) -> Response:
        return Response(b"answer")

    routes = [Route("/{path:path}", say, methods=["POST"])]
    server = make_server(Starlette(routes=routes), keys, ("127.0.0.1", 0), Limits())
    server.run(sockets=[where])


def _gateway(where: socket.socket, behind: str, keys: Path) -> None:
    limits = Limits(head_s=2.0, body_s=2.0, burst=10**9)
    app = make_gateway(Behind(behind, keys / "ca.crt", None), keys / "audit.jsonl", limits)
    make_server(app, keys, ("127.0.0.1", 0), limits).run(sockets=[where])


@contextmanager
def _running(keys: Path) -> Iterator[tuple[Door, int]]:
    """A gateway in a process of its own before a server in another: its door, and its process."""
    behind, front = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    fork = multiprocessing.get_context("fork")
    address = f"127.0.0.1:{behind.getsockname()[1]}"
    started = [
        fork.Process(target=_behind, args=(behind, keys), daemon=True),
        fork.Process(target=_gateway, args=(front, address, keys), daemon=True),
    ]
    for one in started:
        one.start()
    door = (front.getsockname()[1], keys / "ca.crt")
    try:
        while answer(door, SOUND) != 200:
            time.sleep(0.05)
        yield door, started[1].pid or 0
    finally:
        for one in started:
            one.kill()
            one.join()
        for line in (behind, front):
            line.close()


def _memory(process: int) -> float:
    """MiB of a process that are in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Send malformed exchanges, and print what became of the gateway."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=main.__doc__)
    parser.add_argument("--exchanges", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--seed", type=int, default=7, help="of what is drawn (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    found = measure(options.exchanges, options.seed, Console(quiet=options.json))
    if options.json:
        Console().print_json(json.dumps(asdict(found)))
        return
    console = Console()
    console.print(
        f"memory of the gateway: {found.before:.1f} MiB before, {found.after:.1f} MiB after"
    )
    console.print(
        f"sound requests meanwhile: {found.served} of {found.looks} answered, in {found.slowest_s:.2f} s "
        "at most"
    )


def measure(exchanges: int, seed: int, console: Console) -> Found:
    """What becomes of a gateway by so many malformed exchanges."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder)
        make_keys(keys, ["127.0.0.1"])
        with _running(keys) as (door, process):
            for _ in range(20):
                answer(door, SOUND)
            before, looks, served, slowest = _memory(process), 0, 0, 0.0
            for number in track(range(exchanges), "malformed exchanges", console=console):
                source = f"127.0.{draw.randrange(1, 4)}.{draw.randrange(1, 250)}"
                with suppress(OSError):
                    answer(door, nonsense(draw), source, patience_s=0.02)
                if number % LOOK_EVERY == 0:
                    began = time.monotonic()
                    looks, served = looks + 1, served + (answer(door, SOUND) == 200)
                    slowest = max(slowest, time.monotonic() - began)
            return Found(before, _memory(process), looks, served, slowest)


if __name__ == "__main__":
    main()
