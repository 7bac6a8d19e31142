"""What a client keeps of one context while its stages run. It is erased when they are done.

Plain values only, so that a simulation's engine may carry it between processes; on a site it
stays in one process and never touches a disk (`calyx-secagg/1` §5).
"""

import json
from dataclasses import dataclass, field, fields
from typing import cast

from calyx.secagg.encoding import enc, split
from calyx.secagg.rules import Rules


@dataclass(repr=False)
class Session:
    """One context. `stage` is the next one that may come; 5 means that nothing may.

    What is secret is bytes or a dictionary of bytes, empty before it exists and after it is erased.
    """

    ctx: bytes
    u: int
    rules: Rules
    group: tuple[int, ...]  # who may be in U0
    stage: int = 1
    root: bytes = b""
    members: tuple[int, ...] = ()  # U0
    signed_sum: tuple[int, ...] = ()  # U2, as signed at stage 3
    has_revealed: bool = False
    last_request: bytes = b""  # SHA-256 of what was answered last, and the answer
    last_reply: bytes = b""
    advertisement: bytes = b""  # its own, as it was sent
    gathered: bytes = b""  # stage 1's request, the advertisements of U0
    # Secrets
    share_private: bytes = b""  # c
    mask_private: bytes = b""  # s
    seed: bytes = b""  # b
    vector: bytes = b""  # x, packed; gone once it is masked
    channels: dict[int, bytes] = field(default_factory=dict)  # prk of c with each other client
    own_share: bytes = b""  # of b
    held: dict[int, bytes] = field(default_factory=dict)  # dealer → both shares, 66 bytes

    def erase(self) -> None:
        """Forget every secret; ctx, root and what was signed remain, as a tombstone needs them."""
        self.share_private = self.mask_private = self.seed = self.vector = b""
        self.own_share = self.last_request = self.last_reply = b""
        self.advertisement = self.gathered = b""
        self.channels, self.held = {}, {}
        self.stage = 5

    def to_bytes(self) -> bytes:
        """All fields in order, for a simulation's memory."""
        return enc(*[_bytes_of(getattr(self, item.name)) for item in fields(self)])


def _bytes_of(value: object) -> bytes | int:
    match value:
        case Rules():
            return json.dumps(vars(value) | {"layout": value.layout.hex()}).encode()
        case dict():
            return enc(*[part for pair in value.items() for part in pair])
        case tuple():
            return enc(*value)
    return cast("bytes | int", value)


def from_bytes(data: bytes) -> Session:
    """The session of `to_bytes`, from this client's own memory. Raises ValueError."""
    values: dict[str, object] = {}
    for item, part in zip(fields(Session), split(data), strict=True):
        values[item.name] = part
        if item.type is Rules:
            rules = json.loads(part)
            values["rules"] = Rules(**rules | {"layout": bytes.fromhex(rules["layout"])})
        elif item.type == dict[int, bytes]:
            flat = split(part)
            values[item.name] = dict(zip(map(_integer, flat[::2]), flat[1::2], strict=True))
        elif item.type == tuple[int, ...]:
            values[item.name] = tuple(map(_integer, split(part)))
        elif item.type in (int, bool):
            values[item.name] = item.type(_integer(part))
    return Session(**values)  # type: ignore[arg-type]  # its own bytes


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little")
