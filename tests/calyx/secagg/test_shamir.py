"""t shares give a secret back, t − 1 say nothing, wrong ones are found (§8, group 3)."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from calyx.secagg.shamir import SECRET_LIMIT, P, combine, deal, decode


class Entropy:
    """Secret bytes that are the same in every run."""

    def __init__(self, seed=0):
        self.source = random.Random(seed)

    def __call__(self, count):
        return self.source.randbytes(count)


def shares_of(secret, t, n, seed=0):
    xs = list(range(1, n + 1))
    return dict(zip(xs, deal(secret, t, xs, Entropy(seed)), strict=True))


SECRETS = st.sampled_from([0, 1, SECRET_LIMIT - 1]) | st.integers(0, SECRET_LIMIT - 1)


def test_the_modulus_is_a_prime_above_every_secret():
    # Fermat to several bases; 2^256 + 297 has no factor that these would miss.
    assert P == 2**256 + 297 > SECRET_LIMIT - 1
    assert all(pow(base, P - 1, P) == 1 for base in (2, 3, 5, 7, 11, 13, 17, 19, 23))


@given(SECRETS, st.integers(1, 12), st.data())
def test_any_t_shares_rebuild_the_secret_and_one_fewer_do_not(secret, t, data):
    n = data.draw(st.integers(t, 14))
    shares = shares_of(secret, t, n, data.draw(st.integers(0, 999)))
    chosen = data.draw(st.permutations(list(shares)))[:t]
    assert combine({x: shares[x] for x in chosen}, t) == secret
    with pytest.raises(ValueError, match="fewer than the threshold"):
        combine({x: shares[x] for x in chosen[1:]}, t)


def test_one_share_too_few_says_nothing_of_the_secret():
    """t − 1 shares of two very different secrets are drawn alike, and each is uniform."""
    t, n, runs, bins = 3, 3, 4000, 16
    limit = chi2.ppf(1 - 1e-6, bins - 1)
    for secret in (0, SECRET_LIMIT - 1):
        entropy = Entropy(secret % 97)
        counts = [[0] * bins for _ in range(3)]
        for _ in range(runs):
            _, second, third = deal(secret, t, list(range(1, n + 1)), entropy)
            for row, value in zip(counts, (second, third, (third - 2 * second) % P), strict=True):
                row[value * bins // P] += 1
        for row in counts:
            assert sum((c - runs / bins) ** 2 / (runs / bins) for c in row) < limit


def test_with_t_minus_one_shares_every_secret_is_possible():
    shares = shares_of(12345, 4, 6)
    held = {x: shares[x] for x in (2, 3, 5)}
    for guess in (0, 1, 12345, SECRET_LIMIT - 1):
        # The polynomial through the guess and the held shares passes every test but a fourth share.
        fourth = combine_at(held | {0: guess}, 1)
        assert combine(held | {1: fourth}, 4) == guess


def combine_at(points, at):
    total = 0
    for x, y in points.items():
        weight = 1
        for other in points:
            if other != x:
                weight = weight * (at - other) * pow(x - other, -1, P) % P
        total += weight * y
    return total % P


@settings(max_examples=60)
@given(SECRETS, st.integers(1, 6), st.integers(0, 3), st.data())
def test_up_to_half_of_the_spare_shares_may_be_wrong_and_are_named(secret, t, wrong, data):
    n = t + 2 * wrong + data.draw(st.integers(0, 2))
    shares = shares_of(secret, t, n, data.draw(st.integers(0, 99)))
    liars = set(data.draw(st.permutations(list(shares)))[:wrong])
    for x in liars:
        shares[x] = (shares[x] + data.draw(st.integers(1, P - 1))) % P
    assert decode(shares, t) == (secret, liars)


def test_more_wrong_shares_than_that_give_nothing():
    shares = shares_of(7, 4, 9)  # five spare: two may be wrong
    for count in (3, 4):
        garbled = dict(shares)
        for x in range(1, count + 1):
            garbled[x] = (garbled[x] + 1000 * x) % P
        assert decode(garbled, 4) is None


def test_shares_of_too_high_a_degree_give_nothing():
    assert decode(shares_of(7, 6, 9), 4) is None


@pytest.mark.parametrize(
    ("secret", "threshold", "xs"),
    [
        (SECRET_LIMIT, 2, [1, 2, 3]),
        (-1, 2, [1, 2, 3]),
        (7, 0, [1, 2, 3]),
        (7, 4, [1, 2, 3]),
        (7, 2, [0, 1, 2]),
        (7, 2, [1, 1, 2]),
        (7, 2, [1, 2, P]),
    ],
)
def test_what_cannot_be_shared_is_refused(secret, threshold, xs):
    with pytest.raises(ValueError, match=r"secret|threshold"):
        deal(secret, threshold, xs, Entropy())
