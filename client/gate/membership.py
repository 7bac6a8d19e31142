"""Who is in which group of a run, for as long as it lives. docs/secagg.md §10, A9.

Without it a server could deal new groups in each round, and learn one client's share from the
difference of two sums.
"""

from calyx.config.section import digest
from calyx.run.order import MAX_MEMBERS, Order
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from client.gate.alike import once_for_same


@once_for_same
def members_of(order: Order) -> str:
    """A digest of an order's members by group; "" of one group, whose members are the roster."""
    return "" if order.members is None else digest(order.members)


def check_members(order: Order, roster: Roster, kept: str | None) -> None:
    """Each group of the cohort is of one group of the members, which are those of the run.

    `kept` is `members_of` of the run's earlier orders; None for its first one. Raises Refusal
    (`rules-changed`).
    """
    if len(order.groups) == 1 or (order.members is None and len(roster) > MAX_MEMBERS):
        if order.members is not None:
            raise _refusal("names members by group, and has one group")
    elif order.members is None:
        raise _refusal(f"has {len(order.groups)} groups, and does not say who is in which")
    else:
        _check_groups(order, order.members)
    if kept is not None and kept != members_of(order):
        raise _refusal("deals the members into other groups than the run began with")


def _check_groups(order: Order, members: tuple[tuple[str, ...], ...]) -> None:
    names = [name for group in members for name in group]
    if len(members) != len(order.groups):
        raise _refusal(f"has {len(order.groups)} groups, and members of {len(members)}")
    if len(set(names)) != len(names) or len(names) > MAX_MEMBERS:
        raise _refusal("names a member twice, or too many")
    for group, mine in zip(order.groups, members, strict=True):
        strangers = set(group) - set(mine)
        if strangers:
            raise _refusal(f"has {min(strangers)!r} in a group that it is no member of")


def _refusal(reason: str) -> Refusal:
    return Refusal(RefusalCode.RULES_CHANGED, f"The order {reason}.")
