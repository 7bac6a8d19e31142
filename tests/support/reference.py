"""`calyx-secagg/1` a second time: slow, plain Python, from the protocol's text; it shares no code.

X25519 is RFC 7748's, Ed25519 RFC 8032's, HKDF RFC 5869's over `hmac`; GCM and CTR are built here
on the AES block. What the text leaves open and the product decided: integers within `enc` are u64
little-endian and text UTF-8; signatures are over enc("calyx-secagg/1/sig/" + tag, …); rules are
hashed as the `repr` of each field, in order; on the wire a row is a u32 index and its bytes;
coefficients are 48 bytes little-endian modulo p, drawn for b first, then for s_sk.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

P = 2**256 + 297
Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SUITE = "calyx-secagg/1 X25519 Ed25519 SHA-256 HKDF AES-CTR AES-256-GCM GF(2^256+297)"


def enc(*items):
    out = b""
    for item in items:
        if isinstance(item, int):
            item = struct.pack("<Q", item)
        elif isinstance(item, str):
            item = item.encode()
        out += struct.pack("<I", len(item)) + item
    return out


def h(tag, *items):
    return hashlib.sha256(enc("calyx-secagg/1/" + tag, *items)).digest()


def x25519(scalar, point):
    """RFC 7748 §5: the Montgomery ladder on u-coordinates, both 32 bytes."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k = int.from_bytes(k, "little")
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = (k >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % Q, b * b % Q, d * a % Q, c * b % Q
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % Q, u * (da - cb) ** 2 % Q
        x2, z2 = aa * bb % Q, e * (aa + 121665 * e) % Q
    if swap:
        x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, Q - 2, Q) % Q).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")


def ed_add(p, q):
    """RFC 8032 §5.1.4 in affine coordinates."""
    d = -121665 * pow(121666, -1, Q) % Q
    (x1, y1), (x2, y2) = p, q
    k = d * x1 * x2 * y1 * y2 % Q
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, Q) % Q
    return x, (y1 * y2 + x1 * x2) * pow(1 - k, -1, Q) % Q


def ed_times(k, point):
    total = (0, 1)
    while k:
        if k & 1:
            total = ed_add(total, point)
        point, k = ed_add(point, point), k >> 1
    return total


def ed_base():
    y = 4 * pow(5, -1, Q) % Q
    d = -121665 * pow(121666, -1, Q) % Q
    square = (y * y - 1) * pow(d * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if (x * x - square) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    return (x if x % 2 == 0 else Q - x), y


def ed_pack(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed_expand(private):
    digest = hashlib.sha512(private).digest()
    a = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return a, digest[32:]


def ed_public(private):
    return ed_pack(ed_times(ed_expand(private)[0], ed_base()))


def ed_sign(private, message):
    """RFC 8032 §5.1.6."""
    a, prefix = ed_expand(private)
    public = ed_public(private)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    point = ed_pack(ed_times(r, ed_base()))
    k = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % L
    return point + ((r + k * a) % L).to_bytes(32, "little")


def sign(private, tag, *items):
    return ed_sign(private, enc("calyx-secagg/1/sig/" + tag, *items))


def extract(salt, secret):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def aes(key, block):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block)


def ctr(key, length):
    """SP 800-38A CTR from the block 0¹²‖00000002."""
    blocks = (aes(key, bytes(12) + struct.pack(">I", 2 + i)) for i in range(-(-length // 16)))
    return b"".join(blocks)[:length]


def ghash(key, data):
    """SP 800-38D §6.4."""
    r, y = 0xE1 << 120, 0
    for at in range(0, len(data), 16):
        y ^= int.from_bytes(data[at : at + 16], "big")
        z, v = 0, int.from_bytes(key, "big")
        for bit in range(127, -1, -1):
            if y >> bit & 1:
                z ^= v
            v = v >> 1 ^ (r if v & 1 else 0)
        y = z
    return y.to_bytes(16, "big")


def seal(key, plain, bound):
    """AES-GCM under a zero nonce (SP 800-38D §7.1)."""
    cipher = bytes(p ^ s for p, s in zip(plain, ctr(key, len(plain)), strict=True))
    padded = bound + bytes(-len(bound) % 16) + cipher + bytes(-len(cipher) % 16)
    digest = ghash(
        aes(key, bytes(16)), padded + struct.pack(">QQ", 8 * len(bound), 8 * len(cipher))
    )
    first = aes(key, bytes(12) + b"\0\0\0\1")
    return cipher + bytes(a ^ b for a, b in zip(digest, first, strict=True))


def deal(secret, t, xs, drawn):
    coefficients = [int.from_bytes(secret, "little")] + [
        int.from_bytes(drawn[48 * i : 48 * i + 48], "little") % P for i in range(t - 1)
    ]
    return {x: sum(c * x**i for i, c in enumerate(coefficients)) % P for x in xs}


def rebuild(shares):
    total = 0
    for x, share in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight = weight * other * pow(other - x, -1, P) % P
        total += weight * share
    return (total % P).to_bytes(33, "little")[:32]


def rows(table):
    return b"".join(struct.pack("<I", u) + value for u, value in sorted(table.items()))


class Client:
    """One client; `drawn` are its secret bytes: c, s, b, coefficients of b, coefficients of s."""

    def __init__(self, u, identity, drawn):
        self.u, self.identity = u, identity
        self.c, self.s, self.b, self.for_b, self.for_s = drawn

    def advertise(self, ctx):
        self.ctx = ctx
        body = x25519(self.c, BASE) + x25519(self.s, BASE) + h("com", ctx, self.b)
        return body + sign(self.identity, "adv", ctx, self.u, body)

    def info(self, tag, v, part, *direction):
        lo, hi = sorted((self.u, v))
        keys = [self.advertised[i][part : part + 32] for i in (lo, hi)]
        return enc(tag, lo, hi, *keys, self.root, *direction)

    def prk(self, secret, v, part):
        return extract(self.ctx, x25519(secret, self.advertised[v][part : part + 32]))

    def share(self, advertised, t):
        self.advertised, self.members = advertised, sorted(advertised)
        flat = [item for u in self.members for item in (u, advertised[u][:96])]
        self.root = h("root", self.ctx, *flat)
        others = [v for v in self.members if v != self.u]
        of_b = deal(self.b, t, [v + 1 for v in self.members], self.for_b)
        of_s = deal(self.s, t, [v + 1 for v in others], self.for_s)
        self.own = of_b[self.u + 1].to_bytes(33, "little")
        sealed = {}
        for v in others:
            info = self.info("share", v, 0, self.u, v)
            both = of_b[v + 1].to_bytes(33, "little") + of_s[v + 1].to_bytes(33, "little")
            key = expand(self.prk(self.c, v, 0), info, 32)
            sealed[v] = seal(key, both, enc(self.ctx, self.root, self.u, v))
        return rows(sealed)

    def open(self, v, sealed):
        key = expand(self.prk(self.c, v, 0), self.info("share", v, 0, v, self.u), 32)
        plain = bytes(a ^ b for a, b in zip(sealed[:66], ctr(key, 66), strict=True))
        assert seal(key, plain, enc(self.ctx, self.root, v, self.u)) == sealed
        return plain

    def mask(self, inbox, vector, width, key_bytes):
        self.held = {v: self.open(v, sealed) for v, sealed in inbox.items()}
        total = list(vector)
        own = expand(extract(self.ctx, self.b), enc("self", self.u, self.root), key_bytes)
        streams = [(1, own)] + [
            (
                1 if self.u < v else -1,
                expand(self.prk(self.s, v, 32), self.info("mask", v, 32), key_bytes),
            )
            for v in inbox
        ]
        for factor, key in streams:
            drawn = elements(ctr(key, len(total) * stream_width(width)), stream_width(width))
            total = [(a + factor * b) % 256**width for a, b in zip(total, drawn, strict=True)]
        y = b"".join(value.to_bytes(width, "little") for value in total)
        digest = hashlib.sha256(y).digest()
        return y + sign(self.identity, "y", self.ctx, self.root, self.u, digest)

    def consent(self, summed):
        return sign(self.identity, "u2", self.ctx, self.root, h("set", *sorted(summed)))

    def reveal(self, summed):
        shares = {v: both[:33] if v in summed else both[33:] for v, both in self.held.items()}
        return rows(shares | {self.u: self.own})


def stream_width(width):
    """Bytes of key stream an element: 2 for M = 16, else 4."""
    return 2 if width == 2 else 4


def elements(data, width):
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]
