"""Secrets shared so that any t shares give them back and t − 1 say nothing. Shamir 1979.

Over GF(p), p = 2^256 + 297, so that every 32-byte secret is an element (`calyx-secagg/1` §4,
"Shamir"). Shares are 33 bytes, little-endian. Wrong shares are found by decoding the shares as a
Reed–Solomon code: Gao 2003, "A new algorithm for decoding Reed–Solomon codes".

Polynomials are lists of coefficients, the constant first, without trailing zeros.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod

P = 2**256 + 297
SHARE_BYTES = 33
SECRET_LIMIT = 2**256
_COEFFICIENT_BYTES = 48  # 384 bits reduced modulo p: a bias below 2^-127

Entropy = Callable[[int], bytes]
Polynomial = list[int]


def deal(secret: int, threshold: int, xs: Sequence[int], entropy: Entropy) -> list[int]:
    """Shares of `secret` at the points `xs` (distinct, 1 … p − 1), `threshold` of which rebuild it.

    `entropy(n)` gives n secret random bytes. Raises ValueError for a secret ≥ 2^256, a threshold
    outside 1 … len(xs), or points that are no distinct non-zero elements.
    """
    if not 0 <= secret < SECRET_LIMIT:
        raise ValueError("the secret is not within 0 … 2^256 − 1")
    if not 1 <= threshold <= len(xs) or len(set(xs)) < len(xs) or not all(0 < x < P for x in xs):
        raise ValueError("the threshold or the points are out of range")
    drawn = entropy(_COEFFICIENT_BYTES * (threshold - 1))
    coefficients = [secret] + [
        int.from_bytes(drawn[at : at + _COEFFICIENT_BYTES], "little") % P
        for at in range(0, len(drawn), _COEFFICIENT_BYTES)
    ]
    return [evaluate(coefficients, x) for x in xs]


def evaluate(polynomial: Polynomial, x: int) -> int:
    """The polynomial's value at x (Horner)."""
    value = 0
    for coefficient in reversed(polynomial):
        value = value * x + coefficient  # x is small: one reduction at the end costs less than all
    return value % P


def combine(shares: Mapping[int, int], threshold: int) -> int:
    """The value at 0 of the polynomial through the first `threshold` of `shares` (x → share).

    Raises ValueError for fewer shares.
    """
    if len(shares) < threshold:
        raise ValueError(f"{len(shares)} shares are fewer than the threshold of {threshold}")
    xs = tuple(sorted(shares))[:threshold]
    pairs = zip(_at_zero(xs), xs, strict=True)
    return sum(weight * shares[x] for weight, x in pairs) % P


@lru_cache(maxsize=32)  # one set of responders answers for all secrets of a round
def _at_zero(xs: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange coefficients at 0 for the points `xs`."""
    above = prod(xs)
    below = [x * prod(other - x for other in xs if other != x) for x in xs]
    return tuple(above * pow(one, -1, P) % P for one in below)


def decode(shares: Mapping[int, int], threshold: int) -> tuple[int, set[int]] | None:
    """The secret and the points whose shares are wrong, of which ⌊(r − t)/2⌋ may be.

    None if no polynomial of degree below `threshold` is that close. Source: Gao 2003, algorithm 1.
    """
    r = len(shares)
    g_before, g = _product_of_roots(shares), _interpolate(shares)
    v_before, v = [], [1]  # type: tuple[Polynomial, Polynomial]
    while 2 * (len(g) - 1) >= r + threshold:
        quotient, rest = _divide(g_before, g)
        g_before, g = g, rest
        v_before, v = v, _subtract(v_before, _multiply(quotient, v))
    polynomial, rest = _divide(g, v)
    if rest or len(polynomial) > threshold:
        return None
    wrong = {x for x, share in shares.items() if evaluate(polynomial, x) != share}
    if 2 * len(wrong) > r - threshold:
        return None
    return (polynomial[0] if polynomial else 0), wrong


def _product_of_roots(xs: Mapping[int, int]) -> Polynomial:
    product = [1]
    for x in xs:
        product = _multiply(product, [-x % P, 1])
    return product


def _interpolate(shares: Mapping[int, int]) -> Polynomial:
    """The polynomial through all points, by Newton's divided differences."""
    xs, column = list(shares), list(shares.values())
    for order in range(1, len(xs)):
        for i in range(len(xs) - 1, order - 1, -1):
            span = pow(xs[i] - xs[i - order], -1, P)
            column[i] = (column[i] - column[i - 1]) * span % P
    polynomial: Polynomial = []
    for x, value in zip(reversed(xs), reversed(column), strict=True):
        polynomial = _subtract(_multiply(polynomial, [-x % P, 1]), [-value % P])
    return polynomial


def _trim(polynomial: Polynomial) -> Polynomial:
    while polynomial and polynomial[-1] == 0:
        polynomial.pop()
    return polynomial


def _subtract(a: Polynomial, b: Polynomial) -> Polynomial:
    size = max(len(a), len(b))
    padded = zip(a + [0] * (size - len(a)), b + [0] * (size - len(b)), strict=True)
    return _trim([(x - y) % P for x, y in padded])


def _multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    product = [0] * max(0, len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] = (product[i + j] + x * y) % P
    return _trim(product)


def _divide(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """Quotient and rest of a / b, b ≠ 0."""
    rest, inverse = list(a), pow(b[-1], -1, P)
    quotient = [0] * max(0, len(a) - len(b) + 1)
    for shift in range(len(quotient) - 1, -1, -1):
        factor = rest[shift + len(b) - 1] * inverse % P
        quotient[shift] = factor
        for i, y in enumerate(b):
            rest[shift + i] = (rest[shift + i] - factor * y) % P
    return _trim(quotient), _trim(rest[: max(0, len(b) - 1)])
