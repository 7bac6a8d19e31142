"""Which groups' sums are used: those that honest clients cannot have made are not. `calyx-secagg/1` §13.

What honest ones hardly make, and may, is said and used: `server.exchange.watch`.
See docs/decisions/0057.
"""

from collections.abc import Mapping

from calyx.data.schema import Schema
from calyx.model.details import contradicts_itself
from calyx.questions.layouts import Parts
from calyx.vector.contribution import Aggregate, decode
from calyx.vector.figures import IMPOSSIBLE
from calyx.vector.quantise import Residues
from server.exchange.exchange import UNSOUND, Collected

Sums = dict[int, list[Aggregate]]  # group → what its sum says, one a layout


def sound_sums(collected: Collected, parts: Parts, schema: Schema) -> Sums:
    """What the groups' sums say; the clients of an unsound one are noted as dropped.

    The only group whose evaluation contradicts itself stays, and its figures will be absent: a test
    cannot be asked for twice, and a training is judged by itself (C1).
    """
    sound: Sums = {}
    unsound: dict[int, str] = {}
    for group, (total, names) in collected.sums.items():
        try:
            sound[group] = _decode(total, len(names), parts)
        except ValueError as error:
            unsound[group] = str(error)
    lying = [group for group, ours in sound.items() if _is_impossible(ours, parts, schema)]
    if len(lying) < len(sound):
        unsound |= dict.fromkeys(lying, IMPOSSIBLE)
    else:
        collected.odd += [(group, f"the figures do not count: {IMPOSSIBLE}") for group in lying]
    _drop(collected, unsound)
    return {group: ours for group, ours in sound.items() if group not in unsound}


def _decode(total: Residues, clients: int, parts: Parts) -> list[Aggregate]:
    found, start = [], 0
    for layout in parts.layouts:
        found.append(decode(total[start : start + layout.length], clients, layout))
        start += layout.length
    return found


def _is_impossible(ours: list[Aggregate], parts: Parts, schema: Schema) -> bool:
    evaluated = ours[len(ours) - len(parts.evaluations) :] if parts.statistics is None else []
    return any(contradicts_itself(schema, one.counts) for one in evaluated)


def _drop(collected: Collected, unsound: Mapping[int, str]) -> None:
    for group, why in unsound.items():
        names = collected.sums[group][1]
        collected.dropped |= dict.fromkeys(names, f"{UNSOUND}: {why}")
