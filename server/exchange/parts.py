"""A question to more clients than sums have room for: asked in parts, whose sums are put side by side.

Each part is an exchange of its own, with as few clients in each of its sums as one may hold. Trainings are
never asked so: their groups fit, since what is aggregated is one sum a group. Neither are sites, which
remember what they answered (`server.sampling.check_whole`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from server.exchange.exchange import Exchange, GroupSums, Outcome
from server.sampling import count_parts


def split(exchange: Exchange, n_max: int, min_replies: int | None) -> list[Exchange]:
    """The same question to parts of its clients, so that no group of one has more than `n_max`.

    Each part takes equally many clients of each group, and its share of `min_replies`.
    """
    parts = count_parts(exchange.groups, n_max)
    if parts == 1:
        return [exchange]
    asked = len(exchange.cohort)
    split_up = []
    for i in range(parts):
        part = replace(exchange, groups=tuple(group[i::parts] for group in exchange.groups))
        share = None if min_replies is None else -(-min_replies * len(part.cohort) // asked)
        split_up.append(replace(part, min_replies=share))
    return split_up


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """What came of all parts of a question; groups are numbered on from one part to the next."""
    if len(outcomes) == 1:
        return outcomes[0]
    starts = [sum(len(one.exchange.groups) for one in outcomes[:i]) for i in range(len(outcomes))]
    numbered = list(zip(starts, outcomes, strict=True))
    groups = tuple(chain.from_iterable(one.exchange.groups for one in outcomes))
    return Outcome(
        exchange=replace(outcomes[0].exchange, groups=groups, min_replies=None),
        sums=GroupSums(
            sums={start + i: one for start, part in numbered for i, one in part.sums.sums.items()},
            dropped={n: why for one in outcomes for n, why in one.sums.dropped.items()},
            bytes_up=sum(one.sums.bytes_up for one in outcomes),
            bytes_down=sum(one.sums.bytes_down for one in outcomes),
            links=tuple(chain.from_iterable(one.sums.links for one in outcomes)),
        ),
        dropped={n: why for one in outcomes for n, why in one.dropped.items()},
        folds=tuple(chain.from_iterable(one.folds for one in outcomes)),
        counted=tuple(chain.from_iterable(one.counted for one in outcomes)),
        odd=tuple(
            replace(odd, group=start + odd.group) for start, part in numbered for odd in part.odd
        ),
    )
