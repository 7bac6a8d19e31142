"""Figures of Calyx that are no rounds of the workload: starts, idle rounds, sums, masks, memory.

A figure that cannot be had is a sentence that says why.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import secagg
from benchmarks.engine.dealing import SETTINGS
from benchmarks.engine.ours import MODES, PLAIN, peak_megabytes, seconds_to_round_1, words_of
from benchmarks.engine.programs import Failed, start
from benchmarks.engine.workload import Setting
from calyx.vector.quantise import FixedPoint, Residues, add_up

Figure = float | str
NOOP_CLIENTS, NOOP_ROUNDS = 1000, 5
VECTORS, ELEMENTS = 100, 10_000_000
MILLION = 1_000_000
_PLAIN_MODE = next(mode for mode in MODES if mode.name == PLAIN)


def measure(folder: Path, *, is_short: bool) -> dict[str, Figure | dict[str, Figure]]:
    """All figures; files go below `folder`. The short form is for tests: tiny, and true of nothing."""
    starts = {"default": ["simulate", "rounds=2"]} | _starts(is_short)
    elements = 20_000 if is_short else MILLION
    masks = secagg.measure_elements(elements, 1 if is_short else 5)
    server = {} if is_short else secagg.measure_server(elements)
    large = replace(SETTINGS[2], rounds=2 if is_short else 5)
    return {
        "start_s": {
            label: _try(partial(seconds_to_round_1, words, folder))
            for label, words in starts.items()
        },
        "peak_mb": {
            one.label: _try(partial(peak_megabytes, one, _PLAIN_MODE, folder))
            for one in ([replace(SETTINGS[0], rounds=2)] if is_short else [SETTINGS[0], large])
        },
        "noop_s": _try(partial(noop_seconds, 10 if is_short else NOOP_CLIENTS)),
        "aggregation_s": aggregation_seconds(10_000 if is_short else ELEMENTS),
        "mask_over_aes": masks["mask_ns_per_u32"] / masks["ctr_ns_per_u32"],
        "server_ms": server.get("server_ms", 0.0) - server.get("server_hash_ms", 0.0),
    }


def _starts(is_short: bool) -> dict[str, list[str]]:
    few, many = (replace(setting, rounds=2) for setting in (SETTINGS[0], SETTINGS[2]))
    if is_short:
        return {}
    return {
        f"{few.num_clients:,}": words_of(few, _PLAIN_MODE),
        f"{many.num_clients:,}": words_of(many, _PLAIN_MODE),
        f"{MILLION:,}": _words_of_million(many),
    }


def _words_of_million(setting: Setting) -> list[str]:
    """The command of the setting with a million clients, who have 50 rows each; a hundred test."""
    words = [*words_of(replace(setting, num_clients=MILLION), _PLAIN_MODE), "census_size=100"]
    return [word.replace("task=engine_mlp", "task=engine_names") for word in words]


def _try(measurement: Callable[[], float]) -> Figure:
    try:
        return measurement()
    except Failed as error:
        return str(error)


def noop_seconds(clients: int, workers: int = 2) -> float:
    """The least of a few rounds in which each client says its name, with two workers. Raises Failed."""
    words = [str(clients), str(workers), str(NOOP_ROUNDS)]
    command = [sys.executable, "-m", "benchmarks.engine.noop", *words]
    return float(min(json.loads(start(command, os.environ, 120.0))))


def aggregation_seconds(elements: int) -> float:
    """The least of three sums of a hundred clients' vectors of so many 32-bit residues.

    Ten vectors lie in memory and count ten times each: 400 MB, of which no cache holds a part.
    """
    fixed = FixedPoint(32, 128, 1.0)
    draw = np.random.default_rng(1)
    vectors: list[Residues] = [
        draw.integers(0, 2**32, elements, dtype=np.uint32) for _ in range(VECTORS // 10)
    ]
    found = []
    for _ in range(3):
        started = time.perf_counter()
        add_up(vectors * 10, fixed)
        found.append(time.perf_counter() - started)
    return min(found)
