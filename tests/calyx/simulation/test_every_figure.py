"""Every figure of a run, over wild little federations: right, or absent with its reason.

A federation is a number; `CALYX_FEDERATIONS=200` looks at so many. A key that is neither expected
nor listed as unknowable fails: who adds a figure says here what it must be.
"""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from support.audit_oracles import of_audit
from support.oracles import (
    STEP,
    Absent,
    Near,
    Rows,
    Score,
    Unasked,
    Unknowable,
    Within,
    complaints,
    confusion,
    events_of,
    head_of,
    is_printed,
    judged,
    outputs_of,
    prefixed,
    read,
    split_of,
)
from support.wild import make

from calyx.composing.compose import compose, settle
from calyx.files.plain import read_lines
from calyx.pages.folder import read_run
from calyx.pages.page import render
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate

FEDERATIONS = range(int(os.environ.get("CALYX_FEDERATIONS", "12")))

UNKNOWABLE = (
    Unknowable(r"seconds", "time"),
    Unknowable(r"seed", "an input"),
)
FINDINGS = (Unknowable(r"findings\..*", "they are sentences about the figures"),)


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """The federation of a number and the folder of its run, for all tests of it."""
    kept = {}

    def of(seed):
        if seed not in kept:
            folder = tmp_path_factory.mktemp("wild")
            made = make(folder / "data", seed)
            checked = plan(settle(compose(made.overrides), single=True))
            simulate(checked, folder / "run", resume=False, progress=lambda *_: None)
            kept[seed] = made, folder / "run"
        return kept[seed]

    return of


@pytest.mark.parametrize("seed", FEDERATIONS)
def test_every_figure_of_the_summary_is_that_of_the_pooled_rows(federation, seed):
    made, run = federation(seed)
    summary = read(run / "summary.json")
    expected = of_history(made, run, summary) | of_models(made, run, summary["released_round"])
    if summary["baselines"]:
        expected |= of_baselines(made, run, summary)
    assert complaints(summary, expected, UNKNOWABLE) == []


@pytest.mark.parametrize("seed", FEDERATIONS)
def test_every_figure_of_the_audit_is_that_of_the_pooled_rows_to_its_margin(federation, seed):
    made, run = federation(seed)
    audit = read(run / "audit.json")
    assert complaints(audit, of_audit(made, audit), FINDINGS) == []


@pytest.mark.parametrize("seed", FEDERATIONS)
def test_every_figure_of_the_pages_head_is_that_of_the_summary_to_its_printed_digits(
    federation, seed
):
    _, run = federation(seed)
    summary, rounds = read(run / "summary.json"), read_lines(run / "rounds.jsonl")
    shown = head_of(render(read_run(run)).decode())
    name = "accuracy" if summary["metric"] == "accuracy" else "R²"
    own, metric = f"Test {name}, own models", f"test_{summary['metric']}"
    expected = {
        "Rounds": [len(rounds), len(rounds)],
        "Best round": [summary["best_round"]],
        "Its validation loss": [summary["best_val_loss"]],
        "Clients": [summary["num_clients"]],
        "Dropped replies": [
            sum(len(row["dropped"]) for row in rounds),
            sum(len(row["cohort"]) for row in rounds),
        ],
        "Bytes up": [summary["bytes_up"]],
        "Bytes down": [summary["bytes_down"]],
        "Seed": [summary["seed"]],
        own if summary["strategy"] == "fedbn" else f"Test {name}": [summary[metric]],
    }
    head, whose = ("test", ", own models" if summary["strategy"] == "fedbn" else "")
    if summary["strategy"] == "ditto":
        expected[own] = [summary[f"personal_{summary['metric']}"]]
        expected["Its validation loss, own models"] = [summary["best_val_personal_loss"]]
        head, whose = "personal", ", own models"
    for error in ("rmse", "mae") if name == "R²" else ():
        expected[f"Test {error.upper()}{whose}"] = [summary[f"{head}_{error}"]]
    spread = [summary["test_client_mean"], summary["test_client_sd"]]
    if spread[0] is not None or "test_client_mean" in summary["absent"]:
        expected["On a client's own rows"] = [value for value in spread if value is not None]
    if summary.get("test_calibration_error") is not None:
        margin = summary["test_calibration_error_margin"]
        expected["Calibration error"] = [summary["test_calibration_error"], margin]
    if summary.get("test_confusion") is not None:
        true, said = np.array(list(cells(summary["test_confusion"]))).T
        own_only = ", own models" if summary["strategy"] == "fedbn" else ""
        balanced = balanced_accuracy_score(true, said)
        expected[f"Balanced accuracy{own_only}"] = [balanced]
    words = {
        "Preprocessing",
        "Training",
        "Privacy",
        "Engine",
        "Model",
        "Findings",
        "Time",
    }  # no figure, or a time
    assert set(shown) - words == set(expected)
    wrong = {k: (shown[k], v) for k, v in expected.items() if not is_printed(shown[k], v)}
    assert wrong == {}


def cells(matrix):
    """Each row of a test: its class, and the class that was said."""
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            yield from [(i, j)] * count


def answered(made, run, kind, number):
    """The clients whose rows are in the sums of an exchange."""
    events = [e for e in events_of(run, "client-dropped") if f"({kind})" in e["message"]]
    gone = {event["client"] for event in events if event["round"] == number}
    return [name for name in made.sites if name not in gone]


def of_history(made, run, summary):
    """What the rounds come to."""
    rounds = read_lines(run / "rounds.jsonl")
    best, last = summary["best_round"], rounds[-1]
    watched = {row["round"]: row[summary["monitor"]] for row in rounds}
    known = {number: value for number, value in watched.items() if value is not None}
    better = {"min": min, "max": max}[summary["mode"]]
    found = {
        "rounds": Near(made.options["rounds"]),
        "best_round": Near(better(known, key=known.get)),
        "released_round": Near(best),
        "final_train_loss": trained(made, run, len(rounds)),
        "bytes_up": Near(sum(row["bytes_up"] for row in rounds)),
        "bytes_down": Near(sum(row["bytes_down"] for row in rounds)),
        "num_clients": Near(len(made.sites)),
        "capped_clients": Near(0),
        "w_max": Near(bound(made)),
        "cv": Unasked(),
    } | {f"training.{key}": Near(value) for key, value in settings_of(made).items()}
    if not summary["baselines"]:
        found["baselines"] = Unasked()
    for key in (key for key in last if key.startswith("val_")):
        found[f"final_{key}"] = Absent() if last[key] is None else Near(last[key])
    return found


def settings_of(made):
    """How a table of few columns is trained, as docs/bring-your-own.md says."""
    lr = 0.1 if made.classes else 0.05
    own = {"rounds": made.options["rounds"], "epochs": made.options["training.epochs"]}
    return own | {"lr": lr, "batch_size": 8, "patience": 30, "momentum": 0, "weight_decay": 0}


def trained(made, run, number):
    """The mean training loss, of what each client's training says of itself."""
    rows = [r for r in read_lines(run / "clients.jsonl") if r["kind"] == "train"]
    losses = {r["client"]: r["train_loss"] for r in rows if r["round"] == number}
    is_equal = made.options["privacy.weighting"] == "equal"
    names = answered(made, run, "train", number)
    weights = [1 if is_equal else len(split_of(made, name)["train"]) for name in names]
    mean = float(np.average([losses[name] for name in names], weights=weights))
    return Near(mean, 1e-9 * mean)


def bound(made):
    """The least power of two that no site's training rows exceed."""
    if made.options["privacy.weighting"] == "equal":
        return 1
    rows = [len(split_of(made, name)["train"]) for name in made.sites]
    return 2 ** int(np.ceil(np.log2(max(*rows, made.options["client.policy.min_cell"]))))


def of_models(made, run, released):
    """The released model on validation and test rows, and the clients' own models."""
    found = {}
    strategy = made.options["strategy"]
    for prefix, own, part in (
        ("best_val_", "best_val_personal_", "validation"),
        ("test_", "personal_", "test"),
    ):
        kind = "evaluate" if part == "validation" else "test"
        rows = Rows(made, part, answered(made, run, kind, released))
        outputs = outputs_of(run, rows, is_common=strategy == "ditto")
        found |= prefixed(prefix, judged(rows, outputs))
        if strategy == "ditto":
            personal = outputs_of(run, rows, is_common=False)
            found |= prefixed(own, judged(rows, personal))
        if strategy == "fedbn":
            found |= prefixed(own, judged(rows, outputs))
        where = "validated_on" if part == "validation" else "tested_on"
        found |= prefixed(f"{where}.", of_population(made, rows))
        if strategy == "ditto":
            found |= prefixed(f"personal_{where}.", of_population(made, rows))
        if part == "test":
            found |= of_spread(made, rows, outputs)
            found |= of_details(made, rows, outputs)
            is_own = read(run / "summary.json")["models"] == "own"
            found |= {"test_conformal": Absent()} if is_own else of_conformal(made, rows, outputs)
            zeros = ("test_", "personal_") if strategy == "ditto" else ("test_",)
            found |= {f"{prefix}majority": majority(made, rows) for prefix in zeros if made.classes}
    return found


def majority(made, rows):
    """The accuracy of a dummy that knows the answers' shares only."""
    y = rows.pooled["y"].to_numpy()
    if len(y) == 0:
        return Absent()
    dummy = DummyClassifier(strategy="most_frequent").fit(y[:, None], y, rows.weights)
    return Near(dummy.score(y[:, None], y, rows.weights), STEP)


def of_population(made, rows):
    """Of whom figures are."""
    y, weights = rows.pooled["y"], rows.weights
    is_equal = made.options["privacy.weighting"] == "equal"
    found = {
        "clients": Near(len(rows.frames)),
        "asked": Near(len(made.sites)),
        "untrained": Near(0),
        "rows": Unasked() if is_equal else Near(len(y)),
        "target_mean": Unasked(),
        "target_sd": Unasked(),
        "labels": Unasked(),
    }
    if made.classes:
        total = len(rows.frames) if is_equal else 1
        for i, label in enumerate(made.classes):
            found[f"labels.{i}"] = Near(float(weights[(y == label).to_numpy()].sum() / total), STEP)
        del found["labels"]
    elif len(y):
        y, scale = y.to_numpy().astype(float), made.target[1]
        slack = 1e-9 * (np.abs(y).max() + scale)
        mean = np.average(y, weights=weights)
        sd = np.average((y - mean) ** 2, weights=weights) ** 0.5
        found |= {"target_mean": Near(mean, slack), "target_sd": Near(sd, slack)}
    return found


def of_spread(made, rows, outputs):
    """How a client's own score differs between clients."""
    scores = []
    for name, frame in rows.frames.items():
        alone = Rows(made, "test", [name])
        found = judged(alone, {name: outputs[name]})["accuracy" if made.classes else "r2"]
        if isinstance(found, Near) and not (len(frame) == 1 and not made.classes):
            scores.append(found.value)
    n = len(scores)
    found = {
        "test_clients_scored": Near(n),
        "test_clients_unscored": Near(len(rows.frames) - n),
        "test_client_mean": Absent(),
        "test_client_sd": Absent(),
        "test_client_worst_decile": Absent(),
    }
    if n:
        slack = 1e-5 * max(1.0, max(abs(s) for s in scores))
        worst = sorted(scores)[int(np.ceil(0.1 * n)) - 1]
        found["test_client_mean"] = Near(float(np.mean(scores)), slack)
        # An upper bound of the worst tenth's, by bins of 0.05 where scores are ordinary.
        most = worst + 0.05 if worst >= -1 else np.inf
        found["test_client_worst_decile"] = Within(worst - 1e-9, most + 1e-9)
        if n > 1:
            found["test_client_sd"] = Near(float(np.std(scores)), slack)
    return found


def of_details(made, rows, outputs):
    """What else a classifier's test tells."""
    if not made.classes:
        return {}
    if made.options["privacy.weighting"] == "equal" or not rows.frames:
        names = ("test_confusion", "test_calibration_error", "test_calibration_error_margin")
        return dict.fromkeys(names, Absent())
    matrix = confusion(rows, outputs)
    found = {f"test_confusion.{i}.{j}": Near(int(cell)) for (i, j), cell in np.ndenumerate(matrix)}
    answers = np.concatenate([outputs[name] for name in rows.frames])
    sure, right = answers.max(axis=1), answers.argmax(axis=1)
    true = np.array([made.classes.index(label) for label in rows.pooled["y"]])
    bins = pd.cut(sure, np.linspace(0, 1, 16), labels=False, include_lowest=True)
    site = np.repeat(list(rows.frames), [len(outputs[name]) for name in rows.frames])
    table = pd.DataFrame({"site": site, "bin": bins, "sure": sure, "right": right == true})
    # Of fewer than ten rows of a site a bin's middle is told; the margin holds the pooled error.
    few = table.groupby(["site", "bin"])["sure"].transform("size") < 10
    margin = few.mean() / 30
    return found | {
        "test_calibration_error": Near(calibration_error(table), margin + 1e-5),
        "test_calibration_error_margin": Near(margin, 1e-5),
    }


def of_conformal(made, rows, outputs):
    """Rows by how their true answer scores; of fewer than ten rows of a site, in the worst cell of some."""
    if made.options["privacy.weighting"] == "equal" or not rows.frames:
        return {"test_conformal": Absent()}
    total = 0
    for name, frame in rows.frames.items():
        if made.classes:
            ends = 1 - np.array([*np.arange(63, 0, -1) / 64, *2.0 ** -np.arange(7, 17), 0.0])
            true = [made.classes.index(label) for label in frame["y"]]
            scores, wide = 1 - outputs[name][np.arange(len(true)), true], 4
        else:
            ends, wide = np.array([*2.0 ** (np.arange(-96, 49) / 12), np.inf]), 6
            y = frame["y"].to_numpy().astype(float)
            scores = np.abs(outputs[name].reshape(-1) - y) / made.target[1]
        cells, last = np.zeros(len(ends), int), len(ends) - 1
        for score in scores:
            cells[np.flatnonzero(score <= ends)[0]] += 1
        for place in np.flatnonzero((cells > 0) & (cells < 10)):
            few, cells[place] = cells[place], 0
            cells[min(place // wide * wide + wide - 1, last)] += few
        total = total + cells
    return {f"test_conformal.{place}": Near(int(cell)) for place, cell in enumerate(total)}


def calibration_error(table):
    gaps = table.groupby("bin")[["sure", "right"]].sum()
    return float((gaps["sure"] - gaps["right"]).abs().sum() / len(table))


def of_baselines(made, run, summary):
    """Each model on everybody's test rows, and on its own: what is known without the models."""
    said, metric = summary["baselines"], summary["metric"]
    score = Score(0.0) if made.classes else Score()
    local = list(said["local"].values())
    found = {f"local.{name}": score for name in made.sites}
    found |= {f"local_own_by_client.{name}": score for name in made.sites}
    found |= {"pooled": score, "pooled_own": score, "local_mean": Absent(), "local_worst": Absent()}
    if None not in local:
        found |= {"local_mean": Near(float(np.mean(local)), 1e-12), "local_worst": Near(min(local))}
    strategy, shown = made.options["strategy"], {"federated": summary[f"test_{metric}"]}
    if strategy != "fedavg":
        shown["personal"] = summary[f"personal_{metric}"]
    if strategy == "fedbn":
        shown["federated"] = None  # there is no common model
    found |= {k: Absent() if value is None else Near(value) for k, value in shown.items()}
    rows = Rows(made, "test", answered(made, run, "test", summary["released_round"]))
    found |= of_own(made, rows, said)
    return prefixed("baselines.", found)


def of_own(made, rows, said):
    """Local models on their own rows: a mean over the rows of those that have some."""
    is_equal = made.options["privacy.weighting"] == "equal"
    found = {
        "own_clients": Near(len(rows.frames)),
        "own_rows": Unasked() if is_equal else Near(len(rows.pooled)),
        "local_own": Score(),
    }
    if made.classes and rows.frames:
        own = [said["local_own_by_client"][name] for name in rows.frames]
        weights = [1 if is_equal else len(frame) for frame in rows.frames.values()]
        found["local_own"] = Near(float(np.average(own, weights=weights)), 1e-12)
    return found


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"a": 1.0, "b": 2}, "b = 2: nothing is expected of it"),
        ({"a": 1.1}, "a = 1.1, not Near"),
        ({"a": None, "absent": {"a": "why"}}, "a is null (why), not Near"),
        ({}, "a is not there"),
        ({"a": 1.0, "c": [None]}, "c.0 is null without a reason"),
    ],
)
def test_a_figure_that_is_wrong_new_lost_or_without_its_reason_is_named(document, said):
    expected = {"a": Near(1.0)} | ({"c.0": Absent()} if "c" in document else {})
    (complaint,) = complaints(document, expected, ())
    assert complaint.startswith(said)


def test_a_printed_figure_is_right_to_half_of_its_last_digit():
    assert is_printed("52.1\u202f%", [0.52149])
    assert not is_printed("52.1\u202f%", [0.52151])
    assert is_printed("-0.50\u202f% ± 3.0\u202f%", [-0.005, 0.03])
    assert not is_printed("0 of 4", [0, 5])
    assert is_printed("—", [None])
