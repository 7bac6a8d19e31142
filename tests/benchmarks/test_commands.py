"""Each `python -m benchmarks.X` that a page or a benchmark names runs, in a short form, once."""

import importlib
import json
import re
import shlex
from functools import partial

import pytest
from support.pages import ROOT
from support.program import run_here

from benchmarks import drift, faults, imprint, leakage, secagg, timing_questions
from benchmarks.engine import ours
from benchmarks.serve import __main__ as serve
from benchmarks.stealing import membership, thieves
from benchmarks.tables import __main__ as tables

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
FILES = [*PAGES, *(ROOT / "benchmarks").rglob("*.py")]
NAMED = {
    name: options
    for file in sorted(FILES)
    for name, options in re.findall(r"python -m benchmarks\.(\w+)([^`#\n\")]*)", file.read_text())
}
RUN = "test_the_command_of_"


def test_every_benchmark_that_is_named_is_run_here():
    run = {name.removeprefix(RUN) for name in globals() if name.startswith(RUN)}
    assert NAMED.keys() - run == set()
    programs = [p for p in (ROOT / "benchmarks").rglob("*.py") if "argparse." in p.read_text()]
    assert len(NAMED) == len(programs) >= 8


def test_no_benchmark_hides_a_package_of_ours_from_a_program_beside_it():
    """`python benchmarks/noop.py` finds what lies beside it before what is installed."""
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {"strategies", "server"} <= ours
    assert ours & {path.stem for path in (ROOT / "benchmarks").iterdir()} == set()


@pytest.fixture
def run(capfd):
    """Run a benchmark with the options that its page names, and others; the JSON that it prints."""

    def run_one(name, *words, page=""):
        importlib.import_module(f"benchmarks.{name}").main([*shlex.split(page), *words, "--json"])
        return json.loads(capfd.readouterr().out)

    return run_one


@pytest.mark.e2e
def test_the_command_of_comparison(started, run):
    words = ("--seeds", "1", "--only", "ditto,nope", "--tasks", "digits", "--rounds", "1")
    ditto, nope = run("comparison", *words)
    assert 0 < ditto["accuracy"] < ditto["personal"] <= 1
    assert ditto["note"] is None
    assert nope["accuracy"] is None
    assert "strategy/nope" in nope["note"]


@pytest.mark.e2e
def test_the_command_of_adversarial(started, run):
    words = ("--seeds", "1", "--epsilons", "0.1", "--with", "rounds=1", "training.epochs=1")
    rows = run("adversarial", *words)
    assert rows.keys() == {"plain", "fgsm", "pgd"}
    assert all(0 <= one["robust"] <= one["accuracy"] <= 1 for (one,) in rows.values())


def test_the_command_of_liars(run):
    """Of one round, a lie in each half of it: the sum is refused, or the sentence is said."""
    words = ("--clips", "0.2", "--with", "rounds=1", "training.epochs=1")
    refused, seen = run("liars", "--attacks", "H3", "H7", *words)
    assert (refused["ended"], refused["accuracy"]) == (1, None)
    assert "a member sent what no honest client can" in refused["said"][0]
    assert seen["ended"] == 0
    assert seen["largest_loss"] > 60
    assert "the same clients train on" in seen["said"][0]


def test_the_command_of_gateway(run):
    found = run("gateway", "--exchanges", "50")
    assert found["exchanges"] == 50
    assert found["served"] > 0
    assert found["growth_mib"] < 16


@pytest.mark.e2e
def test_the_command_of_deploy(run):
    found = run("deploy", "--short", "--stages", "2", "--rounds", "1")
    assert found.pop("machines") in ("loopback", "network namespaces")
    assert found.keys() == {"stage_s", "plain_round_s"}
    assert all(seconds > 0 for seconds in found.values())


def test_the_command_of_drift(run, monkeypatch):
    monkeypatch.setattr(drift, "CHANGES", {"unit × 10": drift.CHANGES["unit × 10"]})
    found = run("drift", "--windows", "1", "--changed", "1", "--columns", "1", "--rows", "200")
    assert len(found["alarms"]) == len(drift.HIDING)
    assert len(found["power"]) == len(drift.HIDING)
    assert found["limits"]["alpha"] == 0.005


@pytest.mark.e2e
def test_the_command_of_engine(run, monkeypatch):
    """In one of Calyx's modes: what the others change is a word of its command."""
    monkeypatch.setattr(ours, "MODES", [mode for mode in ours.MODES if mode.name == ours.PLAIN])
    words = ("--short", "--settings", "S100-mlp", "--repeats", "1")
    found = run("engine.__main__", *words)
    assert {one["program"]: one["note"] for one in found["runs"]} == {
        "plain loop": None,
        "Calyx, plain": None,
    }
    assert all(one["accuracy"] > 0.1 for one in found["runs"])
    assert found["calyx_over_seq"]["S100-mlp"] > 0
    assert found["pfl_over_calyx"] == {"S100-mlp": None}
    assert found["start_s"]["default"] > 0
    assert found["peak_mb"]["S100-mlp"] > 50


def test_the_command_of_faults(run, heart_dir):
    words = ("--seeds", "1", "--tasks", "heart", "--heart", str(heart_dir))
    found = run("faults", *words, page=NAMED["faults"])
    assert {row["kind"] for row in found["found"]} == set(faults.KINDS)
    assert all(row["cases"] == 4 for row in found["found"])
    most = {row["kind"]: row["found"] for row in reversed(found["found"])}  # the strongest
    assert most["duplicates"]["own rows"] == 4
    assert most["labels"]["schema"] == 0
    assert most["unit"]["audit"] == 4
    assert most["outliers"]["audit"] == 0  # of 3 rows in 300, a site tells nobody
    assert found["sound"][0]["tables"] == 4


def test_the_command_of_leakage(tmp_path, monkeypatch):
    monkeypatch.setattr(leakage, "BATCHES", (1,))
    monkeypatch.setattr(leakage, "REAL", {(): (10,)})
    few = partial(imprint.measure, imprint.ASKED[1:], 1)
    monkeypatch.setattr(imprint, "measure", few)
    leakage.main(["--out", str(tmp_path), "--seeds", "1", "--examples", "20"])
    figures = json.loads((tmp_path / "leakage.json").read_text())
    page = (tmp_path / "leakage.html").read_text()
    assert figures["plain"]["recovered"] == 1.0
    assert [one["cohort"] for one in figures["sums"]] == [*leakage.COHORTS, 10]
    assert [one["policy"] for one in figures["chosen"]] == [a.policy for a in imprint.ASKED[1:]]
    assert "of 341" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.e2e
def test_the_command_of_preprocessing(run, heart_dir, started):
    found = run("preprocessing", "--data", str(heart_dir), "--seeds", "1", "--rounds", "1")
    assert [one["rows"] for one in found] == ["all", "complete, 661", "complete, as numbers, 740"]
    for one in found:
        assert all(0.4 < value < 1 for value in (*one["local"], *one["federated"]))


def test_the_command_of_secagg(run, monkeypatch):
    client = secagg._client
    monkeypatch.setattr(secagg, "_client", lambda n, *sizes: client(min(n, 10), *sizes))
    figures = run("secagg", "--repeats=1", "--parameters=2000")
    costs = {"mask_ns_per_u32", "ctr_ns_per_u32", "client_ms", "flower_client_ms", "server_ms"}
    assert figures.keys() >= costs | {"wire_ratio"}
    assert all(value > 0 for value in figures.values())


@pytest.mark.e2e
def test_the_command_of_serve(heart_dir, monkeypatch, capfd):
    """Of ours alone, since the others' servers would have to be fetched; its answers are counted."""
    monkeypatch.setattr(serve, "PEERS", ())
    monkeypatch.setattr(serve, "run_calyx", lambda *words: run_here(*words).stdout)
    assert serve.main(["--data", str(heart_dir), "--seconds", "0.5", "--turns", "1"]) == 0
    *table, found = capfd.readouterr().out.splitlines()
    assert table[2].startswith("| Calyx |")
    measured = json.loads(found)["measured"]
    assert [(one["rows"], one["failed"]) for one in measured] == [(1, 0)] * 2 + [(256, 0)] * 2


@pytest.mark.e2e
def test_the_command_of_sweep(run, started):
    figures = run("sweep", "--jobs", "2", "--rounds", "1")
    launchers = [w for words in started for w in words if w.startswith("hydra/launcher=")]
    assert launchers == ["hydra/launcher=basic", "hydra/launcher=joblib"]
    assert (figures["jobs"], figures["rounds"]) == (2, 1)
    wanted = figures["side_by_side_s"] / figures["one_by_one_s"]
    assert figures["ratio"] == pytest.approx(wanted, abs=0.001)
    assert 0 < figures["ratio"] < 10


def test_the_command_of_tables(tmp_path, capsys):
    tables.main(["--make", str(tmp_path), "--only", "wine"])
    assert "wine" in capsys.readouterr().out
    lines = [path.read_bytes().splitlines() for path in (tmp_path / "wine").glob("*.csv")]
    assert sum(map(len, lines)) - len(lines) == 178  # rows, as scikit-learn has them


def test_the_command_of_timing(run, monkeypatch):
    """Without its processes: that each answer makes the difference that a clock would show."""
    monkeypatch.setattr(timing_questions, "EPOCHS", 30)
    found = run("timing", "--short", "--markers", "2", "--seed", "3")
    assert found == {"bits": 20, "right_by_journals": 20}


@pytest.mark.e2e
def test_the_command_of_stealing(run, monkeypatch):
    """One short run of the thieves, the callers and the attackers; what they find is tested below it."""
    for room, name in ((thieves, "STEPS"), (membership, "SHADOW_STEPS"), (membership, "NOISY")):
        monkeypatch.setattr(room, name, 10)
    words = ("--tasks", "digits", "--asked", "100", "--callers", "0", "--shadows", "2")
    found = run("stealing.__main__", *words, "--with", "rounds=2")
    assert {one["policy"] for one in found["thefts"]} == {
        "all digits",
        "3 digits",
        "2 digits",
        "label",
    }
    assert all(0 <= one["agreement"] <= 1 for one in found["thefts"])
    assert {one["attack"]["name"] for one in found["membership"]} >= {"LiRA", "is it right"}
