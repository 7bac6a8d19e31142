"""What encryption costs, in CPU time on one core, beside AES-CTR and Flower's SecAgg+ in the same run.

`python -m benchmarks.secagg` prints a table, `--json` one JSON object and nothing else. Each
figure is the least of several, the measured things taking turns, so that a noisy machine is
noisy for all of them alike. Targets and anchors: `calyx-secagg/1` §9.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from rich.console import Console
from rich.table import Table

from benchmarks import flower_secagg
from benchmarks.cohorts import Cohort, forget_checks
from calyx.secagg.masking import Mask, apply_masks
from calyx.secagg.rules import quorum
from calyx.secagg.shamir import combine, deal
from calyx.seeding import rng
from calyx.vector.quantise import FixedPoint, quantise

NEIGHBOURS = 20  # masks of one measurement
Work = Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.secagg", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--repeats", type=int, default=5, help="of each figure; the least counts")
    parser.add_argument("--parameters", type=int, default=1_000_000, help="of the model")
    options = parser.parse_args(arguments)
    found = measure(options.parameters, options.repeats)
    figures = {key: round(value, 4) for key, value in found.items()}
    if options.json:
        json.dump(figures, sys.stdout)
        return
    _print(figures, options.parameters)


def measure(d: int, repeats: int) -> dict[str, float]:
    """All figures for vectors of `d` elements; keys end in their unit."""
    found = measure_elements(d, repeats) | _shamir(repeats) | _flower(d, repeats)
    return found | _clients(d, repeats) | measure_server(d)


def least_ms(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """The least CPU time of each, in milliseconds, taking turns."""
    found = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            started = time.process_time()
            work()
            found[name] = min(found[name], (time.process_time() - started) * 1e3)
    return found


def measure_elements(d: int, repeats: int) -> dict[str, float]:
    """Nanoseconds an element: key stream, mask, quantisation."""
    zeros, buffer = bytes(2**20), bytearray(2**20 + 15)
    stream = Cipher(algorithms.AES(os.urandom(16)), modes.CTR(bytes(16))).encryptor()
    masks = [Mask(os.urandom(16), i % 2 == 0) for i in range(NEIGHBOURS)]
    vector = np.zeros(d, dtype=np.uint32)
    fixed = FixedPoint(32, 128, 1.0)
    x = rng(0, "x").standard_normal(d, dtype=np.float32)
    dither = rng(0, "dither").random(d, dtype=np.float32)
    found = least_ms(
        {
            "ctr": lambda: [stream.update_into(zeros, buffer) for _ in range(NEIGHBOURS)],
            "mask32": lambda: apply_masks(vector, masks, 32),
            "mask16": lambda: apply_masks(vector, masks, 16),
            "flower": lambda: flower_secagg.mask(d),
            "quantise": lambda: quantise(x, 100 / 256, dither, fixed),
            "dither": lambda: rng(0, "dither").random(d, dtype=np.float32),
            "flower_quantise": lambda: flower_secagg.quantise(x),
        },
        repeats,
    )
    each = 1e6 / (d * NEIGHBOURS)
    return {
        "ctr_ns_per_u32": found["ctr"] * 1e6 / (2**18 * NEIGHBOURS),
        "mask_ns_per_u32": found["mask32"] * each,
        "mask_ns_per_u16": found["mask16"] * each,
        "flower_mask_ns": found["flower"] * 1e6 / d,
        "quantise_ns": found["quantise"] * 1e6 / d,
        "dither_ns": found["dither"] * 1e6 / d,
        "flower_quantise_ns": found["flower_quantise"] * 1e6 / d,
    }


def _shamir(repeats: int) -> dict[str, float]:
    """Milliseconds to deal and to rebuild one secret, (t, n) = (51, 100)."""
    xs = list(range(1, 101))
    shares = dict(zip(xs, deal(7, 51, xs, os.urandom), strict=True))
    theirs = flower_secagg.shares(51, 100)
    found = least_ms(
        {
            "deal_ms": lambda: deal(7, 51, xs, os.urandom),
            "combine_ms": lambda: combine(shares, 51),
        },
        repeats,
    )
    slow = least_ms(
        {
            "flower_deal_ms": lambda: flower_secagg.shares(51, 100),
            "flower_combine_ms": lambda: flower_secagg.rebuild(theirs, 51),
        },
        1,
    )
    return found | slow


def _flower(d: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a client of Flower's."""
    update = np.zeros(d, dtype=np.float32)
    hundred: dict[str, Work] = {"flower_client_ms": lambda: flower_secagg.client(update, 100, 51)}
    ten: dict[str, Work] = {"flower_client_10_ms": lambda: flower_secagg.client(update, 10, 6)}
    return least_ms(hundred, 1) | least_ms(ten, max(1, repeats // 2))


def _clients(d: int, repeats: int) -> dict[str, float]:
    """Milliseconds of one client over all stages; bytes against float32."""
    found: dict[str, float] = {}
    for key, n, bits in (("", 100, 32), ("_16", 100, 16), ("_10", 10, 32)):
        runs = [_client(n, d, bits) for _ in range(max(2, repeats // 2))]
        found[f"client{key}_ms"] = min(ms for ms, _ in runs)
        found[f"wire{key}_ratio"] = runs[0][1] / (4 * d)
    found["wire_16_tenth_ratio"] = _client(100, d // 10, 16)[1] / (0.4 * d)
    return found


def _client(n: int, length: int, bits: int) -> tuple[float, int]:
    """CPU milliseconds of client 0, from its update to its last reply, and the bytes it sends."""
    cohort, spent, sent = Cohort(n, length, bits), 0.0, 0
    zeros = np.zeros(length, dtype=np.uint32)
    replies = {u: cohort.advertise(u, zeros) for u in range(1, n)}

    def timed(work: Callable[[], bytes]) -> bytes:
        nonlocal spent, sent
        forget_checks()
        started = time.process_time()
        reply = work()
        spent += time.process_time() - started
        sent += len(reply)
        return reply

    replies[0] = timed(lambda: cohort.advertise(0, cohort.vector()))
    requests = cohort.server.take_advertisements(replies)
    replies = {u: cohort.answer(u, 1, requests[u]) for u in range(1, n)}
    replies[0] = timed(lambda: cohort.answer(0, 1, requests[0]))
    requests = cohort.server.take_shares(replies)
    replies = {0: timed(lambda: cohort.answer(0, 2, requests[0]))}
    # The others' vectors are masked with short ones in mind: client 0 does not see them.
    for u in range(1, n):
        cohort.sessions[u].vector = bytes(cohort.rules.modulus_bits // 8)
        replies[u] = cohort.answer(u, 2, requests[u])
    cohort.server.summed = tuple(range(n))
    u2 = b"".join(u.to_bytes(4, "little") for u in range(n))
    replies = {u: cohort.answer(u, 3, u2) for u in range(1, n)}
    replies[0] = timed(lambda: cohort.answer(0, 3, u2))
    opening = cohort.server.take_consents(replies)
    timed(lambda: cohort.answer(0, 4, opening[0]))
    return spent * 1e3, sent


def measure_server(d: int) -> dict[str, float]:
    """CPU milliseconds of the server, 100 clients, `d` parameters, 32 bits, no dropout.

    `server_hash_ms` is the part of it that only hashes the masked vectors, to verify that each is
    signed by its client.
    """
    cohort, spent, hashing = Cohort(100, d, 32), 0.0, 0.0
    takes = [
        cohort.server.take_advertisements,
        cohort.server.take_shares,
        cohort.server.take_vectors,
        cohort.server.take_consents,
        cohort.server.take_reveals,
    ]
    vector = cohort.vector()
    replies = {u: cohort.advertise(u, vector) for u in range(100)}
    for stage, take in enumerate(takes):
        forget_checks()
        started = time.process_time()
        requests = take(replies)
        spent += time.process_time() - started
        if stage == 2:
            started = time.process_time()
            for y in replies.values():
                hashlib.sha256(y).digest()
            hashing = time.process_time() - started
        if isinstance(requests, dict):
            replies = {u: cohort.answer(u, stage + 1, body) for u, body in requests.items()}
    return {"server_ms": spent * 1e3, "server_hash_ms": hashing * 1e3}


ROWS = (
    ("mask, a neighbour, ns a uint32", "mask_ns_per_u32", "≤ 0.60", "flower_mask_ns"),
    ("mask, a neighbour, ns a uint16", "mask_ns_per_u16", "≤ 0.32", "flower_mask_ns"),
    ("AES-CTR of `cryptography`, ns a uint32", "ctr_ns_per_u32", "", ""),
    ("quantise, ns an element", "quantise_ns", "≤ 4", "flower_quantise_ns"),
    ("dither (public), ns an element", "dither_ns", "", ""),
    ("Shamir (51, 100), deal, ms", "deal_ms", "1.2", "flower_deal_ms"),
    ("Shamir (51, 100), combine, ms", "combine_ms", "0.7", "flower_combine_ms"),
    ("client, n = 100, 32 bits, ms", "client_ms", "≤ 110", "flower_client_ms"),
    ("client, n = 100, 16 bits, ms", "client_16_ms", "≤ 80", "flower_client_ms"),
    ("client, n = 10, 32 bits, ms", "client_10_ms", "≤ 18", "flower_client_10_ms"),
    ("server, n = 100, 32 bits, ms", "server_ms", "≤ 120", "flower_server_ms"),
    ("  of it hashing signed vectors, ms", "server_hash_ms", "", ""),
    ("wire, 32 bits, × float32", "wire_ratio", "1.003", ""),
    ("wire, 16 bits, a tenth of them, × float32", "wire_16_tenth_ratio", "0.53", ""),
)


def _print(figures: dict[str, float], d: int) -> None:
    # A server of Flower's rebuilds and expands one secret a client, one after another.
    figures = figures | {
        "flower_server_ms": 100
        * (figures["flower_combine_ms"] + figures["flower_mask_ns"] * d / 1e6)
    }
    table = Table(f"what ({d:,} parameters)", "Calyx", "target", "Flower 1.41", "ratio")
    for label, key, target, theirs in ROWS:
        flower = f"{figures[theirs]:,.4g}" if theirs else ""
        ratio = f"{figures[theirs] / figures[key]:,.0f}×" if theirs else ""
        table.add_row(label, f"{figures[key]:,.4g}", target, flower, ratio)
    console = Console()
    console.print(table)
    share = figures["mask_ns_per_u32"] / figures["ctr_ns_per_u32"]
    console.print(f"A mask costs {share:.2f} times what AES-CTR alone costs here.")
    console.print(f"Quorum of 100 with 10 colluders: {quorum(100, 10)}.")


if __name__ == "__main__":
    main()
