"""A load generator: HTTP requests one after the other over connections that stay, on loopback.

It runs in a process of its own, beside the server that it measures.
`python -m benchmarks.serve.load PORT SECONDS CONNECTIONS RATE < REQUESTS` reads a JSON list of requests,
which go round, and prints one JSON object; a rate of 0 is as fast as answers come.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass
class Load:
    """What came back."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds of each answer of 200
    failed: list[str] = field(default_factory=list)  # of all others, the first few

    def summary(self) -> dict[str, float | int | list[str]]:
        """Answers, answers a second, and times in milliseconds; a late answer counts as late."""
        ordered = sorted(self.latencies) or [float("nan")]
        return {
            "answers": len(self.latencies),
            "per_s": round(len(self.latencies) / self.seconds, 1),
            "p50_ms": round(1e3 * ordered[len(ordered) // 2], 2),
            "p99_ms": round(1e3 * ordered[int(len(ordered) * 0.99)], 2),
            "failed": len(self.failed),
            "why": self.failed[:3],
        }


class Connection:
    """One connection that stays open, on which one request is under way at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> int:
        """Send a request and read its answer to the end; the status."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length:")
        await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1])


@dataclass(frozen=True)
class Work:
    """What is asked, and how."""

    port: int
    seconds: float
    connections: int
    rate: float  # requests a second; 0: as fast as answers come
    requests: Sequence[bytes]  # which each connection sends in turn, each from a place of its own


async def run(work: Work) -> Load:
    """Ask for some seconds, over some connections."""
    load = Load()
    begin = time.perf_counter()
    await asyncio.gather(*(_ask_on(work, load, begin, i) for i in range(work.connections)))
    load.seconds = time.perf_counter() - begin
    return load


async def _ask_on(work: Work, load: Load, begin: float, number: int) -> None:
    """The share of connection `number`: at the rate of the work, or without a pause."""
    step = work.connections / work.rate if work.rate else 0.0
    connection, due = None, begin + step * number / work.connections
    place = number * len(work.requests) // work.connections
    while time.perf_counter() < begin + work.seconds:
        if step:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        start = due if step else time.perf_counter()
        due += step
        try:
            if connection is None:
                connection = Connection(*await asyncio.open_connection(HOST, work.port))
            place += 1
            status = await connection.ask(work.requests[place % len(work.requests)])
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            connection = None
            load.failed.append(type(error).__name__)
            await asyncio.sleep(0.05)
            continue
        if status == 200:
            load.latencies.append(time.perf_counter() - start)
        else:
            load.failed.append(str(status))


def request_of(path: str, body: bytes, headers: Sequence[str] = ()) -> bytes:
    """The bytes of a POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {HOST}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def main(arguments: Sequence[str]) -> None:
    """Ask as the command line says."""
    port, seconds, connections, rate = map(float, arguments)
    requests = [one.encode() for one in json.load(sys.stdin)]
    work = Work(int(port), seconds, int(connections), rate, requests)
    try:
        import uvloop
    except ImportError:
        load = asyncio.run(run(work))
    else:
        load = uvloop.run(run(work))
    print(json.dumps(load.summary()))  # noqa: T201 - a program prints


if __name__ == "__main__":
    main(sys.argv[1:])
