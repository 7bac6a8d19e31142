"""Checkpoints: whole or absent, damage is found, the one before is used."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from support.run_folders import round_of

from calyx.config.section import digest
from calyx.errors import UserError
from calyx.files.plain import strict_json
from calyx.run.order import Link
from server.checkpoints import Best, RunState, load_newest, save


def state(round):
    weights = {"b": np.full(2, round, np.float32), "a": np.arange(3, dtype=np.float32)}
    moments = {"m": {"b": np.full(2, 0.1)}, "v": {"b": np.full(2, 1 / 3)}}
    best = Best(round - 1, 0.5, weights) if round else None
    return RunState("run", "digest", round, weights, moments, best)


def same(left, right):
    assert (left.run, left.config, left.round) == (right.run, right.config, right.round)
    assert list(left.weights) == list(right.weights)
    for mine, other in ((left.weights, right.weights), (left.strategy["v"], right.strategy["v"])):
        assert all(
            mine[k].tobytes() == other[k].tobytes() and mine[k].dtype == other[k].dtype
            for k in other
        )


def test_a_state_comes_back_bit_for_bit_in_the_models_order(tmp_path):
    for number in range(3):
        save(tmp_path, state(number), keep=9)
    loaded, damaged = load_newest(tmp_path)
    same(loaded, state(2))
    assert loaded.best is not None
    assert (loaded.best.round, loaded.best.value, damaged) == (1, 0.5, [])


def test_the_last_k_are_kept(tmp_path):
    for number in range(6):
        save(tmp_path, state(number), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["round-000004", "round-000005"]


def test_what_a_full_disk_cut_off_is_taken_away_and_the_checkpoint_named(tmp_path, monkeypatch):
    save(tmp_path, state(0), keep=2)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full") as stopped:
        save(tmp_path, state(1), keep=2)
    assert stopped.value.filename == str(tmp_path / "round-000001")
    assert [path.name for path in tmp_path.iterdir()] == ["round-000000"]


@pytest.mark.parametrize(
    "file", ["state.json", "weights.safetensors", "strategy.safetensors", "best.safetensors"]
)
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(tmp_path, file, how):
    for number in (3, 4):
        save(tmp_path, state(number), keep=3)
    victim = tmp_path / "round-000004" / file
    data = bytearray(victim.read_bytes())
    if how == "remove":
        victim.unlink()
    else:
        data[len(data) // 2] ^= 4
        victim.write_bytes(data if how == "flip" else data[: len(data) // 2])
    loaded, damaged = load_newest(tmp_path)
    same(loaded, state(3))
    assert "round-000004 is damaged" in damaged[0]


def test_an_unfinished_checkpoint_is_not_taken_for_one(tmp_path):
    save(tmp_path, state(3), keep=3)
    (tmp_path / ".round-000004.part").mkdir()
    assert load_newest(tmp_path)[0].round == 3


def test_without_a_sound_checkpoint_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        load_newest(tmp_path)
    save(tmp_path, state(1), keep=3)
    (tmp_path / "round-000001" / "state.json").write_text("{")
    with pytest.raises(UserError, match="is sound"):
        load_newest(tmp_path)


def test_what_awaits_its_validation_comes_back_and_is_older_than_what_has_it(tmp_path):
    link = Link(ctx="1" * 64, root="2" * 64)
    row = round_of(5, train_loss=0.5)
    waiting = replace(state(5), pending=row, links=(link,), is_stalled=True)
    save(tmp_path, waiting, keep=3)
    loaded, _ = load_newest(tmp_path)
    assert (loaded.pending, loaded.links, loaded.is_stalled) == (row, (link,), True)
    assert (loaded.round, loaded.rows) == (5, 4)
    save(tmp_path, state(5), keep=3)
    loaded, _ = load_newest(tmp_path)
    assert (loaded.pending, loaded.rows) == (None, 5)
    save(tmp_path, replace(state(6), pending=row), keep=2)
    assert load_newest(tmp_path)[0].round == 6
    assert len(list(tmp_path.iterdir())) == 2


def test_one_of_another_version_is_refused_and_not_taken_for_damaged(tmp_path):
    save(tmp_path, state(3), keep=3)
    path = tmp_path / "round-000003" / "state.json"
    body = json.loads(path.read_text()) | {"format": 2}
    del body["digest"]
    path.write_text(strict_json(body | {"digest": digest(body)}))
    with pytest.raises(UserError, match="has the format 2 of another version of Calyx"):
        load_newest(tmp_path)
