"""The run folder and the job."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from support.run_folders import ROW

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError, UserError
from calyx.files.plain import append_lines, read_lines
from calyx.run.folder import RunFolder, claim, hold
from calyx.run.rows import RoundRow
from server.job import Engine, read_job, to_run_config


def test_a_folder_is_free_until_a_run_has_written_into_it(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.refuse_if_used()
    assert not folder.path.exists()
    folder.write_config({"seed": 1})
    assert folder.read_config() == {"seed": 1}
    with pytest.raises(UserError, match="already holds a run"):
        folder.refuse_if_used()


def test_of_many_that_want_one_name_at_once_each_gets_a_folder_of_its_own(tmp_path):
    wanted, begin = tmp_path / "deep" / "12-00-00", Barrier(16)

    def claimed(_):
        begin.wait()
        return claim(wanted)

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(claimed, range(16)))
    assert {path.name for path in made} == {"12-00-00", *(f"12-00-00-{n}" for n in range(2, 17))}
    assert set(wanted.parent.iterdir()) == made


def test_a_folder_of_a_run_that_was_refused_goes_again_and_what_was_there_stays(tmp_path):
    mine, new = tmp_path / "mine", tmp_path / "a" / "b"
    mine.mkdir()
    with hold(mine, is_new=False, key="k"), hold(new, is_new=True, key="k"):
        assert new.is_dir()
    assert list(tmp_path.iterdir()) == [mine]
    with hold(new, is_new=True, key="k") as first:
        (first / "config.yaml").touch()
        with hold(new, is_new=True, key="k") as second:
            assert second == tmp_path / "a" / "b-2"
    assert list(new.parent.iterdir()) == [first]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    for is_new in (True, False):
        with pytest.raises(
            UserError, match=r"file/x cannot be made \(Not a dir.* another hydra.run.dir"
        ):
            hold(tmp_path / "file" / "x", is_new=is_new, key="hydra.run.dir").__enter__()


@pytest.mark.parametrize(
    "text", ["[1]", "a: [", "", "\xff", "a: &x [1]\nb: *x", "a: 2020-01-01", "a: !!binary aGk="]
)
def test_a_damaged_config_is_said(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="damaged"):
        RunFolder(tmp_path).read_config()


def test_rows_after_a_round_and_a_cut_off_line_are_dropped(tmp_path):
    folder = RunFolder(tmp_path)
    append_lines(folder.rounds, [ROW | {"round": n, "new": "key"} for n in (1, 2, 3)])
    with folder.rounds.open("ab") as file:
        file.write(b'{"rou')
    folder.truncate(folder.rounds, RoundRow, lambda row: row.round <= 2)
    assert folder.rounds.read_bytes().count(b"\n") == 2
    assert [(row["round"], row["new"]) for row in read_lines(folder.rounds)] == [
        (1, "key"),
        (2, "key"),
    ]


@pytest.mark.parametrize("line", ['{"round": "x"}', "{}", '{"round": [1]}', "[1]", "{oops}"])
def test_lines_of_rounds_that_are_none_are_damage(tmp_path, line):
    folder = RunFolder(tmp_path)
    folder.rounds.write_text(f"{json.dumps(ROW | {'round': 1})}\n{line}\n")
    with pytest.raises(UserError, match=r"rounds\.jsonl is damaged"):
        folder.truncate(folder.rounds, RoundRow, lambda row: row.round <= 2)


@pytest.mark.parametrize("rounds", [[1, 2], [1, 3, 2], []])
def test_a_round_without_its_line_is_noticed_before_it_is_gone_on_with(tmp_path, rounds):
    folder = RunFolder(tmp_path)
    append_lines(folder.rounds, [ROW | {"round": n} for n in (1, 2, 3)])
    folder.check_rounds(3)
    folder.rounds.unlink()
    append_lines(folder.rounds, [ROW | {"round": n} for n in rounds])
    with pytest.raises(UserError, match="not one line for each of the 3 rounds"):
        folder.check_rounds(3)


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
    config, engine = resolve(compose([])), Engine(name="embedded", clients_remember=False)
    job = read_job(to_run_config(config, tmp_path, resume=True, roster=None, engine=engine))
    assert (job.run.rounds, job.run_dir, job.resume) == (40, str(tmp_path), True)
    assert (job.config, job.engine) == (config, engine)


def test_flwr_run_gives_overrides_and_cannot_encrypt():
    job = read_job({"config": "privacy=none rounds=3"})
    assert (job.run.rounds, job.run.privacy.name, job.resume) == (3, "none", False)
    for empty in ({}, {"config": ""}):
        with pytest.raises(ConfigError, match="`flwr run` has no keys"):
            read_job(empty)
    with pytest.raises(ConfigError):
        read_job({"config": '{"config":{},"run_dir":"x"}'})
