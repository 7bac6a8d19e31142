"""Malformed exchanges against a gateway over real TLS: its memory, and whether sites are served.

    python -m benchmarks.gateway --exchanges 10000

The gateway runs in a process of its own before a stub of the SuperLink; each exchange comes from
an address of its own in 127.0.0.0/8, sixteen at a time, and a site asks all the while. Nothing is
sent to anybody else's gateway.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.malformed import ASK, PLAIN, Malformed, NodeKey

AT_ONCE = 16


class Sender:
    """Sends exchanges to a gateway at HOST:PORT, each from an address of its own."""

    def __init__(self, address: str, authority: Path, malformed: Malformed) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._kinds = int(port), malformed.kinds()
        self._trusted = ssl.create_default_context(cafile=str(authority))
        self.sent: Counter[str] = Counter()

    async def send(self, exchanges: int, wait_s: float = 1.0) -> None:
        """So many exchanges, in the order of their kinds; an answer is waited for `wait_s`."""
        kinds, gate = list(self._kinds.items()), asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            name, make = kinds[number % len(kinds)]
            own = f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
            async with gate:
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    await self._exchange(make(), own, wait_s, is_plain=name == PLAIN)
            self.sent[name] += 1

        await asyncio.gather(*(one(number) for number in range(exchanges)))

    async def _exchange(self, content: bytes, own: str, wait_s: float, *, is_plain: bool) -> None:
        context = None if is_plain else self._trusted
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=context, local_addr=(own, 0)
        )
        try:
            async with asyncio.timeout(wait_s):
                writer.write(content)
                await writer.drain()
                await reader.read(1000)
        finally:
            writer.transport.abort()


def resident_bytes(process: int | str = "self") -> int:
    """Memory of a process that lies in RAM."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


SERVER = """
import sys
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
import asyncio, threading, time, uvicorn
from calyx.fleet.gateway import Behind, make_gateway
from calyx.fleet.guard import Limits
from calyx.fleet.listening import GatewayServer

folder, port, behind = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

async def answer(request):
    await request.body()
    return Response(b"answer")

stub = uvicorn.Server(uvicorn.Config(
    Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])]), port=behind,
    ssl_certfile=folder / "server.crt", ssl_keyfile=folder / "server.key", log_level="critical"))
threading.Thread(target=stub.run, daemon=True).start()
sites = {"north": (folder / "north.pub").read_bytes()}
limits = Limits(head_s=2.0)
app = make_gateway(
    Behind(f"127.0.0.1:{behind}", folder / "ca.crt", None, sites), folder / "audit.jsonl", limits)
GatewayServer(app, "127.0.0.1", port, folder, limits).run()
"""


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[tuple[str, int]]:
    """A gateway in a process of its own: HOST:PORT and its process. `folder` has keys and north.pub."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", SERVER, str(folder), *ports]
    )
    try:
        for _ in range(600):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", int(ports[0]))),
            ):
                break
            time.sleep(0.05)
        yield f"127.0.0.1:{ports[0]}", process.pid
    finally:
        process.terminate()
        process.wait()


async def serve_throughout(
    address: str, authority: Path, site: NodeKey, until: asyncio.Event
) -> list[float]:
    """Ask as a site until `until` is set; the seconds of each answer. Raises AssertionError for a refusal."""
    import httpx

    trusted, seconds = ssl.create_default_context(cafile=str(authority)), []
    anew = httpx.Limits(max_keepalive_connections=0)  # it has to get in each time
    async with httpx.AsyncClient(
        verify=trusted, timeout=30, trust_env=False, limits=anew
    ) as client:
        while not until.is_set():
            started = time.perf_counter()
            answer = await client.post(f"https://{address}{ASK}", headers=site.headers())
            if answer.status_code != 200:
                raise AssertionError(f"a site was answered {answer.status_code}")
            seconds.append(time.perf_counter() - started)
            await asyncio.sleep(0.05)
    return seconds


@dataclass(frozen=True)
class Found:
    """What became of the gateway, and of the site that asked meanwhile."""

    exchanges: int
    kinds: int  # of malformed exchanges
    growth_mib: float  # of the gateway's memory, afterwards
    peak_mib: float  # at most meanwhile
    served: int  # requests of the site, all answered
    median_s: float
    worst_s: float


async def _attack(address: str, process: int, folder: Path, site: NodeKey, exchanges: int) -> Found:
    sender = Sender(address, folder / "ca.crt", Malformed(site, 21))
    await sender.send(300)  # so that everything is loaded once
    until = asyncio.Event()
    watched = asyncio.create_task(serve_throughout(address, folder / "ca.crt", site, until))
    before, most = resident_bytes(process), 0
    work = asyncio.create_task(sender.send(exchanges))
    while not work.done():
        await asyncio.sleep(0.1)
        most = max(most, resident_bytes(process))
    until.set()
    seconds = sorted(await watched)
    await asyncio.sleep(3)
    after = resident_bytes(process)
    return Found(
        exchanges,
        len(sender.sent),
        (after - before) / 2**20,
        (most - before) / 2**20,
        len(seconds),
        seconds[len(seconds) // 2],
        seconds[-1],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Attack a gateway of our own and print what it came to."""
    from calyx.trust.authority import make_server

    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--exchanges", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options, site = parser.parse_args(arguments), NodeKey()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_server(folder, ["127.0.0.1"])
        (folder / "north.pub").write_bytes(site.public)
        with gateway(folder) as (address, process):
            found = asyncio.run(_attack(address, process, folder, site, options.exchanges))
    if options.json:
        Console().print_json(json.dumps(asdict(found)))
        return
    sys.stdout.write(
        f"{found.exchanges} malformed exchanges of {found.kinds} kinds\n"
        f"memory: {found.growth_mib:+.1f} MiB afterwards, {found.peak_mib:+.1f} MiB at most\n"
        f"a site: {found.served} requests, all answered; median {found.median_s:.3f} s, worst "
        f"{found.worst_s:.3f} s\n"
    )


if __name__ == "__main__":
    main()
