"""Which clients take part: groups dealt once a run, cohorts drawn each round, both by name.

Drawn from (seed, round) alone, so that a resumed run, another engine or another order of
connection gives the same cohorts.
"""

from collections.abc import Container, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.data.names import NumberedNames, client_names
from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.model.combining import Combine, check_combine
from calyx.privacy.section import PrivacyConfig, check_group, is_sound
from calyx.run.order import MAX_MEMBERS
from calyx.secagg.rules import MAX_GROUP
from calyx.seeding import rng
from server.config import RunConfig

Groups = tuple[tuple[str, ...], ...]  # of a cohort, or of members that orders list
Dealt = tuple[Sequence[str], ...]  # of all that are there, whom nobody need list


def deal_groups(names: Sequence[str], groups: int | Literal["all"], seed: int) -> Dealt:
    """Deal the roster into groups whose sizes differ by at most one; each sorted by name.

    Raises ConfigError if there are more groups than clients.
    """
    if not isinstance(names, NumberedNames):
        names = tuple(sorted(names))
    if groups == "all":
        return tuple((name,) for name in names)
    if groups > len(names):
        raise ConfigError(
            f"privacy.groups={groups} needs at least as many clients, and the roster has {len(names)}; "
            "use fewer groups or more clients."
        )
    if groups == 1:
        return (names,)
    places = rng(seed, "groups").permutation(len(names))
    return tuple(_take(names, places[i::groups]) for i in range(groups))


def deal_members(names: Sequence[str], groups: int | Literal["all"], seed: int) -> Groups | None:
    """Who is in which group for as long as a run lives; None where there is one group, or one a client.

    They are dealt over all that may take part, so that who is connected moves nobody (decision 0055). Above
    MAX_MEMBERS, which only simulations have, everybody is there and orders need not say it.
    """
    if not isinstance(groups, int) or groups == 1 or len(names) > MAX_MEMBERS:
        return None
    return list_names(deal_groups(names, groups, seed))


def list_names(dealt: Dealt) -> Groups:
    """The same with every name in sight."""
    return tuple(map(tuple, dealt))


def _take(names: Sequence[str], places: NDArray[np.int64]) -> Sequence[str]:
    """The names at these places, sorted as names are."""
    ordered = np.sort(places)
    if isinstance(names, NumberedNames):
        return names.take(ordered)
    return tuple(names[i] for i in ordered)


def present(members: Dealt, names: Container[str]) -> Groups:
    """Of each group those who are there."""
    return tuple(tuple(name for name in group if name in names) for group in members)


def sample_cohort(dealt: Dealt, cohort_size: int | None, seed: int, round: int) -> Groups:
    """This round's clients, equally many from each group; everybody if `cohort_size` is None.

    Of a group of which too few are there all are taken. With one client a group (`groups=all`) groups
    are drawn instead, since each is one client. Raises ConfigError for a size that they cannot give.
    """
    roster = sum(len(group) for group in dealt)
    if cohort_size is None or cohort_size == roster:
        return list_names(dealt)
    if cohort_size > roster:
        raise ConfigError(f"cohort_size={cohort_size} is more than the roster's {roster} clients.")
    draw = rng(seed, "cohort", round)
    if all(len(group) == 1 for group in dealt):
        chosen = draw.choice(len(dealt), cohort_size, replace=False)
        return list_names(tuple(dealt[i] for i in sorted(chosen)))
    if cohort_size % len(dealt):
        raise _uneven(cohort_size, dealt)
    each = [min(cohort_size // len(dealt), len(group)) for group in dealt]
    return tuple(
        tuple(_take(group, draw.choice(len(group), number, replace=False))) if number else ()
        for group, number in zip(dealt, each, strict=True)
    )


def too_small(privacy: PrivacyConfig, cohort: Groups, roster: int) -> list[int]:
    """Which of a cohort's groups have too few clients for a sum. Raises ConfigError where all have."""
    small = [i for i, group in enumerate(cohort) if not is_sound(privacy, roster, len(group))]
    if len(small) == len(cohort):
        check_group(privacy, roster, max(map(len, cohort)))
    return small


def required_replies(min_replies: int | None, cohort: int) -> int:
    """Clients that must be in a round's sums: as configured, or ⌊cohort/2⌋ + 1.

    More than the cohort are never reached, as where clients that were accused are left out of it.
    """
    return cohort // 2 + 1 if min_replies is None else min_replies


def check_replies(run: RunConfig, clients: int) -> None:
    """Refuse `min_replies` that no round of so many connected clients can have. Raises ConfigError."""
    is_drawn = run.cohort_size is not None and "train" in run.phases  # an audit asks everybody
    cohort = run.cohort_size if is_drawn and run.cohort_size else clients
    cohort -= run.cv.k == "clients" and cohort == clients
    if run.min_replies is not None and run.min_replies > cohort:
        raise ConfigError(
            f"min_replies={run.min_replies} is more than the {cohort} clients of a round; use "
            f"min_replies={cohort} at most, or more clients."
        )


def draw_census(dealt: Dealt, census_size: int | None, seed: int) -> Groups | None:
    """Whom questions to everybody ask, in their groups, throughout a run; None where they ask all.

    Raises ConfigError for a size that they cannot give.
    """
    clients, groups = sum(map(len, dealt)), len(dealt)
    if census_size is None:
        return None
    if census_size > clients:
        raise ConfigError(
            f"census_size={census_size} is more than the {clients} clients; leave it out, and all are asked."
        )
    if census_size % groups and clients > groups:
        raise ConfigError(
            f"census_size={census_size} cannot take equally many clients from each of {groups} groups; use "
            "a multiple of privacy.groups."
        )
    return sample_cohort(dealt, census_size, seed, 0)


def check_sizes(
    privacy: PrivacyConfig,
    clients: int,
    cohort_size: int | None,
    roster: int,
    census_size: int | None = None,
) -> None:
    """Refuse before the start what `deal_groups` and `sample_cohort` would, and sums that cannot be.

    `clients` are connected (of several groups: in one of them), `roster` are known. Raises ConfigError.
    """
    if privacy.is_encrypted and privacy.groups == "all":
        check_group(privacy, roster, 1)
    dealt = deal_groups(client_names(clients), privacy.groups, seed=0)
    sampled = sample_cohort(dealt, cohort_size, seed=0, round=1)
    if cohort_size is not None and sum(map(len, sampled)) < cohort_size:
        raise _uneven(cohort_size, dealt)
    _check_room(privacy, max(map(len, sampled)), sum(map(len, sampled)))
    census = draw_census(dealt, census_size, seed=0)
    parts = smallest_parts(dealt if census is None else census, privacy.n_max)
    check_group(privacy, roster, min(*map(len, sampled), *parts))


def check_whole(privacy: PrivacyConfig, clients: int) -> None:
    """Refuse more clients than sums have room for where they cannot be asked in parts.

    Sites give one vector a model, so that a server that died between two parts could not ask again.
    Raises ConfigError.
    """
    size = 1 if privacy.groups == "all" else -(-clients // privacy.groups)
    _check_room(privacy, size, clients)


def _check_room(privacy: PrivacyConfig, largest: int, clients: int) -> None:
    """Refuse a group of `largest`, of so many `clients` that are asked at once. Raises ConfigError."""
    if largest > MAX_GROUP:
        raise ConfigError(
            f"One sum has room for {MAX_GROUP} clients, and a group has {largest}; use "
            f"privacy.groups={-(-clients // MAX_GROUP)} or more, of which the mean is taken, or a "
            "smaller cohort_size."
        )
    if largest > privacy.n_max:
        raise ConfigError(
            f"A group of {largest} clients is more than privacy.n_max={privacy.n_max} that a sum has "
            "room for; leave privacy.n_max out, and it follows the clients, or use more privacy.groups."
        )


def count_parts(dealt: Dealt, n_max: int) -> int:
    """In how many parts a question to everybody is asked, so that no sum has more than `n_max` clients."""
    return -(-max(map(len, dealt)) // n_max)


def smallest_parts(dealt: Dealt, n_max: int) -> list[int]:
    """Of each group, the clients in the smallest of its sums when everybody is asked a question."""
    parts = count_parts(dealt, n_max)
    return [len(group) // parts for group in dealt]


def _uneven(cohort_size: int, dealt: Dealt) -> ConfigError:
    return ConfigError(
        f"cohort_size={cohort_size} cannot take equally many clients from each of {len(dealt)} groups; "
        "use a multiple of privacy.groups that the smallest group holds."
    )


def check_cv(
    k: int | str | None,
    privacy: PrivacyConfig,
    clients: int,
    cohort_size: int | None,
    roster: int,
) -> None:
    """Refuse what leaving one of so many clients out makes impossible. Raises ConfigError."""
    if k != "clients":
        return
    if clients < 3 or privacy.groups == "all":
        raise ConfigError("cv.k=clients needs three clients at least, and groups of several.")
    if clients > MAX_GROUP * privacy.groups:
        raise ConfigError(
            f"cv.k=clients would train {clients} models, one without each client, and every client judges "
            f"its own among all of them: it is for {MAX_GROUP * privacy.groups} clients at most; use cv.k=5."
        )
    try:
        check_sizes(privacy, clients - 1, cohort_size, roster)
    except ConfigError as error:
        raise ConfigError(f"cv.k=clients leaves one client out of each fold: {error}") from None


def check_combination(combine: Combine | None, schema: Schema) -> None:
    """Refuse what models of this schema cannot do together. Raises ConfigError."""
    if combine is None:
        return
    try:
        check_combine(schema, combine)
    except ConfigError as error:
        raise ConfigError(f"cv.combine={combine} is impossible: {error}") from None


def check_folds(k: int | str | None, own_split: str | None) -> None:
    """Refuse folds of rows that decide their own split, by what `own_split` says. Raises ConfigError."""
    if isinstance(k, int) and own_split is not None:
        raise ConfigError(
            f"cv.k={k} deals each client's rows into folds, and {own_split} says already which of them "
            "train and which test; use one of the two. (cv.k=clients goes with both.)"
        )
