"""API keys of the gateway: how one looks, what is kept of it in the file of keys, and who finds one there.

A key is `calyx_` with 16 hex digits that name it and 256 random bits. The file holds the SHA-256 of the
whole and never the key. A slow hash, as scrypt, is for passwords, which can be guessed: nobody tries
2^256 keys, and a slow hash would be a stranger's way to keep the gateway busy. Decision 0088.
"""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import config, parse
from calyx.errors import UserError
from calyx.files.foreign import parse_json
from calyx.files.outputs import show_path, write_whole
from calyx.files.plain import strict_json
from calyx.serving.access_config import Budget, Scope
from calyx.serving.watched import Watched, refuse_writable
from calyx.trust.key_files import PRIVATE_MODE, read_bytes

PREFIX = "calyx_"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
MOST_KEYS = 10_000
MOST_FILE_BYTES = 2**23
_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{16}})_[A-Za-z0-9_-]{{43}}")
_CURE = "make it with `calyx keys gateway add NAME --scope predict`"
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()  # no key has this hash
Instant = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]


@config
class ApiKey:
    """What the file says of one key."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: Annotated[str, Field(pattern=rf"^{NAME}$")]  # of its caller, who may have several keys
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the whole key
    created: Instant
    expires: Instant
    revoked: Instant | None = None
    requests_per_minute: Budget | None = None  # in place of serve.limits'
    rows_per_day: Budget | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a day that no calendar has."""
        for text in (self.created, self.expires, self.revoked):
            if text is not None:
                seconds_of(text)


@config
class KeyFile:
    """All keys, the oldest first."""

    format: Literal["calyx-gateway-keys/1"] = "calyx-gateway-keys/1"
    keys: Annotated[tuple[ApiKey, ...], Field(max_length=MOST_KEYS)] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where two keys have one id."""
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same id")


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a time as the file has it. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def text_of(seconds: float) -> str:
    """A time (seconds since 1970) as the file has it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def draw_key() -> tuple[str, str, str]:
    """A new key, its id, and the SHA-256 of the key in hex."""
    key_id = secrets.token_hex(8)
    key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    return key, key_id, hashlib.sha256(key.encode()).hexdigest()


def read_key_file(path: Path) -> KeyFile:
    """The keys in a file. Raises UserError where there is none, or others than its owner may change it."""
    data, mode = read_bytes(path, "file of keys", MOST_FILE_BYTES)
    refuse_writable(path, mode)
    try:
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError
        return parse(KeyFile, value, "")
    except (ValueError, UserError):
        raise UserError(
            f"{show_path(path)} is damaged, or no file of keys; restore it from a copy, or {_CURE}."
        ) from None


def write_key_file(path: Path, file: KeyFile) -> None:
    """Replace a file of keys, whole or not at all, readable by its owner only. Raises UserError."""
    data = strict_json(asdict(file), indent=2).encode() + b"\n"
    write_whole(Path(os.path.realpath(path)), data, PRIVATE_MODE, replace=True)


class KeyRing:
    """The keys of a file as a gateway asks for them; a change of the file is in force within a second."""

    def __init__(self, path: Path) -> None:
        """Raise UserError where the file is absent, damaged, or others may change it."""
        self._keys: dict[str, ApiKey] = {}
        self._path = path
        self._watched = Watched(self._take, path)

    def _take(self) -> None:
        self._keys = {key.id: key for key in read_key_file(self._path).keys}

    def find(self, text: str) -> ApiKey | None:
        """What the file says of a key that somebody shows; None for one that is not in it.

        Whether it has expired or is revoked, `why_over` says. As much is done for an id that nobody has.
        """
        self._watched.look()
        match = _KEY.fullmatch(text)
        key = None if match is None else self._keys.get(match[1])
        expected = _NOBODY if key is None else key.sha256
        fits = hmac.compare_digest(hashlib.sha256(text.encode()).hexdigest(), expected)
        return key if fits else None


def why_over(key: ApiKey, now: float) -> str | None:
    """Why a key opens nothing any more at `now` (seconds since 1970), as one word; None where it does."""
    if key.revoked is not None:
        return "revoked"
    return "expired" if now >= seconds_of(key.expires) else None
