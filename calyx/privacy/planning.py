"""Which numbers of groups hold for a roster, its dropouts and its attackers, and what they guarantee.

Arithmetic over `calyx-secagg/1` §4 (quorum) and the majority that a robust rule over group means
needs; it runs nothing and decides nothing.
"""

from dataclasses import dataclass, replace

from calyx.privacy.section import PrivacyConfig, smallest_sound_group
from calyx.secagg.rules import MAX_GROUP, quorum

USUAL_GROUPS = 5


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
    options: list[Choice] = []
    for groups in range(1, federation.cohort + 1):
        choice = _choice(privacy, federation, groups)
        options.append(choice)
        if choice.size < choice.smallest_sum:
            break
    return options


def groups_to_see(privacy: PrivacyConfig, federation: Federation, fewest: int) -> str | None:
    """A setting by which a server sees so many sums or more, and for how many clients; None if there is none.

    Where the federation is too small for it, the least one that is not is named.
    """
    for clients in range(federation.roster, federation.roster + MAX_GROUP):
        cohort = clients if federation.cohort == federation.roster else federation.cohort
        larger = replace(federation, roster=clients, cohort=cohort)
        sound = {
            groups
            for groups in range(fewest, max(fewest, USUAL_GROUPS) + 1)
            if groups <= cohort and not _problems_of(privacy, larger, groups)
        }
        if sound:
            groups = min(sound, key=lambda one: abs(one - USUAL_GROUPS))
            more = "" if clients == federation.roster else f" with {clients} clients or more"
            return f"privacy.groups={groups}{more}"
    return None


def _problems_of(privacy: PrivacyConfig, federation: Federation, groups: int) -> tuple[str, ...]:
    if privacy.is_encrypted:
        return _choice(privacy, federation, groups).problems
    is_uneven = federation.cohort % groups and federation.cohort < federation.roster
    return ("uneven",) if is_uneven else ()


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
