"""A cohort that runs the protocol without Flower, so that each party's own work can be timed."""

import os

import numpy as np

from calyx.secagg import keys, participant
from calyx.secagg.aggregator import Aggregator
from calyx.secagg.participant import Call, Member, answer, begin
from calyx.secagg.roster import make_roster
from calyx.secagg.rules import Rules, Subject, context, default_colluders
from calyx.secagg.session import Session
from calyx.seeding import rng
from calyx.vector.quantise import FixedPoint, Residues, quantise


class Cohort:
    """`n` clients of one group, each with a vector of `length` elements of `modulus_bits`."""

    def __init__(self, n: int, length: int, modulus_bits: int) -> None:
        private = {f"client-{i:03d}": os.urandom(32) for i in range(n)}
        public = {name: keys.identity_of(key) for name, key in private.items()}
        self.roster = make_roster(public, 1, os.urandom(32))
        self.fixed = FixedPoint(modulus_bits, 128, 1.0)
        self.rules = Rules(
            n_min=5,
            h_min=3,
            colluders=default_colluders(n),
            n_max=128,
            modulus_bits=modulus_bits,
            bits=self.fixed.bits,
            length=length,
            layout=bytes(32),
            clip=1.0,
            mask_key_bytes=16,
            w_max=256,
            groups=1,
        )
        subject = Subject("benchmark", "run", "train", 1, 1, 0, bytes(32))
        self.ctx = context(subject, self.roster.digest, self.rules)
        group = tuple(range(n))
        self.server = Aggregator(self.ctx, self.rules, self.roster, group)
        self.members = [Member(u, private[self.roster.name(u)], self.roster) for u in group]
        self.sessions = [Session(self.ctx, u, self.rules, group) for u in group]
        self.update = rng(0, "benchmark").standard_normal(length, dtype=np.float32) * np.float32(
            0.05
        )

    def vector(self) -> Residues:
        """One client's update, quantised with its public dither."""
        dither = rng(0, "dither").random(len(self.update), dtype=np.float32)
        return quantise(self.update, 100 / 256, dither, self.fixed)

    def advertise(self, u: int, vector: Residues) -> bytes:
        """Stage 0 of one client."""
        return begin(self.members[u], self.sessions[u], vector, os.urandom)

    def answer(self, u: int, stage: int, request: bytes) -> bytes:
        """Stage 1 to 4 of one client."""
        call = Call(stage, request, os.urandom, lambda: None)
        return answer(self.members[u], self.sessions[u], call)


def forget_checks() -> None:
    """Empty the caches of what was verified and encoded, which the clients of one process share."""
    for cached in (keys._verify, participant._gather, participant._signers):
        cached.cache_clear()
