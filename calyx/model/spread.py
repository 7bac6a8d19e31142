"""How a model's score differs between clients, as sums. Those over a few clients give their scores away.

An accuracy lies in 0 … 1; an R² has no lower end, and neither is cut. A client whose score cannot be
told (no spread in its targets, an output that is not finite) is counted apart and is in no mean.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from calyx.data.schema import Schema
from calyx.vector.contribution import Cells, Count, make_zeros
from calyx.vector.exact import root, to_cell
from calyx.vector.figures import IMPOSSIBLE, Figures, none_of

SCORE_STEPS = 30  # a score is sent in steps of 2^-30: in finer ones it would tell of how many rows
_LEAST_R2 = 700  # an R² of at most 2^40 rows of float32 is above -2^700
_NAMES = ("client_mean", "client_sd", "client_worst_decile")
# Upper ends of the bins by which the worst tenth is told. The lowest has no lower end.
_OF_SHARES = tuple(i / 20 for i in range(1, 21))
_BELOW = (-1e6, -1e5, -1e4, -1e3, -100.0, -50.0, -20.0, -10.0, -5.0, -4.0, -3.0, -2.0, -1.5)
_OF_R2 = (*_BELOW, *(i / 20 for i in range(-20, 21)))


def spread_terms(schema: Schema) -> tuple[Count, ...]:
    """What a test sends of how the score differs between clients."""
    bits = SCORE_STEPS + (0 if schema.target is None else _LEAST_R2)
    return (
        Count("scored", 1, 1),
        Count("unscored", 1, 1),  # clients with rows of which the score cannot be told
        Count("scores", 2, 1 << bits),  # positive and negative part
        Count("score_squares", 1, 1 << 2 * bits),
        Count("score_bins", len(_ends(schema)), 1),
    )


def spread_counts(schema: Schema, score: float | None, num_examples: int) -> dict[str, Cells]:
    """One client's counts of `spread_terms`; zeros of a client without rows."""
    counts = make_zeros(spread_terms(schema))
    if num_examples and score is None:
        counts["unscored"][0] = 1
    elif score is not None:
        steps, ends = round(Fraction(score) * (1 << SCORE_STEPS)), _ends(schema)
        counts["scored"][0] = 1
        counts["scores"][:] = to_cell(steps)
        counts["score_squares"][0] = steps**2
        place = int(np.searchsorted(ends, score, side="right"))
        counts["score_bins"][min(place, len(ends) - 1)] = 1
    return counts


def client_spread(
    schema: Schema, counts: Mapping[str, Cells], *, of_sample: bool = False
) -> Figures:
    """Mean and sd of the clients' own scores, and an upper bound of the worst tenth's: a bin's end.

    The sd is the population's, since all clients are there, or with `of_sample` the sample's (n - 1).
    """
    n = int(counts["scored"][0])
    if n == 0:
        why = "no client has a score of its own" if counts["unscored"][0] else "no client has rows"
        if "untrained" in counts and counts["untrained"][0]:
            why = "no client with rows has trained a model of its own"
        return none_of(_NAMES, why)
    total = int(counts["scores"][0]) - int(counts["scores"][1])
    scatter = n * int(counts["score_squares"][0]) - total**2  # n² · variance
    squares, most = int(counts["score_squares"][0]), n << SCORE_STEPS
    # Of shares of 1 the squares are not above the shares themselves.
    is_share = schema.target is None
    is_beyond = total > most or (is_share and not squares <= total << SCORE_STEPS)
    if scatter < 0 or is_beyond or sum(int(k) for k in counts["score_bins"]) != n:
        return none_of(_NAMES, IMPOSSIBLE)
    over = n * (n - 1 if of_sample else n)
    reached = int(np.searchsorted(np.cumsum(counts["score_bins"]), 0.1 * n))
    values: dict[str, float | None] = {
        "client_mean": float(Fraction(total, n << SCORE_STEPS)),
        "client_sd": None,
        "client_worst_decile": _ends(schema)[reached],
    }
    if n == 1:
        return Figures(values, {"client_sd": "only one client has a score, which has no spread"})
    values["client_sd"] = root(scatter, over << 2 * SCORE_STEPS)
    return Figures(values)


def _ends(schema: Schema) -> tuple[float, ...]:
    return _OF_SHARES if schema.target is None else _OF_R2
