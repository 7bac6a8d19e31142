"""Checkpoints: one atomic rename of a folder with hashes inside; the last K are kept.

A damaged one is detected and said, and the one before is used.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calyx.config import digest
from calyx.errors import UserError
from calyx.files import strict_json, sync_folder, write_synced
from calyx.weights import Weights, load_weights, save_weights
from strategies.algorithm import State

_STATE = "state.json"
_FORMAT = 1


@dataclass(frozen=True)
class Best:
    """The best model so far by `stopping.monitor`."""

    round: int
    value: float
    weights: Weights


@dataclass(frozen=True)
class RunState:
    """All that the next round depends on, after `round` rounds."""

    run: str  # Calyx's own id, kept over resume
    config: str  # digest of what decides the bytes
    round: int
    weights: Weights
    strategy: State
    best: Best | None


class DamagedCheckpoint(Exception):
    """A checkpoint's files are not what its state says."""


def save(folder: Path, state: RunState, keep: int) -> None:
    """Write a checkpoint under `folder`, then drop all but the last `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".round-{state.round:06d}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    flat = {f"{name}/{key}": v for name, part in state.strategy.items() for key, v in part.items()}
    best = state.best.weights if state.best else {}
    files = {"weights": state.weights, "strategy": flat, "best": best}
    hashes = {
        f"{name}.safetensors": save_weights(beside / f"{name}.safetensors", weights)
        for name, weights in files.items()
    }
    body: dict[str, Any] = {
        "format": _FORMAT,
        "run": state.run,
        "config": state.config,
        "round": state.round,
        "names": list(state.weights),
        "best": {"round": state.best.round, "value": state.best.value} if state.best else None,
        "sha256": hashes,
    }
    write_synced(beside / _STATE, strict_json(body | {"digest": digest(body)}).encode())
    sync_folder(beside)
    final = folder / f"round-{state.round:06d}"
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)
    sync_folder(folder)
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def load_newest(folder: Path) -> tuple[RunState, list[str]]:
    """The newest sound checkpoint, and a sentence about each damaged one that was passed over.

    Raises UserError if there is none.
    """
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            return _load(path), damaged
        except (OSError, ValueError, KeyError, TypeError, DamagedCheckpoint) as error:
            damaged.append(f"The checkpoint {path.name} is damaged ({error}) and was passed over.")
    if damaged:
        raise UserError(
            f"No checkpoint in {folder} is sound; the run cannot be resumed. {damaged[0]}"
        )
    raise UserError(
        f"There is no checkpoint in {folder}: the run was stopped before it began; start it again in "
        "another folder."
    )


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("round-*"), reverse=True)


def _load(path: Path) -> RunState:
    body = json.loads((path / _STATE).read_text())
    if digest({k: v for k, v in body.items() if k != "digest"}) != body["digest"]:
        raise DamagedCheckpoint("state.json is not what was written")
    if body["format"] != _FORMAT:
        raise DamagedCheckpoint(f"its format is {body['format']}, not {_FORMAT}")
    for name, expected in body["sha256"].items():
        if hashlib.sha256((path / name).read_bytes()).hexdigest() != expected:
            raise DamagedCheckpoint(f"{name} is not what was written")
    strategy: State = {}
    for name, array in load_weights(path / "strategy.safetensors").items():
        part, key = name.split("/", 1)
        strategy.setdefault(part, {})[key] = array
    best = body["best"] and Best(
        body["best"]["round"],
        body["best"]["value"],
        load_weights(path / "best.safetensors", body["names"]),
    )
    weights = load_weights(path / "weights.safetensors", body["names"])
    return RunState(body["run"], body["config"], body["round"], weights, strategy, best)
