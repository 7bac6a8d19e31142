"""The section `privacy`: how updates are put into sums, and into how many of them.

`none` is the only mode for now: the fixed-point vectors of `calyx.secagg` without masks.
"""

from typing import Annotated, Literal

from pydantic import Field

from calyx.config import PositiveInt, config
from calyx.secagg.quantise import FixedPoint


@config
class PrivacyConfig:
    """Parameters of the sums, the same on the server and on every client."""

    name: Literal["none"]
    groups: PositiveInt | Literal["all"]  # sums a round; "all" makes every client a group
    bits: Literal[16, 24, 32]  # M: bits an element on the wire
    n_max: Annotated[int, Field(ge=1, le=512)]  # clients in one sum at most
    clip: Annotated[
        float, Field(ge=1e-6, le=1e6)
    ]  # bound of one coordinate of an update; larger ones are cut and counted
    weighting: Literal["examples", "equal"]  # what a client's update weighs in the mean

    def __post_init__(self) -> None:
        """Refuse a fixed point that would leave a client fewer than four bits."""
        self.fixed_point()

    def fixed_point(self) -> FixedPoint:
        """The number format that these parameters give."""
        return FixedPoint(modulus_bits=self.bits, n_max=self.n_max, clip=self.clip)

    def w_max(self, task_w_max: int) -> int:
        """Largest weight of one client, in examples: the task's, or 1 if all weigh the same."""
        return task_w_max if self.weighting == "examples" else 1
