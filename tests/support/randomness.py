"""Statistics that a masked vector must pass: it says nothing of what it hides.

The linear complexity of each bit plane is what catches a generator that is linear over GF(2),
such as MT19937, however well its bytes are spread.
"""

import numpy as np
from scipy.stats import chi2, norm

DOUBT = 1e-9  # a sound vector fails a test with this probability
COMPLEXITY_BITS = 2048


def check_uniform(vector, bits):
    """Complaints about residues modulo 2^`bits` [D], D ≥ 600 or so; none for a uniform vector."""
    found = [*_bytes(vector, bits), *_serial(vector, bits)]
    for plane in range(bits):
        column = ((vector >> np.uint32(plane)) & np.uint32(1)).astype(np.uint8)
        found += [
            f"bit {plane}: {complaint}" for complaint in (*_monobit(column), *_linear(column))
        ]
    return found


def _bytes(vector, bits):
    raw = vector.astype("<u4").view(np.uint8).reshape(-1, 4)[:, : bits // 8]
    counts = np.bincount(raw.reshape(-1), minlength=256)
    expected = counts.sum() / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    low, high = chi2.ppf([DOUBT / 2, 1 - DOUBT / 2], 255)
    return [] if low < statistic < high else [f"bytes: chi-square {statistic:.0f}"]


def _serial(vector, bits):
    """Correlation of neighbours."""
    x = vector.astype(np.float64) / 2**bits - 0.5
    statistic = float((x[:-1] * x[1:]).sum() / np.sqrt(len(x) - 1) * 12)
    return [] if abs(statistic) < norm.ppf(1 - DOUBT / 2) else [f"serial: {statistic:.1f} sd"]


def _monobit(column):
    statistic = (2.0 * column.sum() - len(column)) / np.sqrt(len(column))
    return [] if abs(statistic) < norm.ppf(1 - DOUBT / 2) else [f"monobit {statistic:.1f} sd"]


def _linear(column):
    """Linear complexity about N/2: its deviation has a geometric tail, P(|L − N/2| > k) ≈ 4^-k."""
    n = min(len(column), COMPLEXITY_BITS)
    length = linear_complexity(column[:n].tolist())
    return [] if abs(length - n / 2) < 20 else [f"linear complexity {length} of {n} bits"]


def linear_complexity(sequence):
    """Length of the shortest linear feedback shift register that makes these bits.

    Berlekamp–Massey over GF(2) (Massey 1969); polynomials and the past are Python integers.
    """
    connection, before, length, shift, past = 1, 1, 0, 1, 0
    for position, bit in enumerate(sequence):
        past = (past << 1) | bit  # bit i of `past` is the bit i steps ago
        if (connection & past).bit_count() & 1:
            kept = connection
            connection ^= before << shift
            if 2 * length <= position:
                length, before, shift = position + 1 - length, kept, 0
        shift += 1
    return length
