"""Which groups' sums are used: those that honest clients cannot have made are not. `calyx-secagg/1` §13.

What honest ones hardly make, and may, is said and used: `server.exchange.watch`.
See docs/decisions/0057.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from calyx.data.schema import Schema
from calyx.model.details import contradicts_itself
from calyx.questions.segments import Segments
from calyx.vector.contribution import Aggregate, decode
from calyx.vector.figures import IMPOSSIBLE
from server.exchange.exchange import UNSOUND, GroupSum, GroupSums, OddSum


@dataclass(frozen=True)
class DecodedSums:
    """What the sums of an exchange say, and which of them are not used."""

    sound: Mapping[int, list[Aggregate]]  # by group: one aggregate a layout of the vector
    dropped: Mapping[str, str]  # client of an unsound sum → reason
    odd: tuple[OddSum, ...]


def decode_sums(sums: GroupSums, segments: Segments, schema: Schema) -> DecodedSums:
    """Decode each group's sum, and leave out those that are unsound.

    The only group whose evaluation contradicts itself stays, and its figures will be absent: a test
    cannot be asked for twice, and a training is judged by itself (C1).
    """
    sound: dict[int, list[Aggregate]] = {}
    unsound: dict[int, str] = {}
    for group, one in sums.sums.items():
        try:
            sound[group] = _decode(one, segments)
        except ValueError as error:
            unsound[group] = str(error)
    lying = [group for group, ours in sound.items() if _is_impossible(ours, segments, schema)]
    odd: tuple[OddSum, ...] = ()
    if len(lying) < len(sound):
        unsound |= dict.fromkeys(lying, IMPOSSIBLE)
    else:
        odd = tuple(OddSum(group, f"the figures do not count: {IMPOSSIBLE}") for group in lying)
    dropped = {n: f"{UNSOUND}: {why}" for i, why in unsound.items() for n in sums.sums[i].names}
    return DecodedSums({i: s for i, s in sound.items() if i not in unsound}, dropped, odd)


def _decode(one: GroupSum, segments: Segments) -> list[Aggregate]:
    aggregates, start = [], 0
    for layout in segments.layouts:
        segment = one.total[start : start + layout.length]
        aggregates.append(decode(segment, len(one.names), layout))
        start += layout.length
    return aggregates


def _is_impossible(ours: list[Aggregate], segments: Segments, schema: Schema) -> bool:
    evaluated = ours[len(ours) - len(segments.evaluations) :] if segments.counts is None else []
    return any(contradicts_itself(schema, one.counts) for one in evaluated)
