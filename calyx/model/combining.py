"""How the answers of several models become one: their mean, or a vote. See docs/decisions/0094.

Shapes: M members, N rows, K classes, or K = 1 for a number.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.errors import ConfigError

Combine = Literal["mean", "vote"]
Values = NDArray[np.float64]


def combine_outputs(outputs: Values, combine: Combine) -> Values:
    """One answer [N, K] of those of M members [M, N, K]: probabilities, or with K = 1 values.

    `mean` is the members' mean. `vote` counts each member as one vote for its likeliest class, and their
    mean as one vote more, shared among the classes: it decides between classes of equal votes, and the
    result is a row of probabilities again, of which the first of the greatest is the answer. A row of
    which a member gives no finite number is NaN: nobody's answer is passed over.
    """
    is_told = np.asarray(np.isfinite(outputs).all(axis=(0, 2)))
    safe = np.where(is_told[None, :, None], outputs, 0.0)
    combined: Values = safe.mean(axis=0)
    if combine == "vote":
        votes = np.eye(outputs.shape[2])[safe.argmax(axis=2)].sum(axis=0)
        combined = (votes + combined) / (len(outputs) + 1)
    combined[~is_told] = np.nan
    return combined


def check_combine(schema: Schema, combine: Combine) -> None:
    """Raise ConfigError for a vote over numbers."""
    if combine == "vote" and schema.target is not None:
        raise ConfigError(
            f"Models of a number ({schema.target.name}) cannot vote; combine them by mean."
        )
