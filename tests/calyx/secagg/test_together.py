"""Clients that are masked in one go say what they say alone, and each of them ends in its own way."""

import numpy as np
import pytest
from support.protocol import Cohort, Repeating, assert_is_dead, flipped, rules

from calyx.secagg import masking
from calyx.secagg.masking import Mask, Masking, apply_masks, run_together
from calyx.secagg.participant import Call, answer_in_steps
from calyx.secagg.refusals import Refusal, RefusalCode


@pytest.fixture
def streams(monkeypatch):
    """The key of each stream that was begun."""
    masking.fastest_mode()  # it measures by streams of its own, once
    begun = []
    begin = masking._stream
    monkeypatch.setattr(masking, "_stream", lambda key, mode: begun.append(key) or begin(key, mode))
    return begun


def outcome(steps):
    """The run of a client whose refusal is a value, as its adapter makes it."""
    try:
        return (yield from steps)
    except Refusal as refusal:
        return refusal.code


def masked(cohort, requests):
    """Stage 2 of all clients in one go: u → reply, or the code of a refusal."""
    steps = [
        answer_in_steps(cohort.members[u], cohort.sessions[u], Call(2, body, cohort.entropy, int))
        for u, body in requests.items()
    ]
    return dict(zip(requests, run_together([outcome(one) for one in steps]), strict=True))


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("length", [1, 2**15 + 3])
def test_every_reply_is_that_of_a_client_alone_and_each_stream_is_begun_once(bits, length, streams):
    alone, together = (
        Cohort(5, rules(length, modulus_bits=bits), entropy=Repeating()) for _ in range(2)
    )
    replies = alone.stage(2, alone.reach(2))
    assert len(streams) == 5 * 5
    requests = together.reach(2)
    streams.clear()
    assert masked(together, requests) == replies
    assert len(streams) == 5 + 10  # a self mask of each, and one of each pair
    assert together.finish(2, replies).tolist() == together.oracle(range(5))


def test_who_refuses_among_others_is_dead_and_they_are_masked():
    cohort = Cohort(5, rules(3))
    requests = cohort.reach(2)
    requests[1] = flipped(requests[1], 10)
    replies = masked(cohort, requests)
    assert replies[1] is RefusalCode.SEALED_SHARE
    assert_is_dead(cohort.sessions[1])
    assert cohort.finish(2, {u: replies[u] for u in (0, 2, 3, 4)}).tolist() == cohort.oracle(
        (0, 2, 3, 4)
    )


def test_where_masking_fails_every_client_forgets_its_vector(monkeypatch):
    cohort = Cohort(5, rules(3))
    requests = cohort.reach(2)
    monkeypatch.setattr(masking, "_mask_together", lambda several: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        masked(cohort, {0: requests[0]})
    assert_is_dead(cohort.sessions[0])


def test_vectors_of_other_lengths_and_more_than_fit_at_once_are_masked_apart(monkeypatch):
    monkeypatch.setattr(masking, "_TOGETHER_BYTES", 40)
    masks = [Mask(bytes([i]) * 16, is_added=i % 2 == 0) for i in range(3)]
    wanted = [
        Masking(np.arange(length, dtype=np.uint32), masks[: 1 + i % 3], bits)
        for i, (length, bits) in enumerate([(5, 32), (7, 32), (5, 32), (5, 16), (0, 32), (5, 32)])
    ]

    def run(one):
        result = yield one
        return result.tolist()

    assert run_together([run(one) for one in wanted]) == [
        apply_masks(one.vector, one.masks, one.modulus_bits).tolist() for one in wanted
    ]
