"""`calyx doctor` says what is wrong and how to mend it."""

from importlib import metadata

import pytest

from calyx.cli import doctor
from calyx.errors import UserError


def test_here_a_simulation_can_run(capsys):
    assert doctor.main([]) == 0
    said = capsys.readouterr().out
    assert "A simulation can run here." in said
    assert "digits" in said


def test_a_package_of_the_wrong_version_is_a_problem_with_a_cure(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "version", lambda name: "0.1" if name == "flwr" else metadata.version(name)
    )
    assert doctor.main([]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "flwr 0.1 is not" in said
    assert "make the environment again" in said


def test_a_folder_that_cannot_be_written_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refused)
    check = doctor._folder()
    assert (check.state, "Permission denied" in check.found, bool(check.mend)) == (
        "problem",
        True,
        True,
    )


def test_it_takes_the_name_of_a_role_and_nothing_else():
    with pytest.raises(UserError, match="takes server, site, privacy or nothing"):
        doctor.main(["please"])


def test_help_says_what_there_is(capsys):
    assert doctor.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "calyx doctor server" in said
    assert "calyx doctor site SITE.yaml" in said
