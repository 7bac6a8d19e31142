"""The command that a sentence about a missing extra names is one that works here."""

import subprocess
import sys

import pytest

from calyx.words import extras


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose environment this is, as scripts/environment makes it."""
    root = tmp_path / "a checkout"
    (root / ".venv").mkdir(parents=True)
    (root / ".venv/.stamp").touch()
    (root / "scripts").mkdir()
    (root / "scripts/environment").write_text('#!/bin/sh\necho "adds $*"\n')
    (root / "scripts/environment").chmod(0o755)
    monkeypatch.setattr(extras, "ROOT", root)
    monkeypatch.setattr(sys, "prefix", str(root / ".venv"))
    return root


@pytest.mark.parametrize("folder", [".", "scripts", ".."])
def test_in_a_checkouts_environment_it_is_the_script_from_whatever_folder(
    checkout, monkeypatch, folder
):
    monkeypatch.chdir(checkout / folder)
    done = subprocess.run(extras.advise_extra("ray"), shell=True, capture_output=True, text=True)
    assert done.stdout == "adds ray\n"
    assert (extras.advise_extra("ray") == "scripts/environment ray") == (folder == ".")


def test_in_another_environment_it_is_pips(checkout, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert extras.advise_extra("ray") == "pip install 'calyx[ray]'"
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    (checkout / ".venv/.stamp").unlink()  # one that the scripts did not make
    assert extras.advise_extra("ray") == "pip install 'calyx[ray]'"
