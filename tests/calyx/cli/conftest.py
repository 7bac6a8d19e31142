"""What the doctors of the roles look at: the files of a federation, made once and copied."""

import os
import shutil

import pytest

from calyx.cli import keys

NAMES = ("north", "south", "east", "west", "centre")


@pytest.fixture(scope="session")
def keys_of_all(tmp_path_factory):
    """Keys of everybody."""
    folder = tmp_path_factory.mktemp("made")
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert keys.main(["init", "--folder", "keys", "--host", "gate.example"]) == 0
        assert keys.main(["consortium"]) == 0
        (folder / "nodes").mkdir()
        for name in NAMES:
            assert keys.main(["site", name, "--folder", "sites"]) == 0
            shutil.copy(f"sites/{name}.node.pub", "nodes")
        publics = [f"sites/{name}.pub" for name in NAMES]
        sign = ["--consortium", "consortium.key"]
        assert keys.main(["roster", *sign, "--out", "roster.json", *publics]) == 0
        assert keys.main(["manifest", *sign, "--out", "manifest.json", "--version", "1"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def federation(keys_of_all, tmp_path, monkeypatch):
    """A copy of them, which is also the present folder."""
    shutil.copytree(keys_of_all, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path
