"""Shares of a client's two secrets, each pair sealed for one other client. `calyx-secagg/1` §4, stage 1.

Source: Bonawitz et al. 2017, fig. 4, round 1. A channel is the prk of X25519(c_u, c_v).
"""

from collections.abc import Iterable, Mapping

from calyx.secagg.advertisement import Gathering
from calyx.secagg.keys import TAG_BYTES, Agreement, seal, share_key, unseal
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.session import Session
from calyx.secagg.shamir import SHARE_BYTES, Entropy, P, deal

SEALED_BYTES = 2 * SHARE_BYTES + TAG_BYTES


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


def seal_shares(
    session: Session, gathering: Gathering, dealt: Mapping[int, bytes]
) -> dict[int, bytes]:
    """For each receiver its one ciphertext, 82 bytes; channels are kept for what comes back.

    Raises Refusal for a public key that agrees on nothing.
    """
    publics = {v: adv.share_public for v, adv in gathering.advertised.items()}
    session.channels = agree_with(session, session.share_private, publics, dealt)
    u, pairs, sealed = session.u, gathering.share_pairs, {}
    for v, both in dealt.items():
        direction = pairs.direction(u, v)
        key = share_key(session.channels[v], pairs.of(u, v), direction)
        sealed[v] = seal(key, both, gathering.bound + direction)
    return sealed


def open_shares(session: Session, gathering: Gathering, sender: int, sealed: bytes) -> bytes:
    """Both shares that `sender` dealt to this client, 66 bytes. Raises Refusal, accusing the sender."""
    pairs = gathering.share_pairs
    direction = pairs.direction(sender, session.u)
    key = share_key(session.channels[sender], pairs.of(sender, session.u), direction)
    both = unseal(key, sealed, gathering.bound + direction)
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
    session: Session, private: bytes, publics: Mapping[int, bytes], others: Iterable[int]
) -> dict[int, bytes]:
    """prk with each of `others`, where `publics` are c_pub or s_pub of all of U0. Raises Refusal."""
    agreement, agreed = Agreement(private, publics[session.u], session.ctx), {}
    for v in others:
        try:
            agreed[v] = agreement.with_public(publics[v])
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
