"""The package of somebody else's task: told by its distribution, its version and its very files."""

import hashlib

import pytest

from calyx.errors import UserError
from calyx.releases.packages import list_needed
from calyx.releases.task_package import package_of

SOURCE = b"raise SystemExit('nothing of it is imported')\n"
METADATA = "Metadata-Version: 2.1\nName: Ours-Lab\nVersion: 1.2\nRequires-Dist: calyx\nRequires-Dist: numpy\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `ours_lab` with a task `ours`, installed as far as its metadata say."""
    folder, told = tmp_path / "ours_lab", tmp_path / "ours_lab-1.2.dist-info"
    folder.mkdir()
    told.mkdir()
    (folder / "__init__.py").write_bytes(SOURCE)
    (told / "METADATA").write_text(METADATA)
    (told / "entry_points.txt").write_text("[calyx.tasks]\nours = ours_lab.task:Ours\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_package_is_told_by_its_files(package):
    """Oracle: SHA-256 of the line that names the one file and its own SHA-256."""
    line = f"ours_lab/__init__.py\0{hashlib.sha256(SOURCE).hexdigest()}\n"
    told = package_of("ours")
    assert told.sha256 == hashlib.sha256(line.encode()).hexdigest()
    assert (told.distribution, told.version, told.modules) == ("Ours-Lab", "1.2", ("ours_lab",))


def test_what_a_package_needs_is_in_the_bill_and_calyx_is_no_package_of_an_index(package):
    (ours,) = [one for one in list_needed(["Ours-Lab"]) if one.name == "ours-lab"]
    assert (ours.version, ours.needs) == ("1.2", ("numpy",))
    assert "flwr" not in {one.name for one in list_needed(["Ours-Lab"])}


def test_calyxs_own_tasks_have_no_package():
    assert package_of("heart") is None


def test_compiled_code_in_a_package_is_refused(package):
    (package / "fast.so").write_bytes(b"")
    with pytest.raises(UserError, match=r"ours_lab/fast\.so is compiled code"):
        package_of("ours")


def test_a_task_that_is_not_installed_is_named():
    with pytest.raises(UserError, match="no task 'nobodys'"):
        package_of("nobodys")
