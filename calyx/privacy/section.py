"""The section `privacy`: how updates are put into sums, how many, and who may see less than a sum.

`secagg` encrypts every vector (`calyx-secagg/1`); `none` sends the same vectors without masks.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from calyx.config.section import NonNegativeInt, PositiveInt, config
from calyx.errors import ConfigError
from calyx.secagg.rules import (
    MAX_GROUP,
    Sampling,
    default_colluders,
    group_colluders,
    quorum,
    smallest_group,
)
from calyx.vector.quantise import FixedPoint

Mode = Literal["secagg", "none"]
USUAL_N_MIN, USUAL_H_MIN = 5, 3  # calyx-secagg/1 §4; smaller ones are said in the report


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
        """Refuse a fixed point that would leave a client fewer than four bits, and sums of nobody."""
        if self.n_min > self.n_max and self.is_encrypted:
            raise ValueError(
                f"no sum can hold privacy.n_min={self.n_min} clients at least and privacy.n_max={self.n_max} "
                "at most"
            )
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

    def is_capped(self, num_examples: int, w_max: int) -> bool:
        """Whether a client of so many training rows counts as `w_max` rows, which are fewer."""
        return self.weighting == "examples" and num_examples > w_max

    def colluders(self, roster: int, group: int) -> int:
        """C of a group of `group` clients out of `roster`."""
        number = self.max_colluders
        total = default_colluders(roster) if number is None else number
        return group_colluders(roster, total, group, self.sampling)


def guarantee(privacy: PrivacyConfig, roster: int, group: int) -> str:
    """What a group's sums promise to its clients, in one sentence for the report."""
    if not privacy.is_encrypted:
        return "Nothing is encrypted: the server can read every client's update and metrics."
    c = privacy.colluders(roster, group)
    least = max(quorum(group, c), privacy.n_min, c + privacy.h_min)
    return (
        f"Every sum covers at least {least} of a group's {group} clients, {least - c} of them honest "
        f"even if {c} of the {roster} on the roster work with the server."
    )


def weaknesses(privacy: PrivacyConfig, roster: int, *, is_simulated: bool = False) -> list[str]:
    """What asks for less than `calyx-secagg/1` does by itself (§4), in sentences."""
    if not privacy.is_encrypted:
        return []
    sentences = [
        f"privacy.{key}={value} is below the protocol's own {usual}: this run's config asks for it."
        for key, value, usual in (
            ("n_min", privacy.n_min, USUAL_N_MIN),
            ("h_min", privacy.h_min, USUAL_H_MIN),
            ("max_colluders", privacy.max_colluders, default_colluders(roster)),
        )
        if value is not None and value < usual
    ]
    if privacy.sampling == "trusted":
        sentences.append(_trust(privacy, roster, is_simulated=is_simulated))
    return sentences


def _trust(privacy: PrivacyConfig, roster: int, *, is_simulated: bool) -> str:
    believed = "privacy.sampling=trusted believes the server to draw cohorts at random"
    if not is_simulated:
        return f"{believed}: this run's config asks for it."
    least = smallest_sound_group(replace(privacy, sampling="adversarial"), roster)
    return (
        f"{believed}, as this simulation does for itself; sites that believe no server, as they do by "
        f"default, need {least} clients in a sum."
    )


def default_sampling(privacy: PrivacyConfig, roster: int, group: int) -> Sampling:
    """What `privacy.sampling` of null is in a simulation whose smallest sum is over `group` of `roster`.

    adversarial, where such a sum is possible then; trusted where it is only so. See docs/decisions/0077.
    """
    options: tuple[Sampling, Sampling] = ("adversarial", "trusted")
    sound = (o for o in options if is_sound(replace(privacy, sampling=o), roster, group))
    return next(sound, "adversarial")


def smallest_sound_group(privacy: PrivacyConfig, roster: int) -> int:
    """The least number of clients of which an encrypted sum is possible at all."""
    size = privacy.n_min
    while size < smallest_group(privacy.n_min, privacy.h_min, privacy.colluders(roster, size)):
        size += 1
    return size


def check_group(privacy: PrivacyConfig, roster: int, group: int) -> None:
    """Refuse a group of which no encrypted sum would be possible. Raises ConfigError."""
    if not privacy.is_encrypted:
        return
    if privacy.groups == "all":
        raise ConfigError(
            "privacy.groups=all would show the server every client's update; use a number of groups, "
            f"of which `calyx doctor privacy clients={roster}` shows those that hold, or privacy=none "
            "privacy.groups=all."
        )
    if is_sound(privacy, roster, group):
        return
    smallest = smallest_sound_group(privacy, roster)
    ways = ["", *_weaker(privacy, roster, group), "privacy=none"]
    raise ConfigError(
        f"An encrypted sum over {group} of {roster} clients, of which "
        f"{privacy.colluders(roster, group)} may collude, needs at least {smallest} clients; use more "
        f"clients in a sum (cohort_size, task.num_clients, fewer privacy.groups){', or '.join(ways)}."
    )


def is_sound(privacy: PrivacyConfig, roster: int, group: int) -> bool:
    """Whether a sum over `group` clients is possible: all of it plain, or by `calyx-secagg/1` §4."""
    c = privacy.colluders(roster, group)
    return not privacy.is_encrypted or group >= max(
        quorum(group, c), privacy.n_min, c + privacy.h_min
    )


def _weaker(privacy: PrivacyConfig, roster: int, group: int) -> list[str]:
    """Single settings that ask for less and with which a sum over `group` clients is possible."""
    most = privacy.colluders(roster, roster)
    choices: tuple[tuple[str, list[Any]], ...] = (
        ("n_min", list(range(privacy.n_min - 1, 1, -1))),
        ("max_colluders", list(range(most - 1, -1, -1))),
        ("sampling", ["trusted"]),
    )
    weaker = []
    for key, values in choices:
        for value in values:
            if is_sound(replace(privacy, **{key: value}), roster, group):
                weaker.append(f"privacy.{key}={value}")
                break
    return weaker
