"""`calyx audit` and the audit of a run, as a user meets them: exit codes, drift, going on."""

import hashlib
import json
import re
import shutil

import pytest
from support.csv_files import write_folder
from support.program import run_here

from calyx.files.plain import read_lines

pytestmark = pytest.mark.e2e
JANUARY, JULY = "hydra.run.dir=january", "hydra.run.dir=july"
QUICK = ("audit.thorough=false", "engine.workers=0")


def sentence(done):
    """The one line that a failure leaves on stderr."""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("calyx: ")]
    return line


def events(folder, kind):
    return [row for row in read_lines(folder / "events.jsonl") if row["event"] == kind]


def without(folder, word):
    """The lines of a run that are the same however it came about."""
    rows = read_lines(folder / "rounds.jsonl")
    return [{k: v for k, v in row.items() if word not in k} for row in rows]


def test_a_run_that_its_audit_stopped_goes_on_by_the_users_word_to_the_same_bytes(
    calyx, heart_dir, tmp_path
):
    small = ("rounds=2", "baselines=false", "engine.workers=0")
    run = ("simulate", "task=heart", f"task.data_dir={heart_dir}", *small)
    stopped = calyx(*run, "audit.fail_on=warning", "hydra.run.dir=stopped")
    assert stopped.returncode == 1
    assert "calyx resume " in sentence(stopped)
    assert not (tmp_path / "stopped" / "rounds.jsonl").exists()
    resumed = calyx("resume", "stopped", "audit.fail_on=never")
    assert resumed.returncode == 0, resumed.stderr
    whole = calyx(*run, "audit.fail_on=never", "hydra.run.dir=whole")
    assert whole.returncode == 0, whole.stderr
    digests = {
        hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("stopped", "whole")
    }
    assert len(digests) == 1
    assert without(tmp_path / "stopped", "seconds") == without(tmp_path / "whole", "seconds")


def test_an_audit_exits_with_0_for_sound_data_and_1_for_grave_findings(calyx, heart_dir, tmp_path):
    audit = ("audit", "task=heart", f"task.data_dir={heart_dir}", *QUICK)
    assert calyx(*audit, JANUARY).returncode == 0
    strict = calyx(*audit, "audit.fail_on=warning", JULY)
    assert strict.returncode == 1
    assert (tmp_path / "july" / "report.html").exists()
    assert "mostly-missing" in (tmp_path / "july" / "audit.json").read_text()


@pytest.mark.parametrize(
    "wrong", ["fail_on", "audit.fail_on=sometimes", "audit.bins=1", "task=nothing", "audit.bin=3"]
)
def test_a_mistake_in_an_audits_words_is_exit_2_and_leaves_nothing(calyx, tmp_path, wrong):
    done = calyx("audit", "task.num_clients=6", wrong)
    assert done.returncode == 2
    assert "calyx: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def older_patients(folder, years):
    """Other rows of the same sites: everybody is some years older."""
    for path in folder.glob("*.csv"):
        head, *lines = path.read_text().splitlines()
        cells = [line.split(",") for line in lines]
        rows = [",".join([c[0], str(int(c[1]) + years), *c[2:]]) for c in cells]
        path.write_text("\n".join([head, *rows]) + "\n")


def test_an_alert_of_drift_is_an_error_that_stops_and_is_said_once(calyx, tmp_path):
    write_folder(tmp_path / "data")
    audit = ("audit", "task=csv", "task.data_dir=data", *QUICK)
    assert calyx(*audit, JANUARY).returncode == 0
    assert calyx(*audit, "hydra.run.dir=same", "audit.baseline=january").returncode == 0
    assert events(tmp_path / "same", "drift") == []
    older_patients(tmp_path / "data", 25)
    done = calyx(*audit, JULY, "audit.baseline=january")
    assert done.returncode == 1
    assert "age is distributed otherwise than in the baseline (PSI" in sentence(done)
    (alert,) = events(tmp_path / "july", "drift")
    assert (alert["severity"], alert["column"]) == ("error", "age")
    assert alert["psi"] > 0.25
    found = json.loads((tmp_path / "july" / "audit.json").read_text())
    assert {d["name"]: d["severity"] for d in found["drift"]}["age"] == "alert"
    assert (found["findings"][0]["check"], found["findings"][0]["severity"]) == ("drift", "error")
    run = ("simulate", *audit[1:], "rounds=1", "baselines=false", "audit.baseline=january")
    stopped = calyx(*run, "audit.fail_on=warning", "hydra.run.dir=run")
    assert stopped.returncode == 1
    assert not (tmp_path / "run" / "rounds.jsonl").exists()
    assert calyx("resume", "run", "audit.fail_on=never").returncode == 0
    assert len(events(tmp_path / "run", "drift")) == 1


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The folder of an audit of digits."""
    folder = tmp_path_factory.mktemp("audited")
    done = run_here(folder, "audit", "task.num_clients=6", *QUICK, JANUARY)
    assert done.returncode == 0, done.stderr
    return folder / "january"


@pytest.mark.parametrize("command", ["audit", "simulate"])
def test_a_baseline_that_is_not_there_is_exit_2_before_anything_is_written(
    calyx, tmp_path, command
):
    done = calyx(command, "task.num_clients=6", "audit.baseline=nowhere")
    assert done.returncode == 2
    assert re.search(r"audit\.baseline=\S*nowhere is no folder; name the folder", sentence(done))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("task.num_clients=6", "audit.bins=8"), "counted in 16 bins; set audit.bins=16"),
        (("task=vowel",), "is of the task digits, and this run's is vowel"),
    ],
)
def test_a_baseline_of_another_task_or_of_other_bins_is_exit_2(
    calyx, tmp_path, audited, words, why
):
    done = calyx("simulate", *words, f"audit.baseline={audited}")
    assert done.returncode == 2
    assert why in sentence(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("statistics.json", None, "holds no audit"),
        ("statistics.json", '{"sites": 6, "sums":', "a damaged audit"),
        ("statistics.json", '{"sites": 6, "folds": 0, "seed": 1, "sums": {}}', "of other cells"),
        ("audit.json", "[]", "a damaged audit"),
    ],
)
def test_a_baseline_without_a_whole_audit_is_exit_2(calyx, tmp_path, audited, file, text, why):
    shutil.copytree(audited, tmp_path / "old")
    if text is None:
        (tmp_path / "old" / file).unlink()
    else:
        (tmp_path / "old" / file).write_text(text)
    done = calyx("audit", "task.num_clients=6", "audit.baseline=old")
    assert done.returncode == 2
    assert why in sentence(done)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("rows", [-1, 10**400], ids=["below 0", "huge"])
def test_a_baseline_of_impossible_sums_is_exit_2_in_a_sentence(calyx, tmp_path, audited, rows):
    shutil.copytree(audited, tmp_path / "old")
    stored = json.loads((audited / "statistics.json").read_text())
    stored["sums"]["all/rows"] = [rows]
    (tmp_path / "old" / "statistics.json").write_text(json.dumps(stored))
    done = calyx("audit", "task.num_clients=6", "audit.baseline=old")
    assert done.returncode == 2
    assert "old is damaged: the statistics are impossible" in sentence(done)


def test_a_run_whose_baseline_is_gone_goes_on_without_it(calyx, tmp_path, audited):
    shutil.copytree(audited, tmp_path / "old")
    small = ("task.num_clients=6", "rounds=1", "baselines=false", "engine.workers=0")
    begun = calyx("simulate", *small, "audit.baseline=old", "hydra.run.dir=run")
    assert begun.returncode == 0, begun.stderr
    shutil.rmtree(tmp_path / "old")
    gone = calyx("resume", "run", "rounds=2")
    assert gone.returncode == 2
    assert "is no folder" in sentence(gone)
    resumed = calyx("resume", "run", "rounds=2", "audit.baseline=null")
    assert resumed.returncode == 0, resumed.stderr


def test_a_baseline_of_another_schema_is_exit_2_and_names_the_column(calyx, tmp_path):
    columns = {
        "age": {"kind": "numeric", "low": 0, "high": 120},
        "smoker": {"kind": "categorical", "categories": ["no", "yes"]},
    }
    audit = ("audit", "task=csv", "task.data_dir=data", *QUICK)
    write_folder(tmp_path / "data", columns=columns)
    assert calyx(*audit, JANUARY).returncode == 0
    columns["age"]["high"] = 100
    write_folder(tmp_path / "data", columns=columns)
    done = calyx(*audit, JULY, "audit.baseline=january")
    assert done.returncode == 2
    assert "the column age is declared otherwise" in sentence(done)


def test_a_site_without_rows_that_leaves_too_few_for_a_sum_is_named_alone(calyx, tmp_path):
    folder = write_folder(tmp_path / "data", clients=5)
    head = (folder / "site-3.csv").read_text().splitlines()[0]
    (folder / "site-3.csv").write_text(head + "\n")
    done = calyx("audit", "task=csv", "task.data_dir=data", *QUICK, JANUARY)
    assert done.returncode == 1
    text = sentence(done)
    assert text.startswith("calyx: site-3 (no-rows) gave no statistics")
    assert [name for name in ("site-0", "site-1", "site-2", "site-4") if name in text] == []
    assert "phases=" not in text
    assert len(text) < 300
