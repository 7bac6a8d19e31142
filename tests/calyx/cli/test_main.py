"""The program where its machine is odd: a folder that is gone, one that shadows a package, a full disk."""

import errno
import importlib.util
import os
from contextlib import suppress

import pytest

from calyx.cli import main
from calyx.cli.main import COMMANDS, run

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_in_a_folder_that_is_gone_it_says_so(here, monkeypatch, capsys):
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "calyx: The folder that you are in is there no more; go to another one.\n"
    )


def test_a_users_file_with_the_name_of_our_package_is_named(here, monkeypatch):
    (here / "server.py").write_text("")
    theirs = importlib.util.spec_from_file_location("server", here / "server.py")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: theirs if name == "server" else real(name)
    )
    said = main._why_failed(ModuleNotFoundError("No module named 'calyx.run.folder'"))
    assert said.startswith(f"{here / 'server.py'} stands before Calyx's own package server")


def test_a_full_disk_is_said_with_the_file(monkeypatch, capsys, here):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert run(["new", "mytask"]) == 0  # writes nothing that is synced
    assert run(["keys", "consortium"]) == 2
    assert "consortium.key cannot be written: No space left on device." in capsys.readouterr().err
    assert run(["simulate", "task.num_clients=6", "rounds=1", "engine.workers=0"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("calyx: ")
    assert "cannot be written: No space left on device. Make room there, and start" in said
    assert ".part" not in said
    assert said.count("\n") == 1
    assert "runs/" in said


def test_names_in_another_encoding_than_the_terminals_are_one_sentence(capsys):
    """As Python gives them to a program: bytes that are no text there."""
    odd = os.fsdecode(b"gr\xf6\xdfe")
    assert run(["simulate", f"hydra.run.dir={odd}", "rounds=1"]) == 2
    said = capsys.readouterr().err
    assert "is not written in this terminal's encoding" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("simulate", "doctor")])
def test_every_command_says_what_it_takes(command, capsys):
    with suppress(SystemExit):  # argparse's own
        assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"calyx {command}" in said
    assert "docs/decisions" not in said  # which is for readers of the code


def test_a_command_of_an_extra_that_is_not_installed_names_it_and_how_to_get_it(
    monkeypatch, capsys
):
    real = main.importlib.import_module

    def without_limits(name):
        if name == "calyx.cli.serve":
            raise ModuleNotFoundError("No module named 'limits.storage'", name="limits.storage")
        return real(name)

    monkeypatch.setattr(main.importlib, "import_module", without_limits)
    assert main.run(["serve", "releases"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("calyx: calyx serve needs the package limits, of the extra serve: ")
    assert said.count("\n") == 1
