"""A cohort that runs the protocol in this process: real keys, real masks, no Flower."""

import hashlib
import os
from dataclasses import replace
from functools import lru_cache

import numpy as np

from calyx.secagg.aggregator import Aggregator
from calyx.secagg.encoding import rows_to_bytes, set_hash
from calyx.secagg.keys import identity_of, sign
from calyx.secagg.participant import Call, Member, abandon, answer, begin
from calyx.secagg.refusals import Refusal
from calyx.secagg.roster import make_roster
from calyx.secagg.rules import Rules, Subject, context
from calyx.secagg.session import Session

SUBJECT = Subject("digits", "run", "train", 1, 1, 0, bytes(32))


@lru_cache
def identities(count):
    """Private identity keys by name, and the signed roster of their public halves."""
    keys = {f"client-{i:03d}": os.urandom(32) for i in range(count)}
    roster = make_roster({name: identity_of(key) for name, key in keys.items()}, 1, os.urandom(32))
    return keys, roster


def rules(length, colluders=1, **changes):
    """Rules for vectors of `length`; everything else small but sound."""
    base = Rules(
        n_min=2,
        h_min=1,
        colluders=colluders,
        n_max=128,
        modulus_bits=32,
        bits=25,
        length=length,
        layout=bytes(32),
        clip=1.0,
        mask_key_bytes=16,
        w_max=1,
        groups=1,
    )
    return replace(base, **changes)


def takes_of(server):
    """What an honest server does with the replies of the stages 0 … 4."""
    return (
        server.take_advertisements,
        server.take_shares,
        server.take_vectors,
        server.take_consents,
        server.take_reveals,
    )


class Cohort:
    """`n` clients of one group and an honest server; tests drop, garble and replay in between."""

    def __init__(self, n, rules, *, vectors=None, subject=SUBJECT, entropy=os.urandom, seed=0):
        keys, self.roster = identities(n)
        self.rules, self.group = rules, tuple(range(n))
        self.ctx = context(subject, self.roster.digest, rules)
        self.members = {u: Member(u, keys[self.roster.name(u)], self.roster) for u in self.group}
        self.sessions = {u: Session(self.ctx, u, rules, self.group) for u in self.group}
        top = 1 << rules.modulus_bits
        draw = np.random.default_rng(seed)
        self.vectors = vectors or {
            u: draw.integers(0, top, rules.length, dtype=np.uint64).astype(np.uint32)
            for u in self.group
        }
        self.server = Aggregator(self.ctx, rules, self.roster, self.group)
        self.entropy, self.committed = entropy, []

    def begin(self, clients=None):
        """Stage 0 of these clients: u → signed advertisement."""
        return {
            u: begin(self.members[u], self.sessions[u], self.vectors[u], self.entropy)
            for u in (self.group if clients is None else clients)
        }

    def call(self, u, stage, body):
        """One client's answer to one request."""
        made = Call(stage, body, self.entropy, lambda: self.committed.append(u))
        return answer(self.members[u], self.sessions[u], made)

    def stage(self, stage, requests, absent=()):
        """All clients' answers to a stage's requests."""
        return {u: self.call(u, stage, body) for u, body in requests.items() if u not in absent}

    def reach(self, stage, absent=()):
        """The requests of a stage (1 … 4), after honest stages before it without `absent`."""
        first, *others = takes_of(self.server)
        requests = first(self.begin())
        for before, take in enumerate(others[: stage - 1], start=1):
            requests = take(self.stage(before, requests, absent))
        return requests

    def finish(self, stage, replies):
        """The honest rest of a round, from the replies of a stage on. The sum."""
        *takes, last = takes_of(self.server)
        for number, take in list(enumerate(takes))[stage:]:
            replies = self.stage(number + 1, take(replies))
        return last(replies)

    def abandon(self, u):
        """One client's signature that its shares are gone."""
        return abandon(self.members[u], self.sessions[u])

    def run(self, absent=None):
        """The whole protocol; `absent` says from which stage on a client is silent. The sum."""
        absent = absent or {}

        def gone(stage):
            return {u for u, since in absent.items() if since <= stage}

        first, *others = takes_of(self.server)
        requests = first(self.begin([u for u in self.group if u not in gone(0)]))
        for stage, take in enumerate(others, start=1):
            requests = take(self.stage(stage, requests, gone(stage)))
        return requests

    def oracle(self, clients):
        """The plain sum of these clients' vectors, in Python's integers."""
        top = 1 << self.rules.modulus_bits
        columns = zip(*(self.vectors[u].tolist() for u in clients), strict=True)
        return [sum(column) % top for column in columns]


SECRETS = ("share_private", "mask_private", "seed", "vector", "channels", "own_share", "held")


def assert_is_dead(session):
    """Nothing may come any more, and nothing secret is kept."""
    kept = [name for name in (*SECRETS, "last_reply") if getattr(session, name)]
    assert (session.stage, kept) == (5, [])


def refusal_of(cohort, u, stage, body):
    """The refusal of a request, after which client `u` must be dead and say nothing more.

    Raises AssertionError where it answers, or where a secret or a further answer is to be had.
    """
    try:
        cohort.call(u, stage, body)
    except Refusal as refusal:
        assert_is_dead(cohort.sessions[u])
        assert not any(is_answered(cohort, u, later, body) for later in range(6))
        return refusal
    raise AssertionError(f"stage {stage} was answered")


def is_answered(cohort, u, stage, body):
    """Whether client `u` answers this request."""
    try:
        cohort.call(u, stage, body)
    except Refusal:
        return False
    return True


def table(rows):
    """A request from its rows, index → bytes."""
    return rows_to_bytes(sorted(rows.items()))


def flipped(data, at):
    """`data` with one bit of the byte at `at` changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def sum_of(members):
    """Stage 3's request for this U2."""
    return rows_to_bytes((v, b"") for v in sorted(members))


def consent(cohort, v, members, *, root=None, ctx=None, tag="u2"):
    """Member `v`'s signature on a U2, whether an honest client would give it or not."""
    bound = (ctx or cohort.ctx, root or cohort.server.root)
    return sign(cohort.members[v].identity, tag, *bound, set_hash(members))


def opening(members, signatures):
    """Stage 4's request: a U2 and signatures on it."""
    return set_hash(members) + table(signatures)


class Recorder:
    """Entropy that remembers all that it gave out."""

    def __init__(self):
        self.drawn = []

    def __call__(self, count):
        self.drawn.append(os.urandom(count))
        return self.drawn[-1]


class Repeating:
    """Entropy that gives every cohort the same bytes."""

    def __init__(self):
        self.counter = 0

    def __call__(self, count):
        self.counter += 1
        return hashlib.shake_256(self.counter.to_bytes(8, "little")).digest(count)
