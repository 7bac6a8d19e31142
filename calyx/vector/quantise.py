"""Fixed-point numbers whose sum over a cohort cannot overflow. Protocol `calyx-secagg/1`, "Vector".

Signed reals (the update) become two's complement integers modulo 2^M with a power-of-two step;
unsigned integers (weights, counts, metrics) become base-2^b limbs. b = M − ⌈log2 n_max⌉ bits a
client leave room for the carries of n_max clients. It knows no layout and no client.

Shapes: D elements.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Residues = NDArray[np.uint32]
_WIRE_TYPES = {16: "<u2", 32: "<u4"}
CHUNK = 2**14  # elements; a chunk and its buffers fit the first-level caches
_FEW = 64  # numbers that Python encodes sooner than NumPy
_SIGN = np.uint32(1 << 31)  # of a float32
_DITHER_STEP = np.float32(2.0**-24)
_BLOCK = 2**18  # elements of a sum; they stay in a second-level cache while vectors pass by


@dataclass(frozen=True)
class FixedPoint:
    """The number format. Raises ValueError where a client would have fewer than 4 bits.

    `modulus_bits` is M ∈ {16, 24, 32}; `n_max` ≥ 1 clients a sum at most; `clip` > 0 bounds |x|.
    """

    modulus_bits: int
    n_max: int
    clip: float

    def __post_init__(self) -> None:
        """Check that bits are left for the value itself."""
        if self.bits < 4:
            raise ValueError(
                f"n_max={self.n_max} clients leave {self.bits} of {self.modulus_bits} bits to each; "
                "at least 4 are needed: use more bits or a smaller n_max"
            )

    @cached_property
    def bits(self) -> int:
        """Bits of one client's value: b = M − ⌈log2 n_max⌉."""
        return self.modulus_bits - (self.n_max - 1).bit_length()

    @cached_property
    def step(self) -> float:
        """Δ, the least power of two with (2^(b−1) − 1)·Δ ≥ clip."""
        largest = 2 ** (self.bits - 1) - 1
        step = 2.0 ** math.floor(math.log2(self.clip / largest))
        while largest * step < self.clip:
            step *= 2
        return step

    @property
    def clip32(self) -> np.float32:
        """The greatest float32 ≤ clip: rounded up, clip/Δ could pass 2^(b−1) − 1 and change sign."""
        clip = np.float32(self.clip)
        return clip if float(clip) <= self.clip else np.nextafter(clip, np.float32(0))

    @property
    def mask(self) -> int:
        """2^M − 1."""
        return (1 << self.modulus_bits) - 1

    def limbs(self, maximum: int) -> int:
        """Number of base-2^b limbs that hold every integer 0 … `maximum`."""
        return max(1, -(-maximum.bit_length() // self.bits))


def draw_dither(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """`rng.random(size, dtype=np.float32)`, the same numbers, in four fifths of the time.

    NumPy makes two float32 of 24 bits of each 64-bit word, the lower half first.
    """
    if size == 0 or rng.bit_generator.state["has_uint32"]:  # half a word is left of an odd size
        return rng.random(size, dtype=np.float32)
    dither = np.empty(size, dtype=np.float32)
    words: NDArray[np.uint64] = rng.bit_generator.random_raw(size // 2)
    halves = words.astype("<u8", copy=False).view("<u4")
    for start in range(0, len(halves), CHUNK):
        part = halves[start : start + CHUNK]
        np.right_shift(part, 8, out=part)
        out = dither[start : start + len(part)]
        np.copyto(out, part.view("<i4"), casting="unsafe")
        np.multiply(out, _DITHER_STEP, out=out)
    if size % 2:
        dither[-1] = rng.random(dtype=np.float32)
    return dither


def quantise(
    x: NDArray[np.float32],
    weight: float,
    dither: NDArray[np.float32],
    fixed: FixedPoint,
    out: Residues | None = None,
) -> Residues:
    """Encode `weight`·clip(`x`), with 0 ≤ weight ≤ 1, as residues [D] modulo 2^M.

    z = float32(weight · clip(x)); a = |z|/Δ; q = sign(z)·(⌊a⌋ + [dither < a − ⌊a⌋]), unbiased for
    a `dither` [D] uniform in [0, 1) with 24 bits. Zero encodes as zero.
    They are written into `out` [D] where there is one. Raises ValueError if `x` [D] is not finite, or
    if `weight` is no float32: then its product would be rounded twice.
    """
    if not np.isfinite(x).all():
        raise ValueError("the update holds NaN or infinity")
    if float(np.float32(weight)) != weight:
        raise ValueError(f"the weight {weight} needs more than 24 bits")
    residues = np.empty(len(x), dtype=np.uint32) if out is None else out
    buffers = np.empty((3, min(CHUNK, len(x))), dtype=np.float32)
    per_step, clip, scale = np.float32(1 / fixed.step), fixed.clip32, np.float32(weight)
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        z, q, rest = buffers[:, : len(x[part])]
        np.clip(x[part], -clip, clip, out=z)
        np.multiply(z, scale, out=z)
        # A product with a power of two is exact in float32, and ⌊a⌋ ≤ 2^24: one rounding, above.
        np.multiply(z, per_step, out=z)
        np.abs(z, out=rest)
        np.floor(rest, out=q)
        np.subtract(rest, q, out=rest)
        # 1 where the dither is less, else 0: a difference of floats has the sign of the exact one.
        np.subtract(rest, dither[part], out=rest)
        np.ceil(rest, out=rest)
        np.add(q, rest, out=q)
        # The sign's bit, as `np.copysign` gives it, which takes three times as long.
        signs, bits = z.view(np.uint32), q.view(np.uint32)
        np.bitwise_and(signs, _SIGN, out=signs)
        np.bitwise_or(bits, signs, out=bits)
        np.copyto(residues[part].view(np.int32), q, casting="unsafe")
    if fixed.modulus_bits < 32:
        np.bitwise_and(residues, np.uint32(fixed.mask), out=residues)
    return residues


def signed(total: Residues, fixed: FixedPoint) -> NDArray[np.int32]:
    """A sum [D] of at most n_max encodings as steps, in two's complement."""
    shift = np.uint32(32 - fixed.modulus_bits)  # the sign's bit to the top, and back with the sign
    return np.right_shift((total << shift).view(np.int32), shift.astype(np.int32))


def encode_unsigned(values: NDArray[Any], maximum: int, fixed: FixedPoint) -> Residues:
    """Encode integers [K], each 0 … `maximum`, as [K·limbs] limbs, least significant first.

    `values` are of an integer type, or Python's integers (dtype object), which have no end.
    Raises ValueError for a value that is negative or above `maximum`.
    """
    few = [int(v) for v in values] if values.dtype == object or len(values) < _FEW else None
    for value in (
        (values.min(), values.max()) if few is None else (min(few), max(few)) if few else ()
    ):
        if not 0 <= int(value) <= maximum:
            raise ValueError(f"a count of {int(value)} is outside 0 … {maximum}")
    bits, places, mask = fixed.bits, range(fixed.limbs(maximum)), (1 << fixed.bits) - 1
    if few is not None:
        return np.array([(v >> (bits * i)) & mask for v in few for i in places], dtype=np.uint32)
    shifts = np.array([min(63, bits * i) for i in places], dtype=np.uint64)
    return (
        ((values.astype(np.uint64)[:, None] >> shifts) & np.uint64(mask)).astype(np.uint32).ravel()
    )


def decode_unsigned(total: Residues, maximum: int, fixed: FixedPoint) -> list[int]:
    """Decode a sum of encodings [K·limbs] into K exact integers of any size."""
    limbs = total.reshape(-1, fixed.limbs(maximum)).tolist()
    if fixed.limbs(maximum) == 1:
        return [row[0] for row in limbs]
    return [sum(limb << (fixed.bits * i) for i, limb in enumerate(row)) for row in limbs]


def add(left: Residues, right: Residues, fixed: FixedPoint) -> Residues:
    """Sum [D] modulo 2^M; uint32 wraps by itself and the mask does the rest."""
    return (left + right) & np.uint32(fixed.mask)


def add_up(vectors: Sequence[Residues], fixed: FixedPoint) -> Residues:
    """The sum [D] modulo 2^M of one vector or more, block by block: a block of it stays in the cache.

    Two threads at most, since more do not make the memory faster; integers are the same in any order.
    """
    total = np.empty(len(vectors[0]), dtype=np.uint32)

    def add_block(start: int) -> None:
        block = slice(start, start + _BLOCK)
        part = total[block]
        part[:] = vectors[0][block]
        for vector in vectors[1:]:
            part += vector[block]
        part &= np.uint32(fixed.mask)

    starts = range(0, len(total), _BLOCK)
    if len(starts) == 1:
        add_block(0)
        return total
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add_block, starts))
    return total


def pack(residues: Residues, modulus_bits: int) -> bytes:
    """Little-endian bytes as on the wire: 2, 3 or 4 an element."""
    if modulus_bits != 24:
        return residues.astype(_WIRE_TYPES[modulus_bits], copy=False).tobytes()
    return residues.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def unpack(data: bytes | memoryview, modulus_bits: int) -> Residues:
    """The residues [D] of `data`; read-only where nothing had to be copied.

    Raises ValueError if the length is no multiple of an element's.
    """
    if modulus_bits != 24:
        return np.frombuffer(data, dtype=_WIRE_TYPES[modulus_bits]).astype(np.uint32, copy=False)
    if len(data) % 3:
        raise ValueError(f"{len(data)} bytes are no whole number of 3-byte elements")
    raw = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    raw[:, :3] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    return raw.view("<u4").reshape(-1).astype(np.uint32, copy=False)
