"""What is under way, on disk: a server that dies inside an exchange can still end it, or give it up.

Clients answer for a model once (`calyx-secagg/1` §5). So the attempt is written down before it is
asked for, the contexts before vectors may leave the clients, and the masked sums before they are
opened. All of it is what any server sees. A simulation's clients are made anew and need none of it.
See docs/decisions/0020.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calyx.config.section import parse
from calyx.errors import RoundFailed, UserError
from calyx.files.foreign import parse_json
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain, strict_json, write_atomically
from calyx.questions.registry import question_of
from calyx.run.order import Abandoned
from calyx.secagg.aggregator import Aggregator, from_bytes
from calyx.secagg.encoding import enc, split
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Rules
from server.exchange.exchange import Exchange
from server.sampling import Groups


@dataclass(frozen=True)
class MaskedSum:
    """A sum whose masked vectors may have left its clients, and what proves that it cannot open."""

    ctx: bytes
    root: bytes
    members: tuple[str, ...]  # U0, by name
    needed: int  # signatures

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"ctx": self.ctx.hex(), "root": self.root.hex()}


@dataclass(frozen=True)
class Reveal:
    """A group's sum right before it is opened, and the request that opens it."""

    aggregator: bytes  # of `Aggregator.to_bytes`
    request: bytes


@dataclass(frozen=True)
class Record:
    """The last exchange that was begun."""

    run: str  # Calyx's own id
    kind: str
    round: int
    attempt: int
    groups: Groups
    roster: str  # digest of the one that its contexts are bound to
    abandoned: tuple[Abandoned, ...]  # proofs of earlier attempts
    masked: tuple[MaskedSum, ...]
    reveals: Mapping[int, Reveal]  # of the groups whose sums were being opened

    def is_of(self, kind: str, round: int) -> bool:
        """Whether it is of this question about this round, in whichever attempt."""
        return (self.kind, self.round) == (kind, round)


class Underway:
    """The file of one run's record. Raises RoundFailed if it is damaged."""

    def __init__(self, path: Path, run: str, roster: Roster) -> None:
        self._path, self._run, self._roster = path, run, roster
        # What an earlier server had begun; None once this one has begun something itself.
        self.begun = read_record(path, run)

    def note_order(self, exchange: Exchange) -> None:
        """Before an attempt's orders are sent."""
        self._write(exchange, [], {})

    def note_masking(self, exchange: Exchange, groups: Mapping[int, Aggregator]) -> None:
        """Before vectors are asked for."""
        self._write(exchange, [masked_sum(a) for a in groups.values()], {})

    def note_opening(
        self, exchange: Exchange, groups: Mapping[int, Aggregator], requests: Mapping[int, bytes]
    ) -> None:
        """Before the shares are asked for that open the sums of `groups`."""
        reveals = {i: Reveal(groups[i].to_bytes(), request) for i, request in requests.items()}
        self._write(exchange, [masked_sum(a) for a in groups.values()], reveals)

    def find(self, exchange: Exchange) -> Record | None:
        """What an earlier server wrote of this exchange, in whichever attempt."""
        record = self.begun
        return record if record and record.is_of(exchange.kind, exchange.round) else None

    def is_bound(self, record: Record) -> bool:
        """Whether its contexts are bound to the roster of today."""
        return record.roster == self._roster.digest.hex()

    def restore(self, record: Record, group: int, rules: Rules) -> Aggregator:
        """A group's sum as it was before its opening."""
        return from_bytes(record.reveals[group].aggregator, rules, self._roster)

    def _write(
        self,
        exchange: Exchange,
        masked: list[MaskedSum],
        reveals: Mapping[int, Reveal],
    ) -> None:
        head = {
            "run": self._run,
            "kind": exchange.kind,
            "round": exchange.round,
            "attempt": exchange.attempt,
            "groups": exchange.groups,
            "roster": self._roster.digest.hex(),
            "abandoned": [vars(proof) for proof in exchange.abandoned],
            "masked": [one.to_json() for one in masked],
        }
        self.begun = None
        flat = [item for i, one in reveals.items() for item in (i, one.aggregator, one.request)]
        write_atomically(self._path, enc(strict_json(head), *flat))


def masked_sum(aggregator: Aggregator) -> MaskedSum:
    """A group's context after stage 1."""
    return MaskedSum(
        aggregator.ctx,
        aggregator.root,
        tuple(aggregator.roster.name(u) for u in aggregator.advertised),
        aggregator.rules.abandon_quorum(aggregator.n),
    )


def read_record(path: Path, run: str) -> Record | None:
    """The record of `run` in a file that need not be there. Raises RoundFailed if it is damaged."""
    if not path.exists():
        return None
    try:
        record = _read(read_plain(path, MOST_TENSOR_BYTES))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RoundFailed(f"{path} is damaged ({error})") from None
    return record if record.run == run else None


def check_rounds(record: Record | None, done: int, rounds: int) -> None:
    """A training that sites may have answered cannot be left undone. Raises UserError."""
    is_training = record is not None and question_of(record.kind).trains
    if record and is_training and rounds < record.round == done + 1:
        raise UserError(
            f"Round {record.round} is under way at the sites, which train for a model once; resume "
            f"with rounds={record.round} or more."
        )


def _read(data: bytes) -> Record:
    text, *flat = split(data)
    head: dict[str, Any] = parse_json(text)
    masked = tuple(
        MaskedSum(
            bytes.fromhex(one["ctx"]),
            bytes.fromhex(one["root"]),
            tuple(one["members"]),
            int(one["needed"]),
        )
        for one in head.pop("masked")
    )
    abandoned = tuple(parse(Abandoned, proof, "") for proof in head.pop("abandoned"))
    groups = tuple(tuple(names) for names in head.pop("groups"))
    indices = [int.from_bytes(i, "little") for i in flat[::3]]
    reveals = dict(zip(indices, map(Reveal, flat[1::3], flat[2::3]), strict=True))
    return Record(groups=groups, abandoned=abandoned, masked=masked, reveals=reveals, **head)
