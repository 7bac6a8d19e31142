"""What the clients of one simulation share changes no byte, and no site shares anything."""

import multiprocessing
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protocol import Cohort, Repeating, flipped, rules
from support.texts import ROOT, read_texts

from calyx.secagg import blackboard, keys

PROGRAMS = "client.app", "server.app", "calyx.fleet.site", "calyx.cli.main"


class Heard(Cohort):
    """A cohort whose entropy repeats, and that notes every word of its clients."""

    def __init__(self, n, agreed):
        super().__init__(n, agreed, entropy=Repeating())
        self.said = []

    def begin(self, clients=None):
        self.said.append(super().begin(clients))
        return self.said[-1]

    def call(self, u, stage, body):
        self.said.append((u, stage, super().call(u, stage, body)))
        return self.said[-1][-1]


@pytest.fixture
def exchanges(monkeypatch):
    """Public keys that were agreed with, one for each X25519 that was computed."""
    computed = []
    agree = keys.Agreement._agree
    monkeypatch.setattr(
        keys.Agreement, "_agree", lambda self, key: computed.append(key) or agree(self, key)
    )
    return computed


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 8), st.sampled_from([16, 24, 32]), st.data())
def test_every_message_and_the_sum_are_those_of_clients_that_share_nothing(n, bits, data):
    agreed = rules(data.draw(st.integers(1, 40)), modulus_bits=bits)
    silent = data.draw(
        st.lists(st.integers(0, n - 1), max_size=n - agreed.smallest_sum(n), unique=True)
    )
    absent = {u: data.draw(st.integers(1, 3)) for u in silent}
    alone, together = Heard(n, agreed), Heard(n, agreed)
    total = alone.run(absent)
    with blackboard.share():
        assert together.run(absent).tolist() == total.tolist()
    assert total.tolist() == alone.oracle(alone.server.summed)
    assert together.said == alone.said


def test_a_pair_agrees_once_where_it_shares_and_twice_where_it_does_not(exchanges):
    Cohort(6, rules(3)).run()
    assert len(exchanges) == 2 * 6 * 5  # two keys of each
    exchanges.clear()
    with blackboard.share():
        Cohort(6, rules(3)).run()
    assert len(exchanges) == 6 * 5


def test_nothing_that_both_of_a_pair_have_taken_is_left_on_it():
    with blackboard.share():
        cohort = Cohort(6, rules(3))
        requests = cohort.reach(2)
        agreed = {prk for session in cohort.sessions.values() for prk in session.channels.values()}
        assert len(agreed) == 15
        cohort.finish(2, cohort.stage(2, requests))
        assert not [prk for prk in agreed if prk in blackboard._memory[:]]


def test_what_another_process_has_left_is_found():
    with blackboard.share():
        context = multiprocessing.get_context("fork")
        worker = context.Process(
            target=blackboard.compute_for_both, args=(b"pair", lambda: b"x" * 32)
        )
        worker.start()
        worker.join()
        assert blackboard.compute_for_both(b"pair", lambda: b"y" * 32) == b"x" * 32
        assert blackboard.compute_for_both(b"pair", lambda: b"z" * 32) == b"z" * 32  # it was taken


@pytest.mark.parametrize("at", [0, 27, 28, 59, 60, 63], ids=str)
def test_what_is_torn_is_computed_again(at):
    with blackboard.share():
        blackboard.compute_for_both(b"pair", lambda: b"x" * 32)
        whole = blackboard._memory[:]
        start = next(i for i in range(0, len(whole), 64) if any(whole[i : i + 64]))
        blackboard._memory[:] = flipped(whole, start + at)
        assert blackboard.compute_for_both(b"pair", lambda: b"y" * 32) == b"y" * 32


def test_a_signature_that_was_made_here_makes_no_other_one_fit():
    private = bytes(range(32))
    public = keys.identity_of(private)
    with blackboard.share():
        signature = keys.sign(private, "y", b"vector")
        assert keys.verify(public, signature, "y", b"vector")
        assert not keys.verify(public, flipped(signature, 0), "y", b"vector")
        assert not keys.verify(public, signature, "y", b"another")
        assert not keys.verify(keys.identity_of(bytes(32)), signature, "y", b"vector")


def test_the_process_of_a_site_shares_nothing():
    program = f"import importlib\nfor name in {PROGRAMS}: importlib.import_module(name)\n"
    program += "from calyx.secagg import blackboard\nassert not blackboard.is_open()"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_only_a_simulation_opens_it():
    texts = {path: text for path, text in read_texts({".py"}).items() if path.count("/") > 0}
    opens = {path for path, text in texts.items() if re.search(r"blackboard.*\bshare\b", text)}
    assert {path for path in opens if not path.startswith("tests/")} == {"calyx/simulation/run.py"}
