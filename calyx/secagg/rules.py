"""How large a sum must be, and what all clients of it must agree on. `calyx-secagg/1` §3 and §4.

C is the number of roster members that may collude with the server; n = |U0| of a group.
"""

from dataclasses import astuple, dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Literal

from calyx.secagg.encoding import SUITE, hash_of

Sampling = Literal["adversarial", "trusted"]
MAX_GROUP = 512  # a larger cohort uses groups
_NEGLIGIBLE = Fraction(1, 2**40)


@dataclass(frozen=True)
class Rules:
    """What a sum obeys; each client's policy bounds every field. Order and types are hashed."""

    n_min: int  # clients in a sum at least
    h_min: int  # honest clients in a sum at least, beside C colluders
    colluders: int  # C, of one group
    n_max: int  # clients in a sum at most
    modulus_bits: int  # M
    bits: int  # b
    length: int  # d, elements of the vector
    layout: bytes  # SHA-256 over names, shapes and ranges
    clip: float
    mask_key_bytes: int  # L of the mask's PRG: 16 or 32
    w_max: int
    groups: int

    @property
    def digest(self) -> bytes:
        """H("rules", every field), 32 bytes."""
        return hash_of("rules", *[repr(field) for field in astuple(self)])

    def threshold(self, n: int) -> int:
        """t, shares that rebuild a secret; the same number as the quorum."""
        return quorum(n, self.colluders)

    def smallest_sum(self, n: int) -> int:
        """The least |U2| of a group of n: max(Q, n_min, C + h_min)."""
        return max(quorum(n, self.colluders), self.n_min, self.colluders + self.h_min)

    def abandon_quorum(self, n: int) -> int:
        """Signatures that prove an old sum can never open: n − t + 1 + C (§5)."""
        return n - self.threshold(n) + 1 + self.colluders


@dataclass(frozen=True)
class Subject:
    """What a context is about: everything in H("ctx", …) but the rules and the roster."""

    task: str
    run: str
    kind: str
    round: int
    attempt: int
    group: int
    order: bytes  # SHA-256 of the order


def context(subject: Subject, roster: bytes, rules: Rules) -> bytes:
    """ctx = H("ctx", suite, task, run, kind, round, attempt, group, roster, rules, order) (§3)."""
    s = subject
    head = (SUITE, s.task, s.run, s.kind, s.round, s.attempt, s.group)
    return hash_of("ctx", *head, roster, rules.digest, s.order)


def quorum(n: int, colluders: int) -> int:
    """t = Q = ⌊(n + C)/2⌋ + 1: two sets would need 2Q > n + C signatures."""
    return (n + colluders) // 2 + 1


def default_colluders(roster: int) -> int:
    """max(1, ⌈|roster|/10⌉)."""
    return max(1, -(-roster // 10))


def smallest_group(n_min: int, h_min: int, colluders: int) -> int:
    """The least n of which a sum is possible at all: n ≥ max(Q, n_min, C + h_min)."""
    n = max(n_min, colluders + h_min, 1)
    while n < quorum(n, colluders):
        n += 1
    return n


def group_colluders(roster: int, colluders: int, group: int, sampling: Sampling) -> int:
    """C of one group of `group` out of `roster` clients, of which `colluders` collude.

    adversarial: the server may put all of them into one group. trusted: groups are drawn at
    random; the least c that more colluders than c exceed with a probability of at most 2^-40.
    """
    if sampling == "adversarial":
        return min(colluders, group)
    return _hypergeometric_bound(roster, min(colluders, roster), min(group, roster))


@lru_cache(maxsize=256)
def _hypergeometric_bound(roster: int, colluders: int, group: int) -> int:
    total, tail, least = comb(roster, group), 0, min(colluders, group)
    while least > 0:
        tail += comb(colluders, least) * comb(roster - colluders, group - least)
        if Fraction(tail, total) > _NEGLIGIBLE:
            return least
        least -= 1
    return 0
