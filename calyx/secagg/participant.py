"""A client's half of the protocol: five stages over plain bytes. `calyx-secagg/1` §4 to §6.

Sources: Bonawitz et al. 2017, fig. 4 (rounds 0 to 4 with the consistency check). Each function is
one stage; `answer` is the guard that lets each happen once, in order. No Flower, no clock, no
global randomness: what is secret comes from `entropy`, and nothing here says when it is late.
See docs/decisions/0011.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar

from calyx.secagg import advertisement
from calyx.secagg.advertisement import Gathering
from calyx.secagg.encoding import rows_from_bytes, rows_to_bytes, set_hash
from calyx.secagg.keys import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Identity,
    expand,
    mask_key,
    public_of,
    self_mask_key,
    verify,
)
from calyx.secagg.masking import Mask, apply_masks
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from calyx.secagg.rules import MAX_GROUP
from calyx.secagg.session import Session
from calyx.secagg.shamir import SHARE_BYTES, Entropy
from calyx.secagg.sharing import SEALED_BYTES, agree_with, deal_shares, open_shares, seal_shares
from calyx.vector.quantise import Residues, pack, unpack

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """Who this client is, the same in every context: its index, its Ed25519 key, its pinned roster."""

    u: int
    identity: bytes = field(repr=False)
    roster: Roster = field(repr=False)

    @property
    def owns_its_key(self) -> bool:
        """Whether the roster holds the public half of this identity at this index."""
        return self.signer.public == self.roster.key(self.u)

    @cached_property
    def signer(self) -> Identity:
        """Its identity, read once."""
        return Identity(self.identity)


@dataclass(frozen=True)
class Call:
    """One request of a stage, and what the machine around it lends to it."""

    stage: int  # 1 … 4
    body: bytes
    entropy: Entropy
    commit: Callable[[], None]  # makes the tombstone durable; may raise Refusal


def begin(member: Member, session: Session, vector: Residues, entropy: Entropy) -> bytes:
    """Stage 0: draw this context's keys and say their public halves; `vector` [D] is kept.

    Fig. 4, round 0; the commitment to b is ours, so that a wrong share can be told from a right one.
    """
    session.share_private, session.mask_private = entropy(KEY_BYTES), entropy(KEY_BYTES)
    session.seed = entropy(KEY_BYTES)
    session.vector = pack(vector, session.rules.modulus_bits)
    commitment = advertisement.commit(session.ctx, session.seed)
    body = public_of(session.share_private) + public_of(session.mask_private) + commitment
    own = advertisement.make(member.signer, session.ctx, session.u, body)
    session.advertisement = own.to_bytes()
    return session.advertisement


def answer(member: Member, session: Session, call: Call) -> bytes:
    """The reply to a stage's request. Raises Refusal, after which the context is dead.

    A stage happens once: the same bytes again get the stored answer, anything else is refused (§5).
    """
    digest = hashlib.sha256(call.body).digest()
    if session.last_request == digest and call.stage == session.stage - 1:
        return session.last_reply
    try:
        if call.stage != session.stage or call.stage not in _STAGES:
            raise Refusal(
                RefusalCode.WRONG_STAGE,
                f"A request of stage {call.stage} came, and stage {session.stage} is next.",
            )
        reply = _STAGES[call.stage](member, session, call)
    except BaseException:  # a tombstone that cannot be written ends the context as a refusal does
        session.erase()
        raise
    session.stage += 1
    session.last_request, session.last_reply = digest, reply
    return reply


def abandon(member: Member, session: Session) -> bytes:
    """Give a sum up: erase every share, then sign that it is done (§5).

    Raises Refusal where shares were revealed, or where nothing was ever shared.
    """
    if session.has_revealed:
        raise Refusal(RefusalCode.REVEALED, "Its shares of this sum were already revealed.")
    session.erase()
    if not session.root:
        raise Refusal(RefusalCode.WRONG_STAGE, "There is no sum to abandon: nothing was shared.")
    return member.signer.sign("abandon", session.ctx, session.root)


def _share(member: Member, session: Session, call: Call) -> bytes:
    """Stage 1: check U0, then deal b and s_sk to it (fig. 4, round 1)."""
    gathering = _check_cohort(member, session, call.body)
    session.members, session.root = tuple(gathering.advertised), gathering.root
    session.gathered = call.body
    sealed = seal_shares(session, gathering, deal_shares(session, call.entropy))
    session.share_private = b""
    return rows_to_bytes(sealed.items())


def _check_cohort(member: Member, session: Session, body: bytes) -> Gathering:
    rows = _rows(lambda: advertisement.rows_of(body), RefusalCode.UNKNOWN_CLIENT)
    if rows.get(session.u) != session.advertisement:
        raise Refusal(
            RefusalCode.OWN_ADVERTISEMENT, "Its own advertisement is missing or was altered."
        )
    gathering = _gather(body, session.ctx, session.group, member.roster)
    n, rules = gathering.n, session.rules
    if n < rules.smallest_sum(n):
        raise Refusal(
            RefusalCode.TOO_FEW_CLIENTS, f"{n} clients are fewer than {rules.smallest_sum(n)}."
        )
    if n > min(rules.n_max, MAX_GROUP):
        raise Refusal(RefusalCode.TOO_MANY_CLIENTS, f"{n} clients are more than {rules.n_max}.")
    return gathering


@lru_cache(maxsize=8)  # it is asked for at two stages, and by all clients of a process
def _gather(body: bytes, ctx: bytes, group: tuple[int, ...], roster: Roster) -> Gathering:
    """U0 of stage 1's request: of this group, signed, each key used once. Raises Refusal."""
    advertised, may_be = {}, set(group)
    for v, data in sorted(advertisement.rows_of(body).items()):
        if v not in may_be:
            raise Refusal(RefusalCode.UNKNOWN_CLIENT, f"Client {v} is not of this group.", v)
        read = advertisement.read(data, ctx, v, roster.key(v))
        if read is None:
            raise Refusal(
                RefusalCode.BAD_SIGNATURE,
                f"The advertisement of client {v} is not signed by it.",
                v,
            )
        advertised[v] = read
    if advertisement.has_repeats(advertised):
        raise Refusal(RefusalCode.REPEATED_KEY, "Two advertisements share a key.")
    return Gathering(ctx, advertised)


def _mask(member: Member, session: Session, call: Call) -> bytes:
    """Stage 2: open every share now, make the tombstone, mask, forget (fig. 4, round 2)."""
    rows = dict(_rows(lambda: rows_from_bytes(call.body, SEALED_BYTES), RefusalCode.BAD_INBOX))
    gathering = _gather(session.gathered, session.ctx, session.group, member.roster)
    for v, sealed in rows.items():
        if v == session.u or v not in gathering.advertised:
            raise Refusal(
                RefusalCode.BAD_INBOX, f"The inbox holds shares of {v}, which is no peer."
            )
        session.held[v] = open_shares(session, gathering, v, sealed)
    least = session.rules.smallest_sum(len(session.members))
    if len(rows) + 1 < least:
        raise Refusal(
            RefusalCode.TOO_FEW_SHARES,
            f"{len(rows)} clients have shared; with itself at least {least} are needed.",
        )
    bits, masks = session.rules.modulus_bits, _masks(session, gathering)
    call.commit()
    masked = apply_masks(unpack(session.vector, bits), masks, bits)
    y = pack(masked, bits)
    session.mask_private = session.seed = session.vector = b""
    session.channels, session.advertisement, session.gathered = {}, b"", b""
    digest = hashlib.sha256(y).digest()
    return y + member.signer.sign("y", session.ctx, session.root, session.u, digest)


def _masks(session: Session, gathering: Gathering) -> list[Mask]:
    """PRG(b_u), and PRG(s_uv) of each peer, added where u < v (Bonawitz et al. 2017, §4.1)."""
    u, length = session.u, session.rules.mask_key_bytes
    prk, info = self_mask_key(session.seed, session.ctx, u, session.root)
    masks = [Mask(expand(prk, info, length), is_added=True)]
    publics = {v: adv.mask_public for v, adv in gathering.advertised.items()}
    agreed = agree_with(session, session.mask_private, publics, session.held)
    for v, prk in agreed.items():
        key = mask_key(prk, gathering.mask_pairs.of(u, v), length)
        masks.append(Mask(key, is_added=u < v))
    return masks


def _consent(member: Member, session: Session, call: Call) -> bytes:
    """Stage 3: look at U2 and sign it, once (fig. 4, round 3)."""
    rows = _rows(lambda: rows_from_bytes(call.body, 0), RefusalCode.UNKNOWN_CLIENT)
    summed = {v for v, _ in rows}
    if session.u not in summed:
        raise Refusal(RefusalCode.NOT_IN_SUM, "This client's own vector is not in the sum.")
    strangers = summed - {session.u} - session.held.keys()
    if strangers:
        raise Refusal(
            RefusalCode.SUM_OUTSIDE_INBOX,
            f"The sum holds client {min(strangers)}, from which no shares came.",
        )
    least = session.rules.smallest_sum(len(session.members))
    if len(summed) < least:
        raise Refusal(
            RefusalCode.SUM_TOO_SMALL, f"The sum is over {len(summed)} clients, not {least}."
        )
    session.signed_sum = tuple(sorted(summed))
    return member.signer.sign("u2", session.ctx, session.root, set_hash(summed))


def _reveal(member: Member, session: Session, call: Call) -> bytes:
    """Stage 4: with Q signatures on that U2, reveal one secret of each client, never both."""
    agreed, body = call.body[:KEY_BYTES], call.body[KEY_BYTES:]
    if agreed != set_hash(session.signed_sum):
        raise Refusal(RefusalCode.SUM_CHANGED, "The sum is not the one that this client signed.")
    signed = _rows(
        lambda: _signers(body, session.ctx, session.root, session.signed_sum, roster=member.roster),
        RefusalCode.TOO_FEW_SIGNATURES,
    )
    needed = session.rules.threshold(len(session.members))
    if len(signed) < needed:
        raise Refusal(
            RefusalCode.TOO_FEW_SIGNATURES, f"{len(signed)} clients signed the sum, not {needed}."
        )
    shares = {session.u: session.own_share} | {
        v: both[:SHARE_BYTES] if v in session.signed_sum else both[SHARE_BYTES:]
        for v, both in session.held.items()
    }
    session.has_revealed = True
    session.erase()
    session.stage = 4  # `answer` counts on
    return rows_to_bytes(sorted(shares.items()))


@lru_cache(maxsize=8)  # by all clients of a process
def _signers(
    table: bytes, ctx: bytes, root: bytes, summed: tuple[int, ...], *, roster: Roster
) -> frozenset[int]:
    """Distinct members of U2 of which `table` holds a signature on it. Raises ValueError."""
    agreed = set_hash(summed)
    return frozenset(
        v
        for v, signature in rows_from_bytes(table, SIGNATURE_BYTES)
        if v in summed and verify(roster.key(v), signature, "u2", ctx, root, agreed)
    )


_STAGES: Mapping[int, Callable[[Member, Session, Call], bytes]] = {
    1: _share,
    2: _mask,
    3: _consent,
    4: _reveal,
}


def _rows(read: Callable[[], T], code: RefusalCode) -> T:
    try:
        return read()
    except ValueError as error:
        raise Refusal(code, f"The request is malformed: {error}.") from None
