"""A release is of code: Calyx's, and that of somebody else's task, as it lies on this machine."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.releases import card_of

from calyx.releases.card_parts import TaskPart
from calyx.releases.installed import check_code
from calyx.releases.manifest import Unverified
from calyx.releases.task_package import package_of
from calyx.releases.writing import Place

PLACE = Place(Path("x"), "x", 1, None, datetime(2026, 1, 31, tzinfo=UTC))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a task, as somebody installed it."""
    folder = tmp_path / "somebodys"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "task.py").write_text("class Task: ...\n")
    about = tmp_path / "somebodys_task-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-task\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[calyx.tasks]\ntheirs = somebodys.task:Task\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def card_for(package):
    return card_of(
        b"", PLACE, task=TaskPart(name="theirs", metric="accuracy", package=package_of("theirs"))
    )


def refused(card):
    with pytest.raises(Unverified) as caught:
        check_code(card)
    return str(caught.value)


def test_the_code_that_was_released_is_the_code_that_is_here(package):
    check_code(card_of(b"", PLACE))
    check_code(card_for(package))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "task.cpython-311.pyc").write_bytes(b"any")  # which nobody reads
    check_code(card_for(package))


def test_another_file_of_somebodys_package_is_refused(package):
    card = card_for(package)
    (package / "task.py").write_text("class Task: pass\n")
    assert "the package somebodys-task is another" in refused(card)
    (package / "task.py").write_text("class Task: ...\n")
    check_code(card)
    (package / "more.py").write_text("")
    assert "the package somebodys-task is another" in refused(card)


def test_compiled_code_in_a_package_is_refused(package):
    card = card_for(package)
    (package / "task.so").write_bytes(b"")
    assert "task.so is compiled code" in refused(card)


def test_a_package_that_is_missing_is_refused(package, tmp_path):
    card = card_for(package)
    package.rename(tmp_path / "moved")
    assert "somebodys cannot be read" in refused(card)
    shutil.rmtree(tmp_path / "somebodys_task-1.0.dist-info")
    assert "There is no task 'theirs' here" in refused(card)


@pytest.mark.parametrize("module", ["calyx", "../evil", "os", "", "somebodys.task"])
def test_a_card_that_names_other_code_than_the_task_has_here_is_refused(package, module):
    """What would run here is what the entry point says, whatever package a card was measured by."""
    part = replace(package_of("theirs"), modules=(module,))
    for name in ("theirs", "heart"):
        task = TaskPart(name=name, metric="accuracy", package=part)
        assert "and the release was made with" in refused(card_of(b"", PLACE, task=task))
    ours = TaskPart(name="theirs", metric="accuracy", package=None)
    assert "is that of somebodys-task" in refused(card_of(b"", PLACE, task=ours))
