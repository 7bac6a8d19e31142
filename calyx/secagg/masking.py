"""Masks: key streams of AES added to or taken from a vector of residues. `calyx-secagg/1` §4.

Source: Bonawitz et al. 2017, §4.1 (double masking). The stream is AES-CTR from the counter block
0¹²‖00000002, which is that of AES-GCM under a zero nonce: what this processor computes faster is
executed. One continuous little-endian stream: 2 bytes an element for M = 16, else 4, of which M = 24
uses the low three.

Shapes: D elements.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from calyx.vector.quantise import Residues

T = TypeVar("T")
MAX_ELEMENTS = 2**30  # GCM's limit of a key stream is 2^36 bytes; we stay far below
_CHUNK_BYTES = 2**17  # a chunk of vector, of zeros and of stream fit the second-level cache
_TOGETHER_BYTES = 2**26  # of vectors that are masked at once
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

    Raises ValueError for more than 2^30 elements.
    """
    (masked,) = _mask_together([Masking(vector, masks, modulus_bits)])
    return masked


@dataclass(frozen=True)
class Masking:
    """A vector [D] that is to be masked, and with what."""

    vector: Residues
    masks: Sequence[Mask]
    modulus_bits: int


def run_together(runs: Sequence[Generator[Masking, Residues, T]]) -> list[T]:
    """Run clients to their ends, each of which yields at most one vector and goes on with it masked.

    Where several are in one process, as in a simulation, the stream of a pair is computed once for both.
    """
    ends: dict[int, T] = {}
    wanted: dict[int, Masking] = {}
    for i, run in enumerate(runs):
        try:
            wanted[i] = next(run)
        except StopIteration as end:
            ends[i] = end.value
    for alike in _batches(wanted):
        try:
            masked = _mask_together([wanted[i] for i in alike])
        except Exception as error:  # noqa: BLE001 - each client ends by it in its own way
            ends |= {i: _end(partial(runs[i].throw, error)) for i in alike}
        else:
            ends |= {i: _end(partial(runs[i].send, masked[k])) for k, i in enumerate(alike)}
    return [ends[i] for i in range(len(runs))]


def _batches(wanted: Mapping[int, Masking]) -> Iterator[list[int]]:
    """Which are masked at once: vectors of one shape, so many as do not take up much memory."""
    for length, bits in {_shape(one) for one in wanted.values()}:
        alike = [i for i, one in wanted.items() if _shape(one) == (length, bits)]
        most = max(1, _TOGETHER_BYTES // max(1, 4 * length))
        for start in range(0, len(alike), most):
            yield alike[start : start + most]


def _end(resume: Callable[[], Masking]) -> Any:  # noqa: ANN401 - what the run returns
    try:
        resume()
    except StopIteration as end:
        return end.value
    raise RuntimeError("a client asked for a second vector to be masked")


def _shape(one: Masking) -> tuple[int, int]:
    return len(one.vector), one.modulus_bits


def _mask_together(several: Sequence[Masking]) -> list[Residues]:
    """Each vector [D] ± the streams of its masks; a key that two of them have is expanded once.

    Masks are the inner loop, so that chunks stay in the cache while all of them pass over these.
    """
    length, modulus_bits = _shape(several[0])
    if length > MAX_ELEMENTS:
        raise ValueError(f"a vector of {length} elements is above the limit of {MAX_ELEMENTS}")
    element = np.dtype("<u2" if modulus_bits == 16 else "<u4")
    totals = [one.vector.astype(element) for one in several]
    uses: dict[bytes, list[tuple[int, np.ufunc]]] = {}  # key → which vectors it goes into, and how
    for i, one in enumerate(several):
        for mask in one.masks:
            uses.setdefault(mask.key, []).append((i, np.add if mask.is_added else np.subtract))
    mode = fastest_mode()
    streams = [(_stream(key, mode), use) for key, use in uses.items()]
    buffer = bytearray(_CHUNK_BYTES + 15)  # update_into asks for a block of room behind the end
    step = _CHUNK_BYTES // element.itemsize
    for start in range(0, length, step):
        parts = [total[start : start + step] for total in totals]
        zeros = memoryview(_ZEROS)[: parts[0].nbytes]
        stream = np.frombuffer(buffer, dtype=element, count=len(parts[0]))
        for encryptor, use in streams:
            encryptor.update_into(zeros, buffer)
            for i, combine in use:
                combine(parts[i], stream, out=parts[i])
    if modulus_bits == 24:
        for total in totals:
            np.bitwise_and(total, np.uint32(2**24 - 1), out=total)
    return [total.astype(np.uint32, copy=False) for total in totals]
