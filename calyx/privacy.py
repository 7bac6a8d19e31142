"""The section `privacy`: how updates are put into sums, how many, and who may see less than a sum.

`secagg` encrypts every vector (`calyx-secagg/1`); `none` sends the same vectors without masks.
"""

from typing import Annotated, Literal

from pydantic import Field

from calyx.config import NonNegativeInt, PositiveInt, config
from calyx.errors import ConfigError
from calyx.secagg.quantise import FixedPoint
from calyx.secagg.rules import (
    MAX_GROUP,
    Sampling,
    default_colluders,
    group_colluders,
    quorum,
    smallest_group,
)

Mode = Literal["secagg", "none"]


@config
class PrivacyConfig:
    """Parameters of the sums, the same on the server and on every client."""

    name: Mode
    groups: PositiveInt | Literal["all"]  # sums a round; "all" makes every client a group
    bits: Literal[16, 24, 32]  # M: bits an element on the wire
    n_max: Annotated[int, Field(ge=1, le=MAX_GROUP)]  # clients in one sum at most
    clip: Annotated[
        float, Field(ge=1e-6, le=1e6)
    ]  # bound of one coordinate of an update; larger ones are cut and counted
    weighting: Literal["examples", "equal"]  # what a client's update weighs in the mean
    n_min: Annotated[int, Field(ge=2, le=MAX_GROUP)]  # clients in one sum at least
    h_min: PositiveInt  # of them, beside `max_colluders`: honest clients in one sum at least
    max_colluders: NonNegativeInt | None  # C, of the roster; null is a tenth, and at least one
    sampling: Sampling  # adversarial: the server may put all C into one group
    prg: Literal["aes-128", "aes-256"]  # what masks are drawn from

    def __post_init__(self) -> None:
        """Refuse a fixed point that would leave a client fewer than four bits."""
        self.fixed_point()

    @property
    def is_encrypted(self) -> bool:
        """Whether clients mask their vectors."""
        return self.name == "secagg"

    def fixed_point(self) -> FixedPoint:
        """The number format that these parameters give."""
        return FixedPoint(modulus_bits=self.bits, n_max=self.n_max, clip=self.clip)

    def w_max(self, task_w_max: int) -> int:
        """Largest weight of one client, in examples: the task's, or 1 if all weigh the same."""
        return task_w_max if self.weighting == "examples" else 1

    def colluders(self, roster: int, group: int) -> int:
        """C of a group of `group` clients out of `roster`."""
        given = self.max_colluders
        total = default_colluders(roster) if given is None else given
        return group_colluders(roster, total, group, self.sampling)


def check_group(privacy: PrivacyConfig, roster: int, group: int) -> None:
    """Refuse a group of which no encrypted sum would be possible. Raises ConfigError."""
    if not privacy.is_encrypted:
        return
    if privacy.groups == "all":
        raise ConfigError(
            "privacy.groups=all would show the server every client's update; use "
            "privacy.groups=5 or another number, or privacy=none privacy.groups=all."
        )
    c = privacy.colluders(roster, group)
    least = max(quorum(group, c), privacy.n_min, c + privacy.h_min)
    if group >= least:
        return
    smallest = smallest_group(privacy.n_min, privacy.h_min, c)
    raise ConfigError(
        f"An encrypted sum over {group} of {roster} clients, of which {c} may collude, needs at "
        f"least {smallest} clients; use more clients in a sum (cohort_size, task.num_clients, "
        "fewer privacy.groups), or lower privacy.n_min or privacy.max_colluders, or "
        "privacy.sampling=trusted, or privacy=none."
    )
