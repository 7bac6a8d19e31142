"""A cohort that runs the protocol in this process: real keys, real masks, no Flower."""

import os
from dataclasses import replace
from functools import lru_cache

import numpy as np

from calyx.secagg.aggregator import Aggregator
from calyx.secagg.keys import identity_of
from calyx.secagg.participant import Call, Member, abandon, answer, begin
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

    def abandon(self, u):
        """One client's signature that its shares are gone."""
        return abandon(self.members[u], self.sessions[u])

    def run(self, absent=None):
        """The whole protocol; `absent` says from which stage on a client is silent. The sum."""
        absent = absent or {}

        def gone(stage):
            return {u for u, since in absent.items() if since <= stage}

        requests = self.server.take_advertisements(
            self.begin([u for u in self.group if u not in gone(0)])
        )
        takes = (self.server.take_shares, self.server.take_vectors, self.server.take_consents)
        for stage, take in enumerate(takes, start=1):
            requests = take(self.stage(stage, requests, gone(stage)))
        return self.server.take_reveals(self.stage(4, requests, gone(4)))

    def oracle(self, clients):
        """The plain sum of these clients' vectors, in Python's integers."""
        top = 1 << self.rules.modulus_bits
        columns = zip(*(self.vectors[u].tolist() for u in clients), strict=True)
        return [sum(column) % top for column in columns]
