"""Groups that stay: docs/secagg.md §10, A9."""

from dataclasses import replace

import pytest
from support.orders import NAMES, order

from calyx.secagg.refusals import Refusal
from calyx.secagg.roster import Roster
from client.gate.membership import check_members, members_of

ROSTER = Roster(1, tuple((name, bytes(32)) for name in NAMES), b"", b"")
MEMBERS = (("a", "b", "c"), ("d", "e", "f"))
SOUND = order(groups=(("a", "c"), ("d", "e", "f")), members=MEMBERS)


def test_a_cohort_of_each_groups_members_is_admitted_now_and_later():
    check_members(SOUND, ROSTER, None)
    check_members(replace(SOUND, groups=(("b", "c"), ("d", "f"))), ROSTER, members_of(SOUND))
    check_members(order(), ROSTER, "")
    shrunk = Roster(2, ROSTER.clients[:-1], b"", b"")  # f was removed in mid-run
    check_members(replace(SOUND, groups=(("a", "b"), ("d", "e"))), shrunk, members_of(SOUND))


REFUSED = {
    "one group with members": order(members=(NAMES,)),
    "groups without members": replace(SOUND, members=None),
    "a client in another group": replace(SOUND, groups=(("a", "d"), ("e", "f"))),
    "groups that have changed places": replace(SOUND, groups=(SOUND.groups[1], SOUND.groups[0])),
    "a stranger": replace(SOUND, groups=(("a", "x"), ("d",))),
    "more groups than members": replace(SOUND, groups=(("a",), ("d",), ("b",))),
    "a member twice": replace(SOUND, members=(("a", "b", "c"), ("c", "d", "e", "f"))),
    "too many": replace(SOUND, members=(MEMBERS[0], (*MEMBERS[1], *map(str, range(5000))))),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_another_cohort_or_deal_is_refused(refused):
    with pytest.raises(Refusal) as caught:
        check_members(refused, ROSTER, None)
    assert caught.value.code == "rules-changed"


def test_groups_that_are_dealt_anew_in_mid_run_are_refused():
    dealt = replace(SOUND, members=(("a", "c", "d"), ("b", "e", "f")), groups=(("a",), ("b",)))
    check_members(dealt, ROSTER, None)
    with pytest.raises(Refusal, match="other groups than the run began with"):
        check_members(dealt, ROSTER, members_of(SOUND))


def test_a_roster_that_no_order_lists_names_no_members():
    many = Roster(1, tuple((f"{i:05d}", bytes(32)) for i in range(5000)), b"", b"")
    check_members(order(groups=(("00000",), ("00001",))), many, None)
