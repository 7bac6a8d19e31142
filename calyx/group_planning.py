"""Which numbers of groups hold for a roster, its dropouts and its attackers, and what they guarantee.

Arithmetic over `calyx-secagg/1` §4 (quorum) and the majority that a robust rule over group means
needs; it runs nothing and decides nothing.
"""

from dataclasses import dataclass

from calyx.privacy import PrivacyConfig, smallest_sound_group
from calyx.secagg.rules import quorum


@dataclass(frozen=True)
class Federation:
    """What is known or feared: `dropouts` may all fall into one group, and so may colluders."""

    roster: int
    cohort: int  # clients a round
    dropouts: int
    attackers: int  # clients that send false updates


@dataclass(frozen=True)
class Choice:
    """One number of groups. Counts are of the smallest group, at its worst."""

    groups: int
    size: int
    colluders: int  # C
    smallest_sum: int  # vectors that a sum holds at least
    survives: int  # dropouts in one group before its sum is lost
    withstands: int  # attackers that a median of the groups' means outvotes
    problems: tuple[str, ...]

    @property
    def honest(self) -> int:
        """Honest clients that a sum covers at least."""
        return self.smallest_sum - self.colluders


def choices(privacy: PrivacyConfig, federation: Federation) -> list[Choice]:
    """Every number of groups from one up to the first whose groups are too small for any sum."""
    found: list[Choice] = []
    for groups in range(1, federation.cohort + 1):
        choice = _choice(privacy, federation, groups)
        found.append(choice)
        if choice.size < choice.smallest_sum:
            break
    return found


def _choice(privacy: PrivacyConfig, federation: Federation, groups: int) -> Choice:
    size = federation.cohort // groups
    c = privacy.colluders(federation.roster, size)
    least = max(quorum(size, c), privacy.n_min, c + privacy.h_min)
    survives, withstands = max(0, size - least), (groups - 1) // 2
    problems = []
    if federation.cohort % groups and federation.cohort < federation.roster:
        problems.append("a sampled cohort must be a multiple of its groups")
    if size < least:
        smallest = smallest_sound_group(privacy, federation.roster)
        problems.append(f"a group of {size} is too small, {smallest} would do")
    elif survives < federation.dropouts:
        problems.append(f"{federation.dropouts} dropouts in one group lose its sum")
    if -(-federation.cohort // groups) > privacy.n_max:
        problems.append(f"a sum has room for {privacy.n_max} clients")
    if federation.attackers and withstands < federation.attackers:
        problems.append(f"{federation.attackers} attackers can spoil half of the groups")
    return Choice(groups, size, c, least, survives, withstands, tuple(problems))
