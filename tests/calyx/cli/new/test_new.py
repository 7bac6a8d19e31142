"""`calyx new NAME`: a whole package, or nothing."""

import csv
import os

import pytest

from calyx.cli.new import command
from calyx.errors import UserError


def test_it_writes_a_package_with_rows_for_eight_clients(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["pump_care"]) == 0
    assert "pip install -e pump_care" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["pump_care"]
    package = tmp_path / "pump_care" / "pump_care"
    assert "class PumpCare:" in (package / "task.py").read_text()
    assert "$" not in "".join(
        p.read_text() for p in (tmp_path / "pump_care").rglob("*.*") if p.is_file()
    )
    data = sorted((package / "data").iterdir())
    assert len(data) == 8
    for path in data:
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert len(rows) == 80
        assert {row["state"] for row in rows} == {"fine", "fails"}
    assert any(",," in path.read_text() for path in data)
    compile((package / "task.py").read_text(), "task.py", "exec")


def test_the_same_name_gives_the_same_rows():
    assert (
        command.make_up_rows("oslo") == command.make_up_rows("oslo") != command.make_up_rows("lima")
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my task", "is no name for a package"),
        ("my-task", "is no name for a package"),
        ("class", "is no name for a package"),
        ("1st", "is no name for a package"),
        ("größe", "is no name for a package"),
        ("../x", "is no name for a package"),
        ("Fleet", "write the name small"),
        ("_x", "write the name small"),
        ("heart", "There is a task 'heart' already"),
        ("numpy", "There is a Python package 'numpy' already"),
        ("json", "There is a Python package 'json' already"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        command.main([name])
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet").write_text("mine")
    with pytest.raises(UserError, match="There is a fleet here already"):
        command.main(["fleet"])
    assert (tmp_path / "fleet").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def full(_):
        raise OSError("disk full")

    monkeypatch.setattr(command, "make_up_rows", full)
    with pytest.raises(OSError, match="disk full"):
        command.main(["fleet"])
    assert os.listdir(tmp_path) == []
