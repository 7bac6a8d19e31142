"""Masks: key streams of AES added to or taken from a vector of residues. `calyx-secagg/1` §4.

Source: Bonawitz et al. 2017, §4.1 (double masking). The stream is AES-CTR from the counter block
0¹²‖00000002, which is that of AES-GCM under a zero nonce: what this processor computes faster is
executed. One continuous little-endian stream: 2 bytes an element for M = 16, else 4, of which M = 24
uses the low three.

Shapes: D elements.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from calyx.vector.quantise import Residues

MAX_ELEMENTS = 2**30  # GCM's limit of a key stream is 2^36 bytes; we stay far below
_CHUNK_BYTES = 2**17  # a chunk of vector, of zeros and of stream fit the second-level cache
_ZEROS = bytes(_CHUNK_BYTES)
# The same stream twice; GCM computes a hash besides, and has wider instructions where there are such.
MODES: tuple[modes.CTR | modes.GCM, ...] = (modes.CTR(bytes(15) + b"\x02"), modes.GCM(bytes(12)))


@dataclass(frozen=True)
class Mask:
    """A key of 16 or 32 bytes, and whether its stream is added or subtracted."""

    key: bytes = field(repr=False)
    is_added: bool


@cache
def fastest_mode() -> modes.CTR | modes.GCM:
    """The one of `MODES` that OpenSSL computes faster here: a factor of two, either way, by processor.

    It is measured once a process, in less than a millisecond; no byte depends on it.
    """
    return min(MODES, key=_measure)


def _measure(mode: modes.CTR | modes.GCM) -> float:
    """Seconds for a chunk of stream: the least of several, since a machine has other work too."""
    encryptor, buffer = _stream(bytes(16), mode), bytearray(_CHUNK_BYTES + 15)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        encryptor.update_into(_ZEROS, buffer)
        times.append(time.perf_counter() - started)
    return min(times)


def _stream(key: bytes, mode: modes.CTR | modes.GCM) -> CipherContext:
    return Cipher(algorithms.AES(key), mode).encryptor()


def apply_masks(vector: Residues, masks: Sequence[Mask], modulus_bits: int) -> Residues:
    """`vector` [D] ± the stream of each mask, modulo 2^M; a new array.

    Masks are the inner loop, so that a chunk stays in the cache while all of them pass over it.
    Raises ValueError for more than 2^30 elements.
    """
    if len(vector) > MAX_ELEMENTS:
        raise ValueError(f"a vector of {len(vector)} elements is above the limit of {MAX_ELEMENTS}")
    element = np.dtype("<u2" if modulus_bits == 16 else "<u4")
    total = vector.astype(element)
    mode = fastest_mode()
    streams = [
        (_stream(mask.key, mode), np.add if mask.is_added else np.subtract) for mask in masks
    ]
    buffer = bytearray(_CHUNK_BYTES + 15)  # update_into asks for a block of room behind the end
    step = _CHUNK_BYTES // element.itemsize
    for start in range(0, len(total), step):
        part = total[start : start + step]
        zeros = memoryview(_ZEROS)[: part.nbytes]
        stream = np.frombuffer(buffer, dtype=element, count=len(part))
        for encryptor, combine in streams:
            encryptor.update_into(zeros, buffer)
            combine(part, stream, out=part)
    if modulus_bits == 24:
        total &= np.uint32(2**24 - 1)
    return total.astype(np.uint32, copy=False)
