"""What a client and a server of Flower 1.41's SecAgg+ compute, by Flower's own functions.

The calls and their number follow `flwr/client/mod/secure_aggregation/secaggplus_mod.py`; messages
and their (de)serialisation are left out, as they are from ours.
"""

import os

import numpy as np
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (
    decrypt,
    encrypt,
    generate_shared_key,
)
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    parameters_addition,
    parameters_mod,
    parameters_multiply,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_concat,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import generate_key_pairs, private_key_to_bytes
from numpy.typing import NDArray

MOD_RANGE = 2**32
TARGET_RANGE = 2**22


def mask(length: int) -> None:
    """Draw one pairwise mask and add it."""
    drawn = pseudo_rand_gen(os.urandom(32), MOD_RANGE, [(length,)])
    parameters_mod(parameters_addition(drawn, drawn), MOD_RANGE)


def quantise(update: NDArray[np.float32]) -> None:
    """Stochastic quantisation of one update."""
    quantize([update.astype(np.float64)], 8.0, TARGET_RANGE)


def client(update: NDArray[np.float32], n: int, threshold: int) -> None:
    """Stages 0 to 3 of one client among `n` on a complete graph."""
    sk1, _ = generate_key_pairs()
    sk2, pk2 = generate_key_pairs()
    generate_key_pairs()
    seed = os.urandom(32)
    b_shares = create_shares(seed, threshold, n)
    sk_shares = create_shares(private_key_to_bytes(sk1), threshold, n)
    sealed = []
    for v in range(n - 1):
        key = generate_shared_key(sk2, pk2)
        plain = share_keys_plaintext_concat(1, v, b_shares[v], sk_shares[v])
        sealed.append((key, encrypt(key, plain)))
    for key, ciphertext in sealed:  # as many come in as went out
        share_keys_plaintext_separate(decrypt(key, ciphertext))
    scaled = parameters_multiply([update.astype(np.float64)], 0.5)
    vector = factor_combine(TARGET_RANGE // 2, quantize(scaled, 8.0, TARGET_RANGE))
    dimensions = [array.shape for array in vector]
    vector = parameters_addition(vector, pseudo_rand_gen(seed, MOD_RANGE, dimensions))
    for v, (key, _) in enumerate(sealed):
        drawn = pseudo_rand_gen(key, MOD_RANGE, dimensions)
        combine = parameters_addition if v % 2 else parameters_subtraction
        vector = combine(vector, drawn)
    parameters_mod(vector, MOD_RANGE)


def shares(threshold: int, n: int) -> list[bytes]:
    """Shares of one 32-byte secret."""
    return list(create_shares(os.urandom(32), threshold, n))


def rebuild(held: list[bytes], threshold: int) -> bytes:
    """The secret of `threshold` shares."""
    return bytes(combine_shares(held[:threshold]))
