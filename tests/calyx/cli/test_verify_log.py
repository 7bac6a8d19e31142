"""`calyx verify-log`: what it says of a log, and how it ends."""

import json
import os

import pytest

from calyx.cli import keys
from calyx.cli.main import run
from calyx.serving.decisions import Decision, DecisionLog
from calyx.serving.log_config import LogConfig
from calyx.serving.log_lines import list_files
from calyx.serving.log_opening import open_log
from calyx.trust.key_files import read_own

RELEASE = "cd" * 32


@pytest.fixture
def log(tmp_path, monkeypatch, capsys):
    """A log of two replicas, whose key is w.key, in the present folder."""
    monkeypatch.chdir(tmp_path)
    assert keys.main(["log", "w"]) == 0
    key = read_own(tmp_path / "w.key", "log", "make one")
    for replica in (1, 2):
        with DecisionLog(tmp_path / "log", key, RELEASE, LogConfig(), replica=replica) as written:
            for n in range(replica):
                written.append(Decision(f"r{n}", "ward", "predict", "answered", 200, RELEASE, 1))
    capsys.readouterr()
    return tmp_path / "log"


def verify(capsys, *words):
    code = run(["verify-log", *words, "--key", "w.pub"])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_sound_log_is_told_in_a_line_a_replica(log, capsys):
    code, out, err = verify(capsys, "log")
    first, second = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("replica 1: 1 decision in 1 file, 2")
    assert second.startswith("replica 2: 2 decisions in 1 file, 2")
    assert ", 2 signatures; head " in first


def test_a_changed_line_is_named_and_ends_with_exit_code_1(log, capsys):
    path = list_files(log)[2][1]
    path.write_bytes(path.read_bytes().replace(b'"request":"r1"', b'"request":"r9"'))
    code, out, err = verify(capsys, "log")
    assert code == 1
    assert out.startswith("decisions-2-000001.jsonl:4: line 4 of the log was changed")
    assert "decisions-2-000001.jsonl, line 4" in err
    code, out, _ = verify(capsys, "log", "--json")
    told = json.loads(out)
    assert (code, told["sound"]) == (1, False)
    assert [d["line"] for d in told["chains"][1]["damages"]] == [4]


def test_one_file_of_a_log_is_checked_by_itself(log, capsys):
    code, out, _ = verify(capsys, "log/decisions-2-000001.jsonl")
    assert code == 0
    assert out.startswith("replica 2: 2 decisions")


def test_a_cut_end_is_said_to_be_unknown_and_shown_by_a_head(log, capsys):
    head = json.loads(verify(capsys, "log", "--json")[1])["chains"][0]["head"]
    assert verify(capsys, "log", "--head", head)[0] == 0
    path = list_files(log)[1][1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    code, out, _ = verify(capsys, "log")
    assert code == 0
    assert "1 line after the last signature" in out
    code, _, err = verify(capsys, "log", "--head", head)
    assert code == 1
    assert f"No line of the log has the hash {head}" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "is no log"),
        (["."], "holds no log of decisions"),
        (["log", "--head", "x"], "is no head of a log"),
        (["log", "--key", "n.pub"], "is a site's identity key, and a log's is needed"),
    ],
)
def test_a_mistake_is_a_sentence(log, capsys, words, said):
    keys.main(["identity", "n"])
    capsys.readouterr()
    code, _, err = verify(capsys, *words)
    assert code == 2
    assert said in err


def test_no_link_of_a_log_is_followed(log, capsys):
    path = list_files(log)[1][1]
    path.rename(log / "elsewhere")
    os.symlink("elsewhere", path)
    code, _, err = verify(capsys, "log")
    assert code == 1
    assert "it is a link" in err


def test_kept_rows_are_shown_to_who_has_their_key_and_to_nobody_else(log, capsys):
    for name in ("auditor", "other"):
        keys.main(["recipient", name])
    config = LogConfig(
        folder=str(log), key="w.key", keep_rows=True, rows_key="auditor.pub", sign_every_s=60
    )
    with open_log(config, log, RELEASE) as written:
        for request, rows in (("r-7", b"age,weight\n50,\x1b[2J70\n"), ("r-8", b"other rows")):
            kept = written.keep_rows(request, rows)
            written.append(
                Decision(request, "ward", "predict", "answered", 200, RELEASE, 1, kept=kept)
            )
    stored = b"".join(path.read_bytes() for path in log.iterdir())
    assert b"weight" not in stored
    capsys.readouterr()
    code, out, _ = verify(capsys, "log", "--rows", "auditor.key", "--request", "r-7")
    assert (code, out.splitlines()[-2:]) == (0, ["age,weight", "50,?[2J70"])
    code, _, err = verify(capsys, "log", "--rows", "other.key", "--request", "r-7")
    assert (code, "sealed for another key" in err) == (2, True)
    (rows,) = log.glob("rows-*")
    swapped = rows.read_bytes().replace(b"r-7", b"r-9").replace(b"r-8", b"r-7")
    rows.write_bytes(swapped)  # another request's rows under this one's id
    code, _, err = verify(capsys, "log", "--rows", "auditor.key", "--request", "r-7")
    assert (code, "not those that the log speaks of" in err) == (2, True)
