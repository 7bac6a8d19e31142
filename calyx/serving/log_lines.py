"""What a line of the gateway's log of decisions says, and what its files are called. Decision 0091.

A log is one chain of lines a replica, over all its files: each line is canonical JSON (RFC 8785) and
holds its number in the chain and the SHA-256 of the line before it. Three kinds of line: `begin` (the
first of every file), `decision`, and `signature` (Ed25519, by the gateway's log key). It reads and
writes no file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calyx.secagg.keys import KEY_BYTES, SIGNATURE_BYTES

FORMAT = "calyx-log/1"
SIGNATURE_TAG = "decision-log"  # of what the log key signs, for `calyx.secagg.keys.sign`
NO_LINE = "0" * 64  # stands for the hash of the line before the first one
MOST_LINE_BYTES = 2**16
BIGGEST = 2**53 - 1  # of a number that RFC 8785 writes exactly
Why = Literal["start", "hour", "rotation", "end"]  # of a signature
Field = str | int | None
_NAME = re.compile(r"decisions-([1-9][0-9]{0,3})-([0-9]{6,9})\.jsonl")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}\+00:00")
_HASH = re.compile(r"[0-9a-f]{64}")
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


@dataclass(frozen=True)
class Begin:
    """The first line of a file: which log it belongs to, and which release answers as it begins."""

    log: str  # 32 hex digits, drawn when the chain began; the same in all its files
    replica: int  # ≥ 1
    file: int  # ≥ 1, one more than the file's before it
    release: str  # SHA-256 of its manifest, in hex
    key: str  # public half of the log key that signs from here on, in hex
    # What a crash cut off at the end of the file before: its bytes, and their SHA-256; else 0 and "".
    torn_bytes: int = 0
    torn_sha256: str = ""
    format: str = FORMAT

    def __post_init__(self) -> None:
        """Raise ValueError for what no file begins with."""
        numbers = (self.replica, self.file, self.torn_bytes)
        texts = (self.log, self.release, self.key, self.torn_sha256)
        if not all(type(n) is int for n in numbers) or not all(isinstance(t, str) for t in texts):
            raise ValueError("no first line of a log's file")
        key = re.fullmatch(f"[0-9a-f]{{{2 * KEY_BYTES}}}", self.key)
        if key is None or re.fullmatch("[0-9a-f]{32}", self.log) is None or self.format != FORMAT:
            raise ValueError("no first line of a log's file")


@dataclass(frozen=True)
class Signature:
    """A line that vouches for all lines before it in its chain."""

    why: Why
    signature: (
        str  # hex, over the log, this line's number, the hash of the line before, and the time
    )

    def __post_init__(self) -> None:
        """Raise ValueError for what no signature is."""
        if self.why not in ("start", "hour", "rotation", "end"):
            raise ValueError("no reason of a signature")
        if re.fullmatch(f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}", self.signature) is None:
            raise ValueError("no signature")


@dataclass(frozen=True)
class Line:
    """What every line says, whatever its kind; `fields` are those of its kind, unchecked."""

    number: int  # in the chain, from 1, over all files
    before: str  # SHA-256 of the line before it, in hex
    time: str  # ISO 8601, UTC, milliseconds
    what: str  # begin, decision or signature
    fields: Mapping[str, Field]


def write_line(
    what: str, number: int, before: str, time: str, fields: Mapping[str, Field]
) -> bytes:
    """The bytes of a line without its end, as RFC 8785 has them.

    So they are because every name is ASCII and every value a text, null, or a whole number below 2^53:
    for these, Python's encoder with sorted keys writes what RFC 8785 asks for, in a tenth of the time.
    """
    return _ENCODER.encode(
        {**fields, "line": number, "before": before, "time": time, "what": what}
    ).encode()


def hash_line(line: bytes) -> str:
    """SHA-256 of a line without its end, in hex."""
    return hashlib.sha256(line).hexdigest()


def read_line(line: bytes) -> Line | None:
    """What a line without its end says, or None where it is no line of a log."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    number, before = fields.pop("line", None), fields.pop("before", None)
    time, what = fields.pop("time", None), fields.pop("what", None)
    if type(number) is not int or not 1 <= number <= BIGGEST or not isinstance(before, str):
        return None
    if not isinstance(time, str) or not isinstance(what, str):
        return None
    if _HASH.fullmatch(before) is None or _TIME.fullmatch(time) is None:
        return None
    return Line(number, before, time, what, fields)


def parse_begin(line: Line) -> Begin | None:
    """What the first line of a file says, or None where it is no such line."""
    try:
        return Begin(**line.fields) if line.what == "begin" else None  # type: ignore[arg-type]  # checked there
    except (TypeError, ValueError):
        return None


def signed_items(
    log: str, number: int, before: str, time: str, why: str
) -> tuple[str, int, str, str, str]:
    """What a signature is over: its log, its number, the hash of the line before it, its time, and why."""
    return log, number, before, time, why


def name_file(replica: int, file: int) -> str:
    """The name of a replica's file, of which the first has the number 1."""
    return f"decisions-{replica}-{file:06d}.jsonl"


def parse_name(name: str) -> tuple[int, int] | None:
    """Replica and number in the name of a file of a log; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None or name_file(int(match[1]), int(match[2])) != name:
        return None
    return int(match[1]), int(match[2])


def list_files(folder: Path) -> dict[int, dict[int, Path]]:
    """The files of every replica in a folder, by number, ascending. Raises OSError."""
    chains: dict[int, dict[int, Path]] = {}
    named = ((parse_name(path.name), path) for path in folder.iterdir())
    for place, path in sorted((place, path) for place, path in named if place is not None):
        chains.setdefault(place[0], {})[place[1]] = path
    return chains
