"""Published vectors, and a whole transcript that a second implementation gives too (§8, group 7)."""

import hashlib
import json
import random
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from support import reference
from support.protocol import rules, takes_of

from calyx.secagg import keys, masking
from calyx.secagg.aggregator import Aggregator
from calyx.secagg.masking import Mask, apply_masks
from calyx.secagg.participant import Call, Member, answer, begin
from calyx.secagg.roster import make_roster
from calyx.secagg.rules import Subject, context
from calyx.secagg.session import Session
from calyx.secagg.shamir import combine, deal

h = bytes.fromhex
TRANSCRIPT = Path(__file__).with_name("transcript.json")


def test_hkdf_rfc_5869_case_1():
    prk = keys.extract(h("000102030405060708090a0b0c"), h("0b" * 22))
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert keys.expand(prk, h("f0f1f2f3f4f5f6f7f8f9"), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_hkdf_rfc_5869_case_2():
    prk = keys.extract(bytes(range(0x60, 0xB0)), bytes(range(0x50)))
    assert prk.hex() == "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"
    assert keys.expand(prk, bytes(range(0xB0, 0x100)), 82).hex() == (
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41"
        "c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )


def test_hkdf_rfc_5869_case_3():
    prk = keys.extract(b"", h("0b" * 22))
    assert prk.hex() == "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"
    assert keys.expand(prk, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


ALICE = h("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
BOB = h("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
AGREED = h("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def test_x25519_rfc_7748_section_6_1():
    alice, bob = keys.public_of(ALICE), keys.public_of(BOB)
    assert alice.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    expected = keys.extract(b"ctx", AGREED)
    assert keys.Agreement(ALICE, alice, b"ctx").with_public(bob) == expected
    assert keys.Agreement(BOB, bob, b"ctx").with_public(alice) == expected
    assert reference.x25519(ALICE, bob) == AGREED


def test_ed25519_rfc_8032_test_1():
    private = h("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert keys.identity_of(private).hex() == public
    signature = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert reference.ed_sign(private, b"").hex() == signature
    assert keys._verify(h(public), h(signature), b"")
    assert not keys._verify(h(public), h(signature), b"\0")
    # The product signs an `enc`; the reference, which gives the vector above, agrees on it.
    assert keys.sign(private, "tag", b"x", 7) == reference.sign(private, "tag", b"x", 7)


def test_aes_ctr_sp_800_38a_f_5_1():
    key, counter = h("2b7e151628aed2a6abf7158809cf4f3c"), h("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    block = encryptor.update(h("6bc1bee22e409f96e93d7e117393172a"))
    assert block.hex() == "874d6191b620e3261bef6864990db6ce"


@pytest.mark.parametrize("mode", masking.MODES, ids=["CTR", "GCM"])
@pytest.mark.parametrize("key", [bytes(range(16)), bytes(range(32))])
@pytest.mark.parametrize("elements", [1, 5, 2**15 - 1, 2**15, 2**16 + 3])
def test_a_masks_stream_is_aes_ctr_from_block_two(key, elements, mode, monkeypatch):
    """Whichever mode this machine finds the faster one."""
    monkeypatch.setattr(masking, "fastest_mode", lambda: mode)
    stream = apply_masks(np.zeros(elements, dtype=np.uint32), [Mask(key, is_added=True)], 32)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(15) + b"\2")).encryptor()
    assert stream.astype("<u4").tobytes() == encryptor.update(bytes(4 * elements))


def test_a_masks_stream_is_test_case_2_of_gcms_specification():
    """McGrew and Viega: the ciphertext of a block of zeros, under a zero key and a zero nonce."""
    stream = apply_masks(np.zeros(4, dtype=np.uint32), [Mask(bytes(16), is_added=True)], 32)
    assert stream.astype("<u4").tobytes().hex() == "0388dace60b6a392f328c2b971b2fe78"


def test_a_mask_of_16_bits_takes_two_bytes_an_element():
    mask = Mask(bytes(16), is_added=True)
    stream = apply_masks(np.zeros(9, dtype=np.uint32), [mask], 16)
    assert stream.astype("<u2").tobytes() == reference.ctr(bytes(16), 18)


def test_shamir_with_fixed_coefficients():
    # f(x) = 5 + 7x + 2x², by hand.
    drawn = (7).to_bytes(48, "little") + (2).to_bytes(48, "little")
    shares = deal(5, 3, [1, 2, 3, 10], lambda _: drawn)
    assert shares == [14, 27, 44, 275]
    assert combine({2: 27, 3: 44, 10: 275}, 3) == 5


class Drawn:
    """A client's secret bytes in the order in which the protocol draws them, kept for the reference."""

    def __init__(self, u):
        self.source, self.parts = random.Random(f"transcript {u}"), []

    def __call__(self, count):
        self.parts.append(self.source.randbytes(count))
        return self.parts[-1]


def played(bits):
    """The product's transcript of five clients, of which client 3 is silent from stage 2 on."""
    private = [hashlib.sha256(b"identity %d" % u).digest() for u in range(5)]
    public = {f"client-{u}": keys.identity_of(key) for u, key in enumerate(private)}
    roster = make_roster(public, 1, hashlib.sha256(b"consortium").digest())
    agreed = rules(7, modulus_bits=bits, n_min=3, h_min=2)
    ctx = context(Subject("digits", "run", "train", 3, 1, 0, bytes(32)), roster.digest, agreed)
    server = Aggregator(ctx, agreed, roster, tuple(range(5)))
    drawn = [Drawn(u) for u in range(5)]
    sessions = [Session(ctx, u, agreed, tuple(range(5))) for u in range(5)]
    members = [Member(u, private[u], roster) for u in range(5)]
    vectors = [[(u + 1) * (i + 1) * 3001 % 2**bits for i in range(7)] for u in range(5)]
    stages = []
    replies = {
        u: begin(members[u], sessions[u], np.array(vectors[u], dtype=np.uint32), drawn[u])
        for u in range(5)
    }
    for stage, take in enumerate(takes_of(server)[:4], start=1):
        stages.append({str(u): reply.hex() for u, reply in replies.items()})
        requests = {u: body for u, body in take(replies).items() if u != 3 or stage < 2}
        replies = {
            u: answer(members[u], sessions[u], Call(stage, body, drawn[u], lambda: None))
            for u, body in requests.items()
        }
    stages.append({str(u): reply.hex() for u, reply in replies.items()})
    return {
        "bits": bits,
        "roster": roster.digest.hex(),
        "rules": [f.hex() if isinstance(f, bytes) else f for f in astuple(agreed)],
        "ctx": ctx.hex(),
        "identities": [key.hex() for key in private],
        "drawn": [[part.hex() for part in d.parts] for d in drawn],
        "vectors": vectors,
        "stages": stages,
        "sum": server.take_reveals(replies).tolist(),
    }


def retold(told):
    """The reference's messages from a transcript's keys, secrets and vectors, and its sum."""
    bits, ctx = told["bits"], h(told["ctx"])
    clients = [
        reference.Client(u, h(key), [h(part) for part in told["drawn"][u]])
        for u, key in enumerate(told["identities"])
    ]
    stages = [{c.u: c.advertise(ctx) for c in clients}]
    advertised = dict(stages[0])
    t = (5 + 1) // 2 + 1
    stages.append({c.u: c.share(advertised, t) for c in clients})
    sealed = {c.u: dict(rows_of(stages[1][c.u], 82)) for c in clients}
    alive = [c for c in clients if c.u != 3]
    width = bits // 8
    masked = {}
    for c in alive:
        inbox = {v: sealed[v][c.u] for v in sealed if v != c.u}
        masked[c.u] = c.mask(inbox, told["vectors"][c.u], width, 16)
    stages.append(masked)
    summed = sorted(masked)
    stages.append({c.u: c.consent(summed) for c in alive})
    stages.append({c.u: c.reveal(summed) for c in alive})
    return stages, [sum(told["vectors"][u][i] for u in summed) % 2**bits for i in range(7)]


def rows_of(data, width):
    step = 4 + width
    return [
        (int.from_bytes(data[at : at + 4], "little"), data[at + 4 : at + step])
        for at in range(0, len(data), step)
    ]


@pytest.fixture(scope="module")
def transcripts():
    return {told["bits"]: told for told in json.loads(TRANSCRIPT.read_text())}


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_the_product_plays_the_transcript_to_the_byte(transcripts, bits):
    assert played(bits) == transcripts[bits]


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_the_reference_retells_the_transcript_to_the_byte(transcripts, bits):
    told = transcripts[bits]
    fields = [h(f) if isinstance(f, str) else f for f in told["rules"]]
    rules_hash = reference.h("rules", *[repr(field) for field in fields])
    subject = ("digits", "run", "train", 3, 1, 0)
    expected = reference.h(
        "ctx", reference.SUITE, *subject, h(told["roster"]), rules_hash, bytes(32)
    )
    assert told["ctx"] == expected.hex()
    stages, total = retold(told)
    for found, written in zip(stages, told["stages"], strict=True):
        assert {str(u): message.hex() for u, message in found.items()} == written
    assert total == told["sum"]
    # The revealed shares of client 3's key rebuild it; those of the others' b rebuild these.
    revealed = {u: dict(rows_of(stages[4][u], 33)) for u in stages[4]}
    for v, secret in ((3, told["drawn"][3][1]), (0, told["drawn"][0][2])):
        points = {u + 1: int.from_bytes(revealed[u][v], "little") for u in revealed}
        assert reference.rebuild(points).hex() == secret
