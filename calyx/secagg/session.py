"""What a client keeps of one context while its stages run. It is erased when they are done.

Plain values only, so that a simulation's engine may carry it between processes; on a site it
stays in one process and never touches a disk (`calyx-secagg/1` §5).
"""

from dataclasses import dataclass, field, fields
from typing import cast

from calyx.secagg.rules import Rules

Value = bytes | int | str | float | list[bytes] | list[int]


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
    # Secrets
    share_private: bytes = b""  # c
    mask_private: bytes = b""  # s
    seed: bytes = b""  # b
    vector: bytes = b""  # x, packed; gone once it is masked
    advertisements: dict[int, bytes] = field(default_factory=dict)  # public, but needed as long
    channels: dict[int, bytes] = field(default_factory=dict)  # prk of c with each other client
    own_share: bytes = b""  # of b
    held: dict[int, bytes] = field(default_factory=dict)  # dealer → both shares, 66 bytes

    def erase(self) -> None:
        """Forget every secret; ctx, root and what was signed remain, as a tombstone needs them."""
        self.share_private = self.mask_private = self.seed = self.vector = b""
        self.own_share = self.last_request = self.last_reply = b""
        self.advertisements, self.channels, self.held = {}, {}, {}
        self.stage = 5

    def to_record(self) -> dict[str, Value]:
        """As flat values; a dictionary becomes a list of its keys and one of its values."""
        record: dict[str, Value] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, dict):
                record[f"{item.name}.keys"] = list(value)
                record[f"{item.name}.values"] = list(value.values())
            elif isinstance(value, Rules):
                record |= {f"rules.{f.name}": getattr(value, f.name) for f in fields(value)}
            else:
                record[item.name] = list(value) if isinstance(value, tuple) else value
        return record


def from_record(record: dict[str, Value]) -> Session:
    """The session of `to_record`, from this client's own memory. Raises KeyError."""
    values: dict[str, object] = {}
    for item in fields(Session):
        name = item.name
        if name == "rules":
            values[name] = Rules(**{f.name: record[f"rules.{f.name}"] for f in fields(Rules)})  # type: ignore[arg-type]  # its own record
        elif f"{name}.keys" in record:
            keys = cast("list[int]", record[f"{name}.keys"])
            values[name] = dict(
                zip(keys, cast("list[bytes]", record[f"{name}.values"]), strict=True)
            )
        elif isinstance(record[name], list):
            values[name] = tuple(cast("list[int]", record[name]))
        else:
            values[name] = record[name]
    values["has_revealed"] = bool(values["has_revealed"])
    return Session(**values)  # type: ignore[arg-type]  # its own record
