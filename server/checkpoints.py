"""Checkpoints: one atomic rename of a folder with hashes inside; the last K are kept.

A damaged one is detected and said, and the one before is used.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from calyx.config.section import digest
from calyx.errors import UserError
from calyx.files.foreign import read_object
from calyx.files.plain import (
    MOST_TENSOR_BYTES,
    name_in_errors,
    read_plain,
    strict_json,
    sync_folder,
    write_synced,
)
from calyx.model.populations import Population, read_population
from calyx.model.weights import Weights, load_weights, to_bytes
from calyx.run.json_rows import as_json, parse_row
from calyx.run.order import Link
from calyx.run.rows import RoundRow
from calyx.run.summary import ModelTest
from server.sampling import Groups
from strategies.algorithm import State

_STATE = "state.json"
_FILES = ("weights.safetensors", "strategy.safetensors", "best.safetensors")
_FORMAT = 3  # of 2, nobody knows whose rows the best round's figure is over
_NAME = len("round-000000")
_OWN = re.compile(r"round-\d{6,}(-pending|-tested)?")  # other names are of other people
_STEPS = ("-pending", "", "-tested")  # ends of the names of one round's checkpoints, in time


@dataclass(frozen=True)
class Best:
    """The best model so far by `stopping.monitor`; or the last one, where none is called best."""

    round: int
    value: float | None  # None where it is released because it is the last one
    weights: Weights
    clients: tuple[str, ...] = ()  # who validated it, sorted
    population: Population | None = None  # the rows that the value is over; None where it is None
    test: ModelTest | None = None  # its figures on everybody's test part, once they are known


@dataclass(frozen=True)
class RunState:
    """All that the next round depends on, after the training of `round` rounds."""

    run: str  # Calyx's own id, kept over resume
    config: str  # digest of what decides the bytes
    round: int
    weights: Weights
    strategy: State
    best: Best | None
    pending: RoundRow | None = None  # round `round`'s row while its model is not validated yet
    links: tuple[Link, ...] = ()  # the encrypted sums that made `weights`
    # All that may take part, by group, for as long as the run lives; None: one group, or not dealt yet.
    members: Groups | None = None
    w_max: int | None = None  # a client's largest weight, where it follows the audit's sums
    is_stalled: bool = False  # the last round changed nothing, and encrypted ones cannot go on
    waited: int = 0  # rounds since the best one that were compared with it
    apart: tuple[tuple[str, ...], ...] = ()  # clients of the last rounds that were not compared
    untold: tuple[RoundRow, ...] = ()  # rounds that are done, and perhaps not in rounds.jsonl yet

    @property
    def rows(self) -> int:
        """Rounds that are done: each has its row in rounds.jsonl, or in `untold`."""
        return self.round - (self.pending is not None)


class DamagedCheckpoint(Exception):
    """A checkpoint's files are not what its state says."""


_DAMAGE = (
    *(DamagedCheckpoint, SafetensorError, OSError),
    *(ValueError, KeyError, TypeError, AttributeError, OverflowError),
)
_KINDS = {"run": str, "config": str, "round": int, "names": list, "sha256": dict, "waited": int}


def save(folder: Path, state: RunState, keep: int) -> None:
    """Write a checkpoint under `folder`, then drop all but the last `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    is_tested = state.best is not None and state.best.test is not None
    step = 0 if state.pending else 2 if is_tested else 1
    name = f"round-{state.round:06d}{_STEPS[step]}"
    beside = folder / f".{name}.part"
    final = folder / name
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with name_in_errors(final):
            _write(beside, state)
            shutil.rmtree(final, ignore_errors=True)
            beside.rename(final)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)  # a full disk has no room for half of one
        raise
    sync_folder(folder)
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def _write(beside: Path, state: RunState) -> None:
    """A checkpoint's files into a new folder."""
    beside.mkdir()
    flat = {f"{name}/{key}": v for name, part in state.strategy.items() for key, v in part.items()}
    best = state.best.weights if state.best else {}
    tensors = (state.weights, flat, best)
    hashes = {}
    for name, weights in zip(_FILES, tensors, strict=True):
        data = to_bytes(weights)
        write_synced(beside / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    body: dict[str, Any] = {
        "format": _FORMAT,
        "run": state.run,
        "config": state.config,
        "round": state.round,
        "names": list(state.weights),
        "best": _figures(state.best),
        "pending": state.pending and as_json(state.pending),
        "is_stalled": state.is_stalled,
        "waited": state.waited,
        "apart": state.apart,
        "untold": [as_json(row) for row in state.untold],
        "links": [[link.ctx, link.root] for link in state.links],
        "members": state.members,
        "w_max": state.w_max,
        "sha256": hashes,
    }
    write_synced(beside / _STATE, strict_json(body | {"digest": digest(body)}).encode())
    sync_folder(beside)


def _figures(best: Best | None) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "round": best.round,
        "value": best.value,
        "clients": best.clients,
        "population": best.population and best.population.to_json(),
        "test": best.test and as_json(best.test),
    }


def load_newest(folder: Path) -> tuple[RunState, list[str]]:
    """The newest sound checkpoint, and a sentence about each damaged one that was passed over.

    Raises UserError if there is none, or one of another version of Calyx.
    """
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            return _load(path), damaged
        except _DAMAGE as error:
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
    def age(path: Path) -> tuple[str, int]:
        name, step = path.name[:_NAME], path.name[_NAME:]
        return name, _STEPS.index(step) if step in _STEPS else -1

    own = (path for path in folder.glob("round-*") if _OWN.fullmatch(path.name))
    return sorted(own, key=age, reverse=True)


def _load(path: Path) -> RunState:
    body = read_object(path / _STATE)
    wrong = [key for key, kind in _KINDS.items() if not isinstance(body[key], kind)]
    if wrong or body["round"] < 0:
        raise DamagedCheckpoint(f"state.json holds no {wrong[0] if wrong else 'round'}")
    if digest({k: v for k, v in body.items() if k != "digest"}) != body["digest"]:
        raise DamagedCheckpoint("state.json is not what was written")
    if body["format"] != _FORMAT:
        raise UserError(
            f"The checkpoint {path} has the format {body['format']} of another version of Calyx, and "
            f"this one reads {_FORMAT}; resume the run with the version that began it, or start it "
            "again in another folder."
        )
    for name in _FILES:
        data = read_plain(path / name, MOST_TENSOR_BYTES)
        if hashlib.sha256(data).hexdigest() != body["sha256"].get(name):
            raise DamagedCheckpoint(f"{name} is not what was written")
    strategy: State = {}
    for name, array in load_weights(path / "strategy.safetensors").items():
        part, key = name.split("/", 1)
        strategy.setdefault(part, {})[key] = array
    best = body["best"] and Best(
        round=body["best"]["round"],
        value=body["best"]["value"],
        weights=load_weights(path / "best.safetensors", body["names"]),
        clients=tuple(body["best"]["clients"]),
        population=read_population(body["best"]["population"]),
        test=body["best"]["test"] and parse_row(ModelTest, body["best"]["test"]),
    )
    weights = load_weights(path / "weights.safetensors", body["names"])
    return RunState(
        run=body["run"],
        config=body["config"],
        round=body["round"],
        weights=weights,
        strategy=strategy,
        best=best,
        pending=body["pending"] and parse_row(RoundRow, body["pending"]),
        links=tuple(Link(ctx=ctx, root=root) for ctx, root in body["links"]),
        members=_members(body.get("members")),
        w_max=None if body.get("w_max") is None else int(body["w_max"]),
        is_stalled=body["is_stalled"],
        waited=body["waited"],
        apart=tuple(tuple(names) for names in body["apart"]),
        untold=tuple(parse_row(RoundRow, row) for row in body.get("untold", ())),
    )


def _members(groups: list[list[str]] | None) -> Groups | None:
    """As they were dealt; checkpoints of earlier versions of Calyx say nothing of them."""
    return None if groups is None else tuple(tuple(map(str, names)) for names in groups)
