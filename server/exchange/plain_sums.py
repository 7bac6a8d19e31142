"""Sums without encryption: one vector a client, added up here, or where they are made. `privacy=none`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from flwr.app import RecordDict

from calyx.errors import CalyxError
from calyx.machine.spans import span
from calyx.questions.segments import Segments
from calyx.vector.quantise import FixedPoint, Residues, add_up
from calyx.wire import messages as wire
from server.exchange.exchange import Exchange, GroupSum, GroupSums
from server.exchange.sending import Channel
from server.sampling import Groups

_LATE, _AWAY = "no reply before the deadline", "not connected"


@dataclass(frozen=True)
class Addends:
    """Whose vectors are asked for by one order, and how they are added."""

    content: RecordDict  # the order, as each client gets it
    message_type: str
    groups: tuple[tuple[int, ...], ...]  # nodes
    fixed: FixedPoint


@dataclass(frozen=True)
class Added:
    """The sums of the groups, before anything of them is checked."""

    totals: Mapping[int, Residues]  # by group
    summed: frozenset[int]  # nodes whose vectors these hold
    failures: Mapping[int, str]  # node → why it gave none, as `wire.failure_reason` has it


@runtime_checkable
class AddingGrid(Protocol):
    """A grid that holds its clients itself, and can add their vectors up where they are made."""

    @property
    def can_add(self) -> bool:
        """Whether its clients are ours: another app's are asked by messages."""
        ...

    def add_up(self, addends: Addends, timeout: float | None) -> Added:
        """The sum of each group, modulo 2^M; who has no vector after `timeout` seconds is in none."""
        ...


def collect_plain(
    channel: Channel, exchange: Exchange, content: RecordDict, segments: Segments
) -> GroupSums:
    """Send the order in `content` to the cohort, and add up the vectors of each group."""
    grid = channel.grid
    if isinstance(grid, AddingGrid) and grid.can_add:
        return _collect_sums(grid, channel, exchange, content, segments)
    fixed = segments.layouts[0].fixed
    orders = dict.fromkeys(exchange.cohort, content)
    delivery = channel.send(orders, exchange.question.message_type)
    vectors: dict[str, Residues] = {}
    dropped: dict[str, str] = {}
    bytes_up = 0
    for name, reply in delivery.replies.items():
        if reply.has_error():
            dropped[name] = wire.failure_reason(reply)
            continue
        bytes_up += wire.payload_bytes(reply.content)
        try:
            vectors[name] = wire.read_vector(reply, segments.length, fixed)
        except CalyxError as error:
            dropped[name] = str(error)
    for name in exchange.cohort:
        if name not in vectors:
            dropped.setdefault(name, _LATE if name in delivery.asked else _AWAY)
    return GroupSums(
        sums=_add_up(exchange.groups, vectors, fixed),
        dropped=dropped,
        bytes_up=bytes_up,
        bytes_down=delivery.bytes_down,
    )


def _collect_sums(
    grid: AddingGrid,
    channel: Channel,
    exchange: Exchange,
    content: RecordDict,
    segments: Segments,
) -> GroupSums:
    """The same of sums that the grid has made; bytes are those that messages would have had."""
    fixed = segments.layouts[0].fixed
    nodes = {name: channel.nodes.get(name) for name in exchange.cohort}  # None: it is not there
    groups = tuple(
        tuple(node for name in group if (node := nodes[name]) is not None)
        for group in exchange.groups
    )
    addends = Addends(content, exchange.question.message_type, groups, fixed)
    added = grid.add_up(addends, channel.deadline_s)
    sums: dict[int, GroupSum] = {}
    dropped: dict[str, str] = {}
    for index, group in enumerate(exchange.groups):
        total = added.totals.get(index)
        fault = None if total is None else _fault(total, segments.length, fixed)
        inside = []
        for name in group:
            node = nodes[name]
            if node is None:
                dropped[name] = _AWAY
            elif node not in added.summed or total is None:
                dropped[name] = added.failures.get(node, _LATE)
            elif fault is not None:
                dropped[name] = fault
            else:
                inside.append(name)
        if inside and total is not None:
            sums[index] = GroupSum(total, tuple(inside))
    return GroupSums(
        sums=sums,
        dropped=dropped,
        bytes_up=len(added.summed) * segments.length * fixed.modulus_bits // 8,
        bytes_down=sum(map(len, groups)) * wire.payload_bytes(content),
    )


def _fault(total: Residues, length: int, fixed: FixedPoint) -> str | None:
    """Why this is no sum of such vectors, in words; None where it may be one."""
    if total.dtype != np.uint32 or total.shape != (length,):
        return f"its sum has {total.size} elements of {total.dtype}, not {length} of uint32"
    if length and int(total.max()) > fixed.mask:
        return f"its sum holds {int(total.max())}, which is no residue of {fixed.modulus_bits} bits"
    return None


def _add_up(groups: Groups, vectors: dict[str, Residues], fixed: FixedPoint) -> dict[int, GroupSum]:
    """The sum of each group of which at least one client gave a vector."""
    sums = {}
    for index, group in enumerate(groups):
        names = tuple(name for name in group if name in vectors)
        if names:
            with span("aggregate"):
                sums[index] = GroupSum(add_up([vectors[name] for name in names], fixed), names)
    return sums
