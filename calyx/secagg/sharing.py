"""Shares of a client's two secrets, each pair sealed for one other client. `calyx-secagg/1` §4, stage 1.

Source: Bonawitz et al. 2017, fig. 4, round 1. A channel is the prk of X25519(c_u, c_v).
"""

from collections.abc import Iterable, Mapping

from calyx.secagg.encoding import enc
from calyx.secagg.keys import KEY_BYTES, TAG_BYTES, Agreement, pair_of, seal, share_key, unseal
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.session import Session
from calyx.secagg.shamir import SHARE_BYTES, Entropy, P, deal

SEALED_BYTES = 2 * SHARE_BYTES + TAG_BYTES
SHARE_KEY, MASK_KEY = slice(0, KEY_BYTES), slice(KEY_BYTES, 2 * KEY_BYTES)  # in an advertisement


def deal_shares(session: Session, entropy: Entropy) -> dict[int, bytes]:
    """For each other member of U0 its shares of b and of s_sk, 66 bytes; the own b-share is kept."""
    u = session.u
    others = [v for v in session.members if v != u]
    t = session.rules.threshold(len(session.members))
    seeds = _deal(session.seed, t, [u, *others], entropy)
    # Where t = n nobody may be missing from a sum, so that no share of s_sk is ever asked for.
    keys = _deal(session.mask_private, min(t, len(others)), others, entropy)
    session.own_share = seeds[u]
    return {v: seeds[v] + keys[v] for v in others}


def seal_shares(session: Session, dealt: Mapping[int, bytes]) -> dict[int, bytes]:
    """For each receiver its one ciphertext, 82 bytes; channels are kept for what comes back.

    Raises Refusal for a public key that agrees on nothing.
    """
    session.channels = agree_with(session, session.share_private, SHARE_KEY, dealt)
    sealed = {}
    for v, both in dealt.items():
        key, bound = _bound_key(session, session.u, v)
        sealed[v] = seal(key, both, bound)
    return sealed


def open_shares(session: Session, sender: int, sealed: bytes) -> bytes:
    """Both shares that `sender` dealt to this client, 66 bytes. Raises Refusal, accusing the sender."""
    key, bound = _bound_key(session, sender, session.u)
    both = unseal(key, sealed, bound)
    if both is None or len(both) != 2 * SHARE_BYTES:
        raise Refusal(
            RefusalCode.SEALED_SHARE, f"The shares from client {sender} do not open.", sender
        )
    for share in (both[:SHARE_BYTES], both[SHARE_BYTES:]):
        if int.from_bytes(share, "little") >= P:
            raise Refusal(
                RefusalCode.SHARE_RANGE, f"A share from client {sender} is too large.", sender
            )
    return both


def agree_with(
    session: Session, private: bytes, which: slice, others: Iterable[int]
) -> dict[int, bytes]:
    """prk with each other client's c_pub or s_pub (`which` = SHARE_KEY or MASK_KEY). Raises Refusal."""
    agreement, agreed = Agreement(private, session.ctx), {}
    for v in others:
        try:
            agreed[v] = agreement.with_public(session.advertisements[v][which])
        except ValueError:
            raise Refusal(
                RefusalCode.REPEATED_KEY, f"Client {v} has a key that agrees on nothing.", v
            ) from None
    return agreed


def _deal(secret: bytes, t: int, holders: list[int], entropy: Entropy) -> dict[int, bytes]:
    points = [v + 1 for v in holders]
    shares = deal(int.from_bytes(secret, "little"), t, points, entropy)
    encoded = [share.to_bytes(SHARE_BYTES, "little") for share in shares]
    return dict(zip(holders, encoded, strict=True))


def _bound_key(session: Session, sender: int, receiver: int) -> tuple[bytes, bytes]:
    """Key and bound data of the one ciphertext from `sender` to `receiver`."""
    other = receiver if sender == session.u else sender
    publics = {v: session.advertisements[v][SHARE_KEY] for v in (sender, receiver)}
    pair = pair_of((sender, publics[sender]), (receiver, publics[receiver]), session.root)
    bound = enc(session.ctx, session.root, sender, receiver)
    return share_key(session.channels[other], pair, sender, receiver), bound
