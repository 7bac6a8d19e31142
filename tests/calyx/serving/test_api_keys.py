"""API keys: what is kept of one, and how soon a running gateway knows of a change."""

import logging
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway_keys import add_key

from calyx.errors import UserError
from calyx.serving.api_keys import (
    KeyFile,
    KeyRing,
    draw_key,
    read_key_file,
    why_over,
    write_key_file,
)


def wait_for(claim) -> None:
    """Until `claim()` is true, at most the second in which a change must be in force."""
    end = time.monotonic() + 1.0
    while not claim() and time.monotonic() < end:
        time.sleep(0.02)
    assert claim()


def test_a_key_is_found_and_one_sign_less_or_other_is_not(tmp_path: Path):
    key = add_key(tmp_path / "keys.json", "ward", "predict")
    ring = KeyRing(tmp_path / "keys.json")
    found = ring.find(key)
    assert found is not None
    assert (found.name, found.scopes) == ("ward", ("predict",))
    other = "A" if key[-1] != "A" else "B"
    for wrong in (key[:-1], key[:-1] + other, key + "=", " " + key, key.upper(), draw_key()[0], ""):
        assert ring.find(wrong) is None


@given(st.text())
def test_no_text_is_taken_for_a_key(tmp_path_factory, text: str):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_key_file(path, KeyFile())
    assert KeyRing(path).find(text) is None


def test_the_file_holds_no_key_and_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "keys.json"
    key = add_key(path, "ward")
    assert key.rpartition("_")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_key_and_a_revoked_one_are_known_within_a_second(tmp_path: Path):
    path = tmp_path / "keys.json"
    first = add_key(path, "ward")
    ring = KeyRing(path)
    assert ring.find(first) is not None
    second = add_key(path, "lab")
    wait_for(lambda: ring.find(second) is not None)
    keys = read_key_file(path).keys
    write_key_file(path, KeyFile(keys=keys[1:]))
    wait_for(lambda: ring.find(first) is None)


@pytest.mark.parametrize("damage", [b"", b'{"format": "calyx-gat', b"[]", b'{"keys": [{}]}', None])
def test_a_damaged_file_leaves_the_last_good_one_in_force_and_is_said(
    tmp_path: Path, caplog, damage: bytes | None
):
    path = tmp_path / "keys.json"
    key = add_key(path, "ward")
    ring = KeyRing(path)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        wait_for(lambda: ring.find(key) is not None and bool(caplog.records))
    assert "stays in force" in caplog.text
    assert key not in caplog.text
    with pytest.raises(UserError, match=r"keys\.json"):
        KeyRing(path)


def test_a_file_that_others_may_change_is_refused(tmp_path: Path):
    path = tmp_path / "keys.json"
    add_key(path, "ward")
    path.chmod(0o620)
    with pytest.raises(UserError, match="can be changed by others"):
        KeyRing(path)


def test_a_key_is_over_from_its_last_second_on(tmp_path: Path):
    path = tmp_path / "keys.json"
    add_key(path, "ward", expires_s=60)
    [key] = read_key_file(path).keys
    end = time.time() + 61
    assert why_over(key, end - 10) is None
    assert why_over(key, end) == "expired"
