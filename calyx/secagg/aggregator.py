"""The server's half of the protocol for one group: five stages over plain bytes. `calyx-secagg/1` §4.

Sources: Bonawitz et al. 2017, fig. 4 (server). It checks what clients send, so that one of them
cannot spoil the sum of the others unnoticed; that it does so is nothing that a client relies on.
It never holds both secrets of a client. No Flower, no clock, no randomness.

Each `take_…` reads the replies of a stage (u → bytes) and returns the next stage's requests.
See docs/decisions/0013.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from calyx.secagg import advertisement
from calyx.secagg.encoding import enc, rows_from_bytes, rows_to_bytes, set_hash, split
from calyx.secagg.keys import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Agreement,
    Pairs,
    expand,
    mask_key,
    public_of,
    self_mask_key,
    verify,
)
from calyx.secagg.masking import Mask, apply_masks
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Rules
from calyx.secagg.shamir import SHARE_BYTES, combine, decode
from calyx.secagg.sharing import SEALED_BYTES
from calyx.vector.quantise import Residues, pack, unpack

STAGES = ("advertise", "share", "masked input", "consistency", "reveal")
Bodies = Mapping[int, bytes]  # client index → what it sent, or what is sent to it


class GroupFailed(Exception):
    """The group's sum cannot be had; `stage` is where it failed."""

    def __init__(self, stage: int, sentence: str) -> None:
        super().__init__(f"stage {stage} ({STAGES[stage]}): {sentence}")
        self.stage = stage


@dataclass(frozen=True)
class Blame:
    """A share that fits its dealer's commitment no more than its holder's word: one of the two lied."""

    dealer: int
    holder: int


class Aggregator:
    """One context of one group. `dropped` says, of those who sent unsound things, what was wrong."""

    def __init__(self, ctx: bytes, rules: Rules, roster: Roster, group: tuple[int, ...]) -> None:
        self.ctx, self.rules, self.roster, self.group = ctx, rules, roster, group
        self.root = b""
        self.advertised: dict[int, advertisement.Advertisement] = {}  # U0
        self.shared: tuple[int, ...] = ()  # U1
        self.summed: tuple[int, ...] = ()  # U2
        self.dropped: dict[int, str] = {}
        self.blames: list[Blame] = []
        self._total: Residues | None = None

    @property
    def n(self) -> int:
        """|U0|."""
        return len(self.advertised)

    def take_advertisements(self, replies: Bodies) -> dict[int, bytes]:
        """Verify each before it is forwarded, fix U0; stage 1's requests, the same for all."""
        advertised = {}
        for u, data in _of(self.group, replies):
            read = advertisement.read(data, self.ctx, u, self.roster.key(u))
            if read is None:
                self.dropped[u] = "its advertisement is malformed or not signed by it"
            else:
                advertised[u] = read
        for u in _sharing_keys(advertised):
            self.dropped[u] = "it advertised a key that is not its alone"
            del advertised[u]
        self.advertised = advertised
        self._demand(0, len(advertised))
        self.root = advertisement.root_of(self.ctx, advertised)
        return dict.fromkeys(advertised, advertisement.to_rows(advertised))

    def take_shares(self, replies: Bodies) -> dict[int, bytes]:
        """Fix U1: who sent one ciphertext to each other; stage 2's requests, an inbox each."""
        sent: dict[int, dict[int, bytes]] = {}
        for u, data in _of(self.advertised, replies):
            rows = _table(data, SEALED_BYTES)
            if rows is None or set(rows) != self.advertised.keys() - {u}:
                self.dropped[u] = "it did not send one sealed share to each other client"
            else:
                sent[u] = rows
        self.shared = tuple(sent)
        self._demand(1, len(sent))
        return {v: rows_to_bytes((u, rows[v]) for u, rows in sent.items() if u != v) for v in sent}

    def take_vectors(self, replies: Bodies) -> dict[int, bytes]:
        """Fix U2 and add its masked vectors up; stage 3's requests, the same for all."""
        size = self.rules.length * self.rules.modulus_bits // 8
        total = np.zeros(self.rules.length, dtype=np.uint32)
        summed = []
        for u, data in _of(self.shared, replies):
            y, signature = memoryview(data)[:size], data[size:]  # a copy would cost as an addition
            digest = hashlib.sha256(y).digest()
            if len(data) != size + SIGNATURE_BYTES or not verify(
                self.roster.key(u), signature, "y", self.ctx, self.root, u, digest
            ):
                self.dropped[u] = "its masked vector has a wrong length or is not signed by it"
                continue
            np.add(total, unpack(y, self.rules.modulus_bits), out=total)
            summed.append(u)
        self.summed, self._total = tuple(summed), total
        self._demand(2, len(summed))
        return dict.fromkeys(summed, rows_to_bytes((u, b"") for u in summed))

    def take_consents(self, replies: Bodies) -> dict[int, bytes]:
        """Gather Q signatures on U2; stage 4's requests to those who signed."""
        agreed, signed = set_hash(self.summed), []
        for u, signature in _of(self.summed, replies):
            if verify(self.roster.key(u), signature, "u2", self.ctx, self.root, agreed):
                signed.append((u, signature))
            else:
                self.dropped[u] = "it did not sign the sum"
        needed = self.rules.threshold(self.n)
        if len(signed) < needed:
            raise GroupFailed(3, f"{len(signed)} clients signed the sum, and {needed} must")
        request = agreed + rows_to_bytes(signed[:needed])
        return {u: request for u, _ in signed}

    def take_reveals(self, replies: Bodies) -> Residues:
        """Rebuild one secret of each client, take the masks off: the sum [D] over U2, modulo 2^M."""
        held: dict[int, dict[int, bytes]] = {}
        for u, data in _of(self.summed, replies):
            rows = _table(data, SHARE_BYTES)
            if rows is None or set(rows) != set(self.shared):
                self.dropped[u] = "it did not reveal one share of each client"
            else:
                held[u] = rows
        t = self.rules.threshold(self.n)
        if len(held) < t:
            raise GroupFailed(4, f"{len(held)} clients revealed their shares, and {t} must")
        publics = {u: adv.mask_public for u, adv in self.advertised.items()}
        pairs = Pairs(publics, self.root)
        masks = [mask for v in self.shared for mask in self._masks_of(v, held, pairs)]
        if self._total is None:
            raise RuntimeError("no vectors were taken")
        return apply_masks(self._total, masks, self.rules.modulus_bits)

    def to_bytes(self) -> bytes:
        """What stage 4 needs, for a server that is started again: nothing but masked or public."""
        total = b"" if self._total is None else pack(self._total, self.rules.modulus_bits)
        sets = (self.group, self.shared, self.summed)
        rows = advertisement.to_rows(self.advertised)
        return enc(self.ctx, rows, *[enc(*members) for members in sets], total)

    def _demand(self, stage: int, count: int) -> None:
        needed = self.rules.smallest_sum(self.n)
        if count < needed:
            raise GroupFailed(stage, f"{count} clients are left, and {needed} are needed")

    def _masks_of(self, v: int, held: dict[int, dict[int, bytes]], pairs: Pairs) -> list[Mask]:
        """What undoes the masks that client `v` left in the sum."""
        length = self.rules.mask_key_bytes
        secret = self._secret(v, {u: rows[v] for u, rows in held.items()})
        if v in self.summed:
            prk, info = self_mask_key(secret, self.ctx, v, self.root)
            return [Mask(expand(prk, info, length), is_added=False)]
        agreement = Agreement(secret, self.advertised[v].mask_public, self.ctx)
        undoing = []
        for u in self.summed:
            prk = agreement.with_public(self.advertised[u].mask_public)
            key = mask_key(prk, pairs.of(u, v), length)
            undoing.append(Mask(key, is_added=v < u))  # `u` added it where u < v
        return undoing

    def _secret(self, v: int, shares: dict[int, bytes]) -> bytes:
        """b of a client in the sum, s_sk of another, checked against what it advertised."""
        t = self.rules.threshold(self.n)
        points = {u + 1: int.from_bytes(share, "little") for u, share in shares.items()}
        candidate = _key_bytes(combine(points, t))
        if self._fits(v, candidate):
            return candidate
        decoded = decode(points, t)
        if decoded is not None:
            secret, wrong = decoded
            if self._fits(v, _key_bytes(secret)):
                self.blames += [Blame(v, x - 1) for x in sorted(wrong)]
                return _key_bytes(secret)
        raise GroupFailed(4, f"the shares of {self.roster.name(v)}'s secret do not fit it")

    def _fits(self, v: int, secret: bytes) -> bool:
        if len(secret) != KEY_BYTES:
            return False
        if v in self.summed:
            return advertisement.commit(self.ctx, secret) == self.advertised[v].commitment
        return public_of(secret) == self.advertised[v].mask_public


def from_bytes(data: bytes, rules: Rules, roster: Roster) -> Aggregator:
    """The aggregator of `to_bytes`, from this server's own disk. Raises ValueError."""
    ctx, rows, group, shared, summed, total = split(data)
    aggregator = Aggregator(ctx, rules, roster, _members(group))
    for u, signed in advertisement.rows_of(rows).items():
        read = advertisement.read(signed, ctx, u, roster.key(u))
        if read is None:
            raise ValueError(f"the advertisement of {roster.name(u)} is not signed by it")
        aggregator.advertised[u] = read
    aggregator.root = advertisement.root_of(ctx, aggregator.advertised)
    aggregator.shared, aggregator.summed = _members(shared), _members(summed)
    aggregator._total = unpack(total, rules.modulus_bits)
    if len(aggregator._total) != rules.length:
        raise ValueError("its vector has another length")
    return aggregator


def _members(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(u, "little") for u in split(data))


def named_liars(blames: list[Blame], colluders: int) -> dict[int, int]:
    """Who is blamed together with more than C others, and with how many.

    While no more than ⌊(r − t)/2⌋ lie, each pair has a liar in it, so that an honest client is in
    pairs with at most C others.
    """
    others: dict[int, set[int]] = {}
    for blame in blames:
        others.setdefault(blame.dealer, set()).add(blame.holder)
        others.setdefault(blame.holder, set()).add(blame.dealer)
    return {u: len(found) for u, found in others.items() if len(found) > colluders}


def _of(asked: Collection[int], replies: Bodies) -> list[tuple[int, bytes]]:
    """The replies of those who were asked, ascending: who fell behind cannot come back (§5)."""
    return [(u, replies[u]) for u in sorted(asked) if u in replies]


def _key_bytes(secret: int) -> bytes:
    return secret.to_bytes(SHARE_BYTES, "little").removesuffix(b"\0")


def _table(data: bytes, width: int) -> dict[int, bytes] | None:
    try:
        return dict(rows_from_bytes(data, width))
    except ValueError:
        return None


def _sharing_keys(advertised: Mapping[int, advertisement.Advertisement]) -> list[int]:
    owners: dict[bytes, list[int]] = {}
    for u, adv in advertised.items():
        for part in (adv.share_public, adv.mask_public, adv.commitment):
            owners.setdefault(part, []).append(u)
    return sorted({u for several in owners.values() if len(several) > 1 for u in several})
