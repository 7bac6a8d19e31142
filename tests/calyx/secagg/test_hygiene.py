"""What a client keeps and says: no secret outlives its use (docs/secagg.md §8, group 8, the pure part)."""

import re

import pytest
from support.protocol import SECRETS, Cohort, Recorder, flipped, rules

from calyx.secagg.aggregator import GroupFailed
from calyx.secagg.masking import Mask
from calyx.secagg.refusals import Refusal

LENGTH = 8
SHARE = 33


class Watched(Cohort):
    """A cohort that notes every secret of its clients: what entropy gave, and what came of it."""

    def __init__(self):
        super().__init__(6, rules(LENGTH), entropy=Recorder())
        self.seen = {}  # secret bytes → what they are

    def call(self, u, stage, body):
        self.note()
        try:
            return super().call(u, stage, body)
        finally:
            self.note()

    def note(self):
        for u, session in self.sessions.items():
            for name in SECRETS:
                value = getattr(session, name)
                for secret in value.values() if isinstance(value, dict) else [value]:
                    for start in range(
                        0, len(secret), SHARE if name == "held" else len(secret) or 1
                    ):
                        self.seen[secret[start : start + SHARE]] = f"{name} of {u}"
        for number, drawn in enumerate(self.entropy.drawn):
            for start in range(0, len(drawn), 16):
                self.seen[drawn[start : start + 16]] = f"draw {number}"


def found_in(cohort, u):
    """Which secrets the session of client `u` holds, as it would be stored."""
    kept = cohort.sessions[u].to_bytes()
    return sorted({what for secret, what in cohort.seen.items() if secret in kept})


def test_the_search_finds_what_is_there():
    cohort = Watched()
    cohort.reach(2)
    cohort.note()
    found = found_in(cohort, 0)
    for what in ("mask_private of 0", "seed of 0", "vector of 0", "own_share of 0"):
        assert what in found
    assert any(what.startswith("channels") for what in found)
    assert "draw 2" in found  # b of the first client


def test_after_stage_one_the_key_for_sharing_is_gone():
    cohort = Watched()
    cohort.reach(2)
    cohort.note()
    assert "share_private of 0" not in found_in(cohort, 0)


def test_after_stage_two_only_shares_are_left():
    cohort = Watched()
    cohort.reach(3)
    assert found_in(cohort, 0) == ["held of 0", "own_share of 0"]


def test_after_stage_four_no_secret_is_left_but_in_the_reply_that_was_sent():
    cohort = Watched()
    cohort.run()
    for session in cohort.sessions.values():
        assert session.last_reply
        session.last_reply = b""
    assert [found_in(cohort, u) for u in range(6)] == [[]] * 6


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_after_an_abandoned_sum_no_secret_is_left(stage):
    cohort = Watched()
    cohort.reach(stage)
    cohort.note()
    if stage == 1:
        with pytest.raises(Refusal):
            cohort.abandon(0)
    else:
        cohort.abandon(0)
    assert found_in(cohort, 0) == []


def refused_at(stage):
    """A cohort whose client 0 has refused at this stage, and the refusal."""
    cohort = Watched()
    request = cohort.reach(stage)[0]
    with pytest.raises(Refusal) as refused:
        cohort.call(0, stage, flipped(request, 5) if stage != 3 else b"")
    return cohort, refused.value


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_after_a_refusal_no_secret_is_left(stage):
    cohort, _ = refused_at(stage)
    assert found_in(cohort, 0) == []


# Keys are 32 bytes, masks' keys 16: as hexadecimal, as a Python literal or as a decimal number.
KEY_LIKE = re.compile(r"[0-9a-fA-F]{16}|\\x|\d{12}")


def assert_says_no_key(thing):
    assert not KEY_LIKE.search(f"{thing!s} {thing!r}")


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_a_refusal_says_no_key(stage):
    assert_says_no_key(refused_at(stage)[1])


def test_a_failure_of_the_group_says_no_key():
    cohort = Watched()
    adverts = cohort.begin()
    cohort.sessions[3].seed = bytes(32)  # it commits to one and deals another
    requests = cohort.server.take_advertisements(adverts)
    takes = (cohort.server.take_shares, cohort.server.take_vectors, cohort.server.take_consents)
    for stage, take in enumerate(takes, start=1):
        requests = take(cohort.stage(stage, requests))
    with pytest.raises(GroupFailed) as failed:
        cohort.server.take_reveals(cohort.stage(4, requests))
    assert_says_no_key(failed.value)


def test_neither_a_session_nor_a_member_nor_a_mask_shows_its_keys():
    cohort = Watched()
    cohort.reach(2)
    for thing in (cohort.sessions[0], cohort.members[0], Mask(bytes(16), is_added=True)):
        assert_says_no_key(re.sub("at 0x[0-9a-f]+", "", repr(thing)))
