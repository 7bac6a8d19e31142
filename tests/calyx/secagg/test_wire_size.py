"""Bytes of a round beside the order, the weights and the masked vector itself (§8, group 9)."""

import pytest
from support.protocol import Cohort, rules, takes_of

LENGTH = 4


@pytest.fixture(scope="module")
def traffic():
    """Of 100 clients the control bytes up and down, each client's largest over a whole round."""
    cohort = Cohort(100, rules(LENGTH, 10, n_min=5, h_min=3))
    up, down = dict.fromkeys(cohort.group, 0), dict.fromkeys(cohort.group, 0)
    server, replies = cohort.server, cohort.begin()
    for stage, take in enumerate(takes_of(server)[:4]):
        for u, reply in replies.items():
            up[u] += len(reply) - (4 * LENGTH if stage == 2 else 0)
        requests = take(replies)
        for u, request in requests.items():
            down[u] += len(request)
        replies = cohort.stage(stage + 1, requests)
    for u, reply in replies.items():
        up[u] += len(reply)
    assert server.take_reveals(replies).tolist() == cohort.oracle(cohort.group)
    return max(up.values()), max(down.values())


def test_a_client_of_a_hundred_sends_at_most_14_kilobytes_of_control(traffic):
    assert 0 < traffic[0] <= 14_000


def test_a_client_of_a_hundred_receives_at_most_32_kilobytes_of_control(traffic):
    assert 0 < traffic[1] <= 32_000


# Worked out by hand from §4: advertisement 160, 99 sealed shares of 4 + 82, two signatures of 64,
# 100 shares of 4 + 33; and 100 advertisements of 4 + 160, the inbox, U2, 32 and 56 signatures.
def test_the_bytes_are_those_of_the_stages_table(traffic):
    up = 160 + 99 * 86 + 64 + 64 + 100 * 37
    down = 100 * 164 + 99 * 86 + 100 * 4 + 32 + 56 * 68
    assert traffic == (up, down)
