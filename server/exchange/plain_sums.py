"""Sums without encryption: one reply a client, added up here. `privacy=none`."""

from flwr.app import RecordDict

from calyx.errors import CalyxError
from calyx.questions.segments import Segments
from calyx.vector.quantise import FixedPoint, Residues, add_up
from calyx.wire import messages as wire
from server.exchange.exchange import Exchange, GroupSum, GroupSums
from server.exchange.sending import Channel
from server.sampling import Groups


def collect_plain(
    channel: Channel, exchange: Exchange, content: RecordDict, segments: Segments
) -> GroupSums:
    """Send the order in `content` to the cohort, and add up the vectors of each group."""
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
            late = "no reply before the deadline" if name in delivery.asked else "not connected"
            dropped.setdefault(name, late)
    return GroupSums(
        sums=_add_up(exchange.groups, vectors, fixed),
        dropped=dropped,
        bytes_up=bytes_up,
        bytes_down=delivery.bytes_down,
    )


def _add_up(groups: Groups, vectors: dict[str, Residues], fixed: FixedPoint) -> dict[int, GroupSum]:
    """The sum of each group of which at least one client gave a vector."""
    sums = {}
    for index, group in enumerate(groups):
        names = tuple(name for name in group if name in vectors)
        if names:
            sums[index] = GroupSum(add_up([vectors[name] for name in names], fixed), names)
    return sums
