"""No command destroys what it reads, or writes over a file unasked: every command, every writer.

What was there before is compared byte by byte with what is there after the refusal.
"""

import errno
import os
from argparse import Namespace
from pathlib import Path

import pytest
from support.csv_files import write_folder
from support.run_folders import make
from support.site_files import changed, site_values, write_site

from calyx.cli import main
from calyx.cli.outputs import claim
from calyx.errors import UserError
from calyx.files.outputs import claim_output, write_whole
from server.checkpoints import _newest_first

IS_INPUT, IS_ROWS, IS_RUN = (
    "would be lost",
    "in which no command changes anything",
    "is a file of the run in",
)
IS_THERE, HOLDS_DATA, IS_OWN = "is there already", "holds the data", "choose another --out"
PREDICT = ["predict", "run", "new.csv", "--out"]
REPORT = ["report", "run", "other"]
CSV = ["task=csv", "task.data_dir=rows", "privacy=none"]
RUN, SWEEP = "hydra.run.dir=", "hydra.sweep.dir="
SIGN = ["--consortium", "consortium.key"]

REFUSED = [
    ([*PREDICT, "new.csv"], IS_INPUT),
    ([*PREDICT, "new.csv", "--replace"], IS_INPUT),
    ([*PREDICT, "rows/../new.csv", "--replace"], IS_INPUT),
    ([*PREDICT, "hard.csv", "--replace"], IS_INPUT),
    ([*PREDICT, "link.csv", "--replace"], IS_INPUT),
    (["predict", "run", "link.csv", "--out", "new.csv", "--replace"], IS_INPUT),
    ([*PREDICT, "rows/site-1.csv"], IS_ROWS),
    ([*PREDICT, "rows/site-1.csv", "--replace"], IS_ROWS),
    ([*PREDICT, "rows/a-new-client.csv"], IS_ROWS),
    ([*PREDICT, "same-rows/a-new-client.csv"], IS_ROWS),
    ([*PREDICT, "to-rows.csv", "--replace"], IS_ROWS),
    ([*PREDICT, "run/summary.json", "--replace"], IS_RUN),
    ([*PREDICT, "run/model.safetensors"], IS_RUN),  # not there: a run writes it later
    ([*PREDICT, "run/Report.HTML"], IS_RUN),
    ([*PREDICT, "run/checkpoints/predictions.csv"], IS_RUN),
    ([*PREDICT, "other/config.yaml", "--replace"], IS_RUN),
    ([*PREDICT, "to-run.json", "--replace"], IS_RUN),
    ([*PREDICT, "notes.txt"], IS_THERE),
    ([*PREDICT, "nowhere.csv"], IS_THERE),  # a link to nothing
    ([*PREDICT, "rows"], "is a folder"),
    ([*PREDICT, "no/folder/x.csv"], "lies in no folder"),
    ([*PREDICT, "notes.txt/x.csv"], "lies in no folder"),
    ([*PREDICT, "sites/north.key", "--replace"], "is a key"),
    ([*PREDICT, "sites/north.pub", "--replace"], "is a key"),
    ([*PREDICT, "keys/ca.crt", "--replace"], "is a key"),
    ([*PREDICT, "roster.json", "--replace"], "is a key"),
    ([*PREDICT, "state/events.jsonl", "--replace"], "a site's state folder"),
    (["predict", "run", "new.csv", "--replace"], "--replace is of --out=FILE"),
    (REPORT, IS_THERE),
    ([*REPORT, "--out", "notes.txt"], IS_THERE),
    ([*REPORT, "--out", "run/summary.json", "--replace"], IS_RUN),
    ([*REPORT, "--out", "rows/site-2.csv", "--replace"], IS_ROWS),
    ([*REPORT, "--out", "run"], IS_INPUT),
    (["report", "run", "--replace"], "is for comparisons"),
    (["audit", "--draft-schema", "new.csv", "--out", "hard.csv", "--replace"], IS_INPUT),
    (["audit", "--draft-schema", "new.csv", "--out", "rows/schema.yaml"], IS_THERE),
    (["audit", *CSV, f"{RUN}rows"], HOLDS_DATA),
    (["audit", *CSV, f"{RUN}foreign"], IS_THERE),
    (["simulate", *CSV, f"{RUN}rows"], HOLDS_DATA),
    (["simulate", *CSV, f"{RUN}same-rows"], HOLDS_DATA),
    (["simulate", *CSV, f"{RUN}."], HOLDS_DATA),
    (["simulate", *CSV, f"{RUN}foreign"], IS_THERE),
    (["simulate", *CSV, f"{RUN}run"], "already holds a run"),
    (["simulate", *CSV, f"{RUN}notes.txt"], "is a file"),
    (["simulate", "-m", *CSV, "seed=1,2", f"{SWEEP}rows"], HOLDS_DATA),
    (["simulate", "-m", *CSV, "seed=1,2", f"{SWEEP}foreign"], IS_THERE),
    (["simulate", "-m", *CSV, "seed=1,2", f"{SWEEP}jobs"], IS_THERE),
    (["submit", "privacy=none", f"{RUN}run"], "already holds a run"),
    (["submit", "privacy=none", f"{RUN}foreign"], IS_THERE),
    (["submit", "--roster=roster.json", f"{RUN}pinned"], "is another roster"),
    (["resume", "rows"], "holds no run"),
    (["new", "own"], "here already"),
    (["new", "dangling"], "here already"),
    (["client", "site.yaml"], "is client.data_dir too"),
    (["keys", "identity", "north", "--folder", "sites"], "keys are not replaced"),
    (["keys", "site", "half", "--folder", "half"], "keys are not replaced"),
    (["keys", "consortium"], "keys are not replaced"),
    (["keys", "init", "--host", "gate.example", "--folder", "half"], "keys are not replaced"),
    (["keys", "roster", *SIGN, "--out", "roster.json", "sites/north.pub"], "exists"),
    (["keys", "roster", *SIGN, "--out", "consortium.key", "sites/north.pub"], "exists"),
    (
        [
            "keys",
            "roster",
            *SIGN,
            "--previous",
            "roster.json",
            "--out",
            "new.csv",
            "sites/east.pub",
        ],
        "exists",
    ),
    (["keys", "manifest", *SIGN, "--out", "manifest.json", "--version", "2"], "not replaced"),
    (["keys", "signer", "north", "--folder", "sites"], "keys are not replaced"),
    (["keys", "gateway", "add", "ward", "--scope", "predict", "--out", "notes.txt"], IS_THERE),
]
HARMLESS = {  # commands that write no file whose name or folder a user gives
    "server": "its state folder's own names, which are kept or grow",
    "runs": "asks the server",
    "stop": "asks the server",
    "release": "a folder that is not there yet; tests/calyx/releases/test_writing.py",
    "verify": "reads",
    "verify-log": "reads",
    "serve": "its state folder's own names, which grow; tests/calyx/serving/test_swap.py",
    "doctor": "leaves nothing; tests/calyx/cli/test_doctor_site.py",
}


@pytest.fixture
def place(federation):
    """Rows, runs, keys of a federation and other people's files; the present folder."""
    rows = write_folder(federation / "rows", clients=3, rows=12)
    task = {"name": "csv", "data_dir": str(rows), "schema": None}
    for name in ("run", "other"):
        make(federation / name, 0.8, task=task, client={"data_dir": str(rows)})
        (federation / name / "checkpoints").mkdir()
    (federation / "new.csv").write_text("age,pressure,smoker\n50,120,no\n")
    for name in ("notes.txt", "comparison.html"):
        (federation / name).write_text("of somebody else\n")
    for name in ("foreign/events.jsonl", "foreign/sweep.csv", "jobs/0/clients.jsonl", "own/x"):
        (federation / name).parent.mkdir(parents=True, exist_ok=True)
        (federation / name).write_text("{}\n")
    for name in ("state/ledger.jsonl", "state/events.jsonl"):
        (federation / name).parent.mkdir(exist_ok=True)
        (federation / name).write_text("{}\n")
    (federation / "pinned").mkdir()
    (federation / "pinned" / "roster.json").write_text("of another consortium\n")
    (federation / "half").mkdir()
    for name in ("half.node.key", "server.crt"):
        (federation / "half" / name).write_text("of before\n")
    (federation / "hard.csv").hardlink_to(federation / "new.csv")
    for link, target in {
        "link.csv": "new.csv",
        "same-rows": "rows",
        "to-rows.csv": "rows/site-1.csv",
        "to-run.json": "run/summary.json",
        "nowhere.csv": "not/there.csv",
        "dangling": "not-there",
    }.items():
        (federation / link).symlink_to(target)
    here = {"data_dir": "rows", "state_dir": "same-rows"}
    write_site(changed(site_values("gate.example:9443"), client=here))
    return federation


def everything(folder):
    """Every file below a folder, with its bytes or where it links to."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in Path(folder).rglob("*")
    }


@pytest.mark.e2e
@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_what_would_destroy_something_is_refused_before_anything_is_done(
    place, capsys, arguments, words
):
    before = everything(place)
    assert main.run(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert everything(place) == before


def test_every_command_is_looked_at_here():
    assert {words[0] for words, _ in REFUSED} | set(HARMLESS) == set(main.COMMANDS)


def test_a_file_is_replaced_where_that_is_asked_for_and_a_link_only_itself(place):
    (place / "link-to-notes").symlink_to("notes.txt")
    arguments = {"inputs": [place / "new.csv"], "folders": [place / "rows"], "replace": True}
    for name in ("notes.txt", "comparison.html", "fresh.csv", "run/predictions.csv"):
        claim_output(Path(name), **arguments).write(b"new")
        assert Path(name).read_bytes() == b"new"
    (place / "notes.txt").write_text("kept")
    claim_output(Path("link-to-notes"), **arguments).write(b"new")
    assert (place / "notes.txt").read_text() == "kept"


def test_what_nobody_else_may_read_stays_so_when_it_is_replaced(place):
    private = place / "notes.txt"
    private.chmod(0o600)
    claim_output(private, inputs=[], folders=[], replace=True).write(b"new")
    assert (private.read_bytes(), private.stat().st_mode & 0o777) == (b"new", 0o600)


def test_a_new_file_may_lie_in_a_runs_folder_beside_its_own(place):
    out = claim(Namespace(out=Path("run/predictions.csv"), replace=False), [place / "new.csv"])
    out.write(b"rows")
    assert Path("run/predictions.csv").read_bytes() == b"rows"


def test_of_two_commands_with_one_output_the_second_is_refused(tmp_path):
    """Both began when nothing was there."""
    first, second = (
        claim_output(tmp_path / "out.csv", inputs=[], folders=[], replace=False) for _ in range(2)
    )
    first.write(b"the first")
    with pytest.raises(UserError, match="exists, and is not replaced"):
        second.write(b"the second")
    assert (tmp_path / "out.csv").read_bytes() == b"the first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_on_a_disk_without_hard_links_a_file_is_written_whole_once(tmp_path, monkeypatch, code):
    def refused(*_):
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", refused)
    write_whole(tmp_path / "out.csv", b"first")
    with pytest.raises(UserError, match="exists"):
        write_whole(tmp_path / "out.csv", b"second")
    assert (tmp_path / "out.csv").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_stream_is_written_to_as_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for path in (tmp_path / "pipe", Path("/dev/null")):
        out = claim_output(path, inputs=[], folders=[], replace=False)
        assert out.is_stream
        out.write(b"rows")
    assert os.read(reader, 9) == b"rows"
    os.close(reader)


def test_dropping_old_checkpoints_leaves_other_peoples_folders(tmp_path):
    for name in ("round-000001", "round-000002-tested", "round-of-notes", "round-000001.bak"):
        (tmp_path / name).mkdir()
    assert [path.name for path in _newest_first(tmp_path)] == [
        "round-000002-tested",
        "round-000001",
    ]
