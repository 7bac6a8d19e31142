"""`profile.jsonl`: where each round's time went, of each process. With `profile=true`, in simulation.

A line is a round of one lane: the server, a worker, or a thread that writes beside it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from calyx.machine.spans import PHASES, Phase, Piece, Recorded
from calyx.run.json_rows import optional, row
from calyx.run.rows import Count, Seconds

MOST_PIECES = 400  # of a line; a report draws no more
ALL_PIECES = 40_000  # of a run: 2 MB


@row
class Stretch:
    """Some time of a lane on end, of one phase."""

    phase: Phase
    at: Seconds  # since the round began
    seconds: Seconds


@row
class ProfileRow:
    """One line: a round of a lane."""

    round: Count  # 0: before the first, or after the last
    lane: str
    length: Seconds  # of the round, until the next one began
    seconds: dict[Phase, Seconds]  # of each phase; what is missing of the length is of none
    stretches: tuple[Stretch, ...] = optional(tuple)  # in the order of time
    unlisted: Count = optional(
        lambda: 0
    )  # more of them than these, whose seconds are counted above


def rows_of(recorded: Recorded, ended: float) -> Iterator[ProfileRow]:
    """The lines of what was recorded until `ended`, by the same clock: by round, then by lane."""
    rounds = [(0, recorded.started), *recorded.rounds]
    begins = [began for _, began in rounds]
    own: dict[tuple[int, str], list[Piece]] = defaultdict(list)
    for piece in recorded.pieces:
        own[max(0, bisect_right(begins, piece.started) - 1), piece.lane].append(piece)
    left = ALL_PIECES
    for (place, lane), pieces in sorted(own.items(), key=lambda one: one[0]):
        number, began = rounds[place]
        end = begins[place + 1] if place + 1 < len(begins) else ended
        pieces.sort(key=lambda piece: piece.started)
        listed = pieces[: min(MOST_PIECES, left)]
        left -= len(listed)
        sums = {p: sum(one.seconds for one in pieces if one.phase == p) for p in PHASES}
        yield ProfileRow(
            round=number,
            lane=lane,
            length=round(end - began, 6),
            seconds={phase: round(total, 6) for phase, total in sums.items() if total},
            stretches=tuple(_stretch(piece, began) for piece in listed),
            unlisted=len(pieces) - len(listed),
        )


def _stretch(piece: Piece, began: float) -> Stretch:
    at = max(0.0, piece.started - began)
    return Stretch(phase=piece.phase, at=round(at, 6), seconds=round(piece.seconds, 6))
