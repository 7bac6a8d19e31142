"""What `calyx client` and `calyx server` run, whatever lies beside their code or in the environment."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from shutil import ignore_patterns

import pytest

from calyx.cli import isolated, main
from calyx.secagg.keys import identity_of
from calyx.secagg.roster import make_roster, write_roster
from calyx.trust.manifest import write_manifest
from calyx.trust.measured import PACKAGES

ROOT = Path(main.__file__).parents[2]
CONSORTIUM = bytes(range(32))
TAKEN = b"raise SystemExit('taken')\n"


@pytest.fixture
def started(monkeypatch):
    """What this process would have become."""
    made = []
    monkeypatch.setattr(os, "execv", lambda program, words: made.append((program, words)))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    return made


@pytest.mark.parametrize("words", [["client", "a b.yaml"], ["--debug", "server"], ["client"]])
def test_a_command_that_strangers_talk_to_becomes_an_isolated_process(started, words):
    isolated.enter(words)
    first = str(ROOT / "calyx" / "cli" / "isolated.py")
    assert started == [(sys.executable, [sys.executable, "-I", first, *words])]


@pytest.mark.parametrize("words", [[], ["simulate"], ["doctor", "client"], ["-h"]])
def test_other_commands_stay_as_they_are(started, words):
    isolated.enter(words)
    assert started == []


def test_who_asked_for_unbuffered_output_has_it(started, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    isolated.enter(["client"])
    assert started[0][1][1:3] == ["-I", "-u"]


def poison(source, code):
    """Write bytecode of other code beside `source` that fits its time and size."""
    written, text = source.stat(), source.read_bytes()
    source.write_bytes(code.ljust(len(text), b"\n"))
    os.utime(source, ns=(written.st_atime_ns, written.st_mtime_ns))
    SourceFileLoader(source.stem, str(source)).get_code(source.stem)
    assert Path(cache_from_source(str(source))).exists()
    source.write_bytes(text)
    os.utime(source, ns=(written.st_atime_ns, written.st_mtime_ns))


@pytest.mark.e2e
def test_code_that_was_not_signed_does_not_run_before_it_is_found_nor_caches_nor_pythonpath(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    copy, evil = tmp_path / "copy", tmp_path / "evil"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=ignore_patterns("__pycache__"))
    roster = write_roster(make_roster({"north": identity_of(bytes(32))}, 1, CONSORTIUM))
    (tmp_path / "roster.json").write_text(roster)
    (tmp_path / "manifest.json").write_text(write_manifest(1, CONSORTIUM))
    (tmp_path / "site.yaml").write_text(
        "manifest: manifest.json\nclient: {roster: roster.json, state_dir: state}\n"
    )
    (copy / "client" / "learning" / "training.py").write_bytes(TAKEN)
    (copy / "calyx" / "new").mkdir()
    (copy / "calyx" / "new" / "__init__.py").write_bytes(TAKEN)
    for name in (
        "calyx/__init__.py",
        "calyx/cli/__init__.py",
        "calyx/cli/client.py",
        "calyx/cli/main.py",
        "calyx/trust/measured.py",
        "calyx/errors.py",
    ):
        poison(copy / name, TAKEN)
    evil.mkdir()
    for name in ("yaml", "numpy", "cryptography", "rich", "client"):
        (evil / f"{name}.py").write_bytes(TAKEN)
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "program.py", "client", "site.yaml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{copy}{os.pathsep}{evil}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "(calyx/new/__init__.py is not in it, client/learning/training.py has changed)"
        in ended.stderr
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "taken" not in ended.stderr
    assert not (tmp_path / "state").exists()


def test_variables_that_are_left_aside_are_said(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "evil")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    assert isolated.say_left_aside() is None  # this process reads them
    monkeypatch.setattr(isolated.sys, "flags", type("", (), {"isolated": 1}))
    assert isolated.say_left_aside().startswith("PYTHONPATH is set, and not used")
    monkeypatch.setenv("PYTHONHOME", "evil")
    assert isolated.say_left_aside().startswith("PYTHONHOME, PYTHONPATH are set")


@pytest.mark.e2e
def test_a_program_whose_modules_something_else_has_imported_already_does_not_start(tmp_path):
    early = "import sys, runpy; sys.modules['client.rows'] = sys; sys.argv[1:] = ['client', 'x']"
    first = f"runpy.run_path({str(ROOT / 'calyx' / 'cli' / 'isolated.py')!r}, run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", f"{early}; {first}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "client.rows was imported before it: see .pth files" in ended.stderr
