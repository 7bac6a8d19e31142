"""Malformed exchanges with a gateway: the bytes that a stranger may send in place of a request."""

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MAX_BODY_BYTES = 16 * 2**20
PUSH, ASK = "/v1/fleet/push-object", "/v1/fleet/get-run"
PLAIN = "plain request"


class NodeKey:
    """A site's node key, which signs as Flower's node authentication does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP384R1())
        self.public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def headers(self, ahead_s: float = 0.0, claims: bytes | None = None) -> dict[str, str]:
        """Of one request, by a clock that is `ahead_s` ahead; `claims` is a key that it says it is by."""
        time = (datetime.now(UTC) + timedelta(seconds=ahead_s)).isoformat()
        signature = self._key.sign(time.encode("ascii"), ec.ECDSA(hashes.SHA256()))
        return {
            "flwr-public-key": base64.b64encode(claims or self.public).decode(),
            "flwr-timestamp": time,
            "flwr-signature": base64.b64encode(signature).decode(),
        }


def head(path: str, headers: dict[str, str], *lines: str) -> bytes:
    """A request's line and headers, with the empty line."""
    named = [f"{name}: {text}" for name, text in headers.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: x", *named, *lines, "", ""]).encode()


class Malformed:
    """What a stranger can send: he knows a site's public key and has heard one of its requests."""

    def __init__(self, site: NodeKey, seed: int) -> None:
        self._site, self._rng, self._stranger = site, random.Random(seed), NodeKey()  # noqa: S311
        self._heard = site.headers(ahead_s=-400)

    def kinds(self) -> dict[str, Callable[[], bytes]]:
        """By name what makes the bytes of one exchange; of PLAIN they are sent without TLS."""
        made = (
            self._plain_request,
            self._head_without_end,
            self._head_of_many_lines,
            self._head_that_stops,
            self._huge_address,
            self._body_in_bad_chunks,
            self._length_that_lies,
            self._length_beside_chunks,
            self._header_twice,
            self._header_of_noise,
            self._zero_byte,
            self._line_of_requests,
            self._upgrade,
            self._tunnel,
            self._another_protocol,
            self._large_body,
            self._body_that_stops,
        )
        return {one.__name__.strip("_").replace("_", " "): one for one in made}

    def _claim(self) -> dict[str, str]:
        """Headers that claim to be the site's."""
        return self._rng.choice(
            [
                {"flwr-public-key": base64.b64encode(self._site.public).decode()},
                self._heard,
                self._stranger.headers(claims=self._site.public),
                self._stranger.headers(),
                self._stranger.headers(ahead_s=4000, claims=self._site.public),
                {},
            ]
        )

    def _noise(self, most: int) -> bytes:
        return self._rng.randbytes(self._rng.randrange(1, most))

    def _plain_request(self) -> bytes:
        return self._rng.choice([head(ASK, {}), self._noise(3000), b"\x16\x03\x01\xff\xff"])

    def _head_without_end(self) -> bytes:
        return b"POST / HTTP/1.1\r\nx: " + b"a" * self._rng.randrange(2**16, 2**20)

    def _head_of_many_lines(self) -> bytes:
        return head(ASK, {}, *["a: b"] * self._rng.randrange(101, 20_000))

    def _head_that_stops(self) -> bytes:
        whole = head(ASK, self._claim())
        return whole[: self._rng.randrange(1, len(whole) - 1)]

    def _huge_address(self) -> bytes:
        return head("/" + "a" * self._rng.randrange(2**16, 2**19), {})

    def _body_in_bad_chunks(self) -> bytes:
        size = self._rng.choice([b"zz", b"-1", b"ffffffffffffffffff", b"5;" + b"x" * 9000, b""])
        chunked = head(PUSH, self._claim(), "transfer-encoding: chunked")
        return chunked + size + b"\r\n" + self._noise(4000)

    def _length_that_lies(self) -> bytes:
        size = self._rng.choice(["1", "-1", "1e3", "99999999999999", "5, 6", "0x10", "٣"])
        return head(PUSH, self._claim(), f"content-length: {size}") + self._noise(20_000)

    def _length_beside_chunks(self) -> bytes:
        both = ("content-length: 4", "transfer-encoding: chunked")
        return head(PUSH, self._claim(), *both) + b"0\r\n\r\nPOST / HTTP/1.1\r\n\r\n"

    def _header_twice(self) -> bytes:
        name = self._rng.choice(["flwr-signature", "flwr-public-key", "content-length", "host"])
        return head(ASK, self._claim(), f"{name}: 1", f"{name}: 2") + b"12"

    def _header_of_noise(self) -> bytes:
        return b"POST / HTTP/1.1\r\n" + self._noise(500) + b"\r\n\r\n"

    def _zero_byte(self) -> bytes:
        return head(f"/v1/fleet/get-run\0{self._rng.random()}", {"a": "b\0c"})

    def _line_of_requests(self) -> bytes:
        return head(ASK, self._claim(), "content-length: 0") * self._rng.randrange(2, 300)

    def _upgrade(self) -> bytes:
        words = self._rng.choice(["websocket", "h2c", "TLS/1.0"])
        return head(ASK, self._claim(), "connection: upgrade", f"upgrade: {words}")

    def _tunnel(self) -> bytes:
        return b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n" + self._noise(2000)

    def _another_protocol(self) -> bytes:
        return self._rng.choice(
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", self._noise(3000), b"\x16\x03"]
        )

    def _large_body(self) -> bytes:
        size = self._rng.choice([MAX_BODY_BYTES, 2**20, 2**16])
        sent = self._rng.randrange(1, size)
        return head(PUSH, self._claim(), f"content-length: {size}") + bytes(sent)

    def _body_that_stops(self) -> bytes:
        return head(PUSH, self._claim(), "content-length: 60000") + self._noise(50_000)
