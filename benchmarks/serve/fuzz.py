"""Requests that nobody would send, to a gateway that runs: what it answers, and whether it still does.

Half are made by schemathesis from the gateway's own description, as it allows and as it forbids; half are
good requests with bytes changed, cut off, doubled or put in, over a socket. No answer may be of 500 or
above, but for 503; and a good request must be answered after them.
"""

import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

_PIECES = (
    *(b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b"[" * 2000, b'{"rows":' * 500, b"1e400", b"NaN", b"-"),
    *(b"9" * 5000, b'"\\ud800"', b"transfer-encoding: chunked\r\n", b"content-length: 5\r\n"),
    *(
        b"expect: 100-continue\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b" ",
        b":",
        b"%",
        b"/../",
    ),
    *(
        b"text/csv",
        b"HEAD ",
        b"CONNECT ",
        b"HTTP/1.0",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b",",
        b"\t",
        b"age",
    ),
)
_ANSWER_S = 5.0


@dataclass(frozen=True)
class Fuzzed:
    """What became of the requests."""

    statuses: Counter[
        str
    ]  # how often each was answered; `none` where the connection ended, or `unsent`
    is_alive: bool  # whether a good request was answered after them

    @property
    def failures(self) -> int:
        """Answers that a gateway must not give."""
        bad = [n for s, n in self.statuses.items() if s.startswith("5") and s != "503"]
        return sum(bad) + (not self.is_alive)


def fuzz(port: int, key: str, request: bytes, count: int) -> Fuzzed:
    """Send `count` requests, half of them by the description and half changed from `request`."""
    statuses: Counter[str] = Counter()
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
        half = count // 2
        for case in _described(client, half):
            statuses[_send(client, case)] += 1
            if statuses.total() >= half:
                break
        for one in _mutate(request, count - statuses.total()):
            statuses[_speak(port, one)] += 1
        is_alive = client.get("/v1/model").status_code == httpx.codes.OK
    return Fuzzed(statuses, is_alive)


def _described(client: httpx.Client, count: int) -> Iterator[dict[str, Any]]:
    """Requests by the gateway's own description, a part for each operation and mode."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    plans = [(of, mode) for of in operations for mode in GenerationMode]
    weights = [20 if of.method == "post" else 1 for of, _ in plans]
    while True:  # what has no variants is drawn fewer times than asked for
        for (of, mode), weight in zip(plans, weights, strict=True):
            wanted = max(1, count * weight // sum(weights))
            with suppress(Exception):  # schemathesis': an operation that has nothing to forbid
                yield from _draw(of.as_strategy(generation_mode=mode), wanted)


def _draw(strategy: st.SearchStrategy[Any], count: int) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []

    @seed(random.getrandbits(32))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(case: Any) -> None:  # noqa: ANN401 - schemathesis'
        drawn.append(case.as_transport_kwargs(base_url=""))

    draw()
    return drawn


def _send(client: httpx.Client, case: dict[str, Any]) -> str:
    known = {"method", "url", "params", "json", "data", "content"}
    asked = {name: value for name, value in case.items() if name in known}
    if isinstance(asked.get("data"), bytes | str):
        asked["content"] = asked.pop("data")
    headers = {
        name: value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        for name, value in case.get("headers", {}).items()
        if name.lower() not in ("authorization", "connection")
    }
    try:
        return str(client.request(headers=headers, **asked).status_code)
    except (httpx.TransportError, httpx.InvalidURL):
        return "none"
    except (TypeError, ValueError):  # httpx would not send it
        return "unsent"


def _mutate(request: bytes, count: int) -> Iterator[bytes]:
    draw = random.Random(24)  # noqa: S311 - of a test
    ways: list[Callable[[bytes, int, int], bytes]] = [
        lambda text, i, j: text[:i] + bytes([draw.randrange(256)]) + text[i + 1 :],
        lambda text, i, j: text[: min(i, j)] + text[max(i, j) :],
        lambda text, i, j: text[:i] + draw.choice(_PIECES) + text[i:],
        lambda text, i, j: text[:i] + draw.choice(_PIECES) + text[i + draw.randrange(20) :],
        lambda text, i, j: text[: max(i, j)] + text[min(i, j) :],
        lambda text, i, j: text[:i],
    ]
    for _ in range(count):
        text = request
        for _ in range(draw.choice((1, 1, 2, 5))):
            text = draw.choice(ways)(
                text, draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)
            )
        yield text


def _speak(port: int, text: bytes) -> str:
    """The status that is answered to these bytes; `none` where the connection ends without one."""
    said = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S) as connection,
        suppress(OSError),
    ):
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        while len(said) < 12 and (part := connection.recv(2**16)):
            said += part
    return said[9:12].decode(errors="replace") if said.startswith(b"HTTP/1.") else "none"
