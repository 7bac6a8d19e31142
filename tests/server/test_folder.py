"""The run folder and the job."""

import pytest

from calyx.composing import compose, resolved
from calyx.errors import ConfigError, UserError
from calyx.files import append_lines, read_lines
from server.folder import RunFolder
from server.job import read_job, to_run_config


def test_a_folder_is_free_until_a_run_has_written_into_it(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.refuse_if_used()
    assert not folder.path.exists()
    folder.write_config({"seed": 1})
    assert folder.read_config() == {"seed": 1}
    with pytest.raises(UserError, match="already holds a run"):
        folder.refuse_if_used()


@pytest.mark.parametrize("text", ["[1]", "a: [", "", "\xff"])
def test_a_damaged_config_is_said(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="damaged"):
        RunFolder(tmp_path).read_config()


def test_rows_after_a_round_and_a_cut_off_line_are_dropped(tmp_path):
    folder = RunFolder(tmp_path)
    append_lines(folder.rounds, [{"round": n} for n in (1, 2, 3)])
    with folder.rounds.open("ab") as file:
        file.write(b'{"rou')
    folder.truncate(folder.rounds, lambda row: row["round"] <= 2)
    assert folder.rounds.read_bytes().count(b"\n") == 2
    assert [row["round"] for row in read_lines(folder.rounds)] == [1, 2]


def test_an_event_has_its_time_kind_severity_and_sentence(tmp_path):
    folder = RunFolder(tmp_path)
    folder.event("retry", "warning", "Again.", round=3)
    [row] = read_lines(folder.events)
    assert row.pop("time").endswith("+00:00")
    assert row == {
        "event": "retry",
        "severity": "warning",
        "round": 3,
        "client": None,
        "message": "Again.",
    }


def test_a_job_goes_through_flowers_run_config(tmp_path):
    job = read_job(to_run_config(resolved(compose([])), tmp_path, resume=True, roster=None))
    assert (job.run.rounds, job.run_dir, job.resume) == (40, str(tmp_path), True)


def test_flwr_run_gives_overrides_and_cannot_encrypt():
    job = read_job({"config": "privacy=none rounds=3"})
    assert (job.run.rounds, job.run.privacy["name"], job.resume) == (3, "none", False)
    for empty in ({}, {"config": ""}):
        with pytest.raises(ConfigError, match="`flwr run` has no keys"):
            read_job(empty)
    with pytest.raises(ConfigError):
        read_job({"config": '{"config":{},"run_dir":"x"}'})
