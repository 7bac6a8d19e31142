"""What a release of a run says is what the run's files say, and nothing of its clients or machine."""

import csv
import hashlib
import json
import shutil
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml
from support.csv_files import COLUMNS, write_folder

from calyx.cli import simulate
from calyx.cli.release.contents import read_contents
from calyx.cli.release.settings import clean_config, hide_names
from calyx.data.names import client_names
from calyx.errors import UserError
from calyx.model.released import describe, load, to_file
from calyx.releases.card import read_card
from calyx.releases.card_parts import Identity

pytestmark = pytest.mark.e2e  # it trains one run of one round

WORDS = {"client": None, "common": False, "state_dir": None, "note": ""}
WORDS |= {"name_clients": False, "onnx": False}
RANGES = COLUMNS | {"pressure": {"kind": "numeric", "may_be_missing": True, "low": 50, "high": 250}}
NOW = datetime(2026, 1, 31, tzinfo=UTC)
FIRST = Identity(name="ours", version=1, parent=None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of seven sites whose columns have ranges, so that one fit serves all."""
    here = tmp_path_factory.mktemp("released")
    rows, folder = write_folder(here / "rows", columns=RANGES), here / "run"
    small = ["rounds=1", "baselines=false", "engine.workers=0", f"hydra.run.dir={folder}"]
    small += ["robust.every=5", "robust.epsilon=0.1"]  # in the test only
    assert simulate.main(["task=csv", f"task.data_dir={rows}", *small]) == 0
    return folder


@pytest.fixture(scope="module")
def files(run):
    """What a release of the run holds."""
    return files_of(run)


def files_of(run, **words):
    return read_contents(run, Namespace(**WORDS | words)).files(FIRST, NOW)


def card_of(run, **words):
    return read_card(files_of(run, **words)["card.json"])


def test_how_it_stands_moved_rows_is_said_with_how_far_they_were_moved(run):
    robust, summary = card_of(run).robust, json.loads((run / "summary.json").read_text())
    assert (robust.attack, robust.steps, robust.epsilon) == ("pgd", 10, 0.1)
    figures = robust.figures.figures
    assert figures["robust_accuracy"] == summary["test_robust_accuracy"]
    assert figures["accuracy"] == summary["test_accuracy"]


def test_figures_are_those_of_the_summary_and_hashes_those_of_the_bytes(run):
    files = files_of(run, note=" CC BY 4.0 ")
    card, summary = read_card(files["card.json"]), json.loads((run / "summary.json").read_text())
    for name, value in card.test.figures.items():
        assert value == summary[name]
    assert card.test.rows.rows == summary["tested_on"]["rows"]
    assert [list(row) for row in card.confusion] == summary["test_confusion"]
    assert card.model.sha256 == summary["model_sha256"]
    assert card.model.sha256 == hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert (card.note, card.privacy.clients, card.model.whose) == ("CC BY 4.0", 7, "common")
    canonical = json.dumps(card.config, sort_keys=True, separators=(",", ":"))
    assert card.config_sha256 == hashlib.sha256(canonical.encode()).hexdigest()
    assert card.absent["ensemble"] == "it is one model"
    assert list(card.conformal.counts) == summary["test_conformal"]
    assert sum(card.conformal.counts) == card.test.rows.rows


def test_the_baseline_counts_the_rows_of_all_sites(run, files):
    """Oracle: the rows as Python reads them; no site has fewer than ten smokers, so that none is hidden."""
    lines = [
        line for file in (run.parent / "rows").glob("*.csv") for line in csv.DictReader(file.open())
    ]
    baseline = read_card(files["card.json"]).baseline
    columns = {one.name: one for one in baseline.columns}
    assert baseline.rows == len(lines)
    smokers = [line["smoker"] for line in lines]
    assert columns["smoker"].counts == (smokers.count("no"), smokers.count("yes"))
    ages = np.array([float(line["age"]) for line in lines])
    age = columns["age"]
    off = np.abs(np.histogram(ages, bins=age.edges)[0] - age.counts)
    assert off.max() <= age.margin
    assert sum(age.counts) == len(lines) - age.hidden


def test_a_run_is_released_twice_with_the_same_bytes(run, files):
    assert files_of(run) == files


def test_no_client_no_path_and_no_row_is_in_a_release(run, files):
    for name, data in files.items():
        text = data.decode(errors="replace")
        assert str(run.parent) not in text, name
        assert "site-" not in text, name
    left_out = read_card(files["card.json"]).config_left_out
    assert left_out["task.clients"] == "names of 7 clients"
    assert {"client", "task.data_dir"} <= left_out.keys()
    assert card_of(run, name_clients=True).config["task"]["clients"][0] == "site-0"


def changed(run, tmp_path, name, change):
    """A copy of the run in which one JSON file is another."""
    copy = shutil.copytree(run, tmp_path / "copy")
    value = json.loads((copy / name).read_text())
    change(value)
    (copy / name).write_text(json.dumps(value))
    return copy


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "summary.json",
            lambda v: v.update(model_sha256="0" * 64),
            "not the model that summary.json",
        ),
        ("summary.json", lambda v: v.update(model_sha256=None), "does not say which model"),
        ("audit.json", lambda v: v["columns"]["age"].update(missing=7), "not of one audit"),
        ("audit.json", lambda v: v.update(rows=7), "not of one audit"),
        ("summary.json", lambda v: v.update(num_clients=3), "more sites than the run has"),
        ("audit.json", lambda v: v.pop("findings"), "damaged"),
        ("statistics.json", lambda v: v["sums"].pop("all/rows"), "audit"),
    ],
)
def test_files_that_are_not_of_one_run_are_refused(run, tmp_path, name, change, said):
    with pytest.raises(UserError, match=said):
        files_of(changed(run, tmp_path, name, change))


def test_a_run_that_has_not_ended_or_is_an_audit_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "summary.json").unlink()
    with pytest.raises(UserError, match="may not be finished"):
        files_of(copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump(config | {"phases": ["audit"]}))
    with pytest.raises(UserError, match="is an audit"):
        files_of(copy)


def test_a_model_that_all_clients_share_is_not_released_for_one(run):
    with pytest.raises(UserError, match="leave client=site-3 out"):
        files_of(run, client="client=site-3")


def test_a_client_that_fits_for_itself_is_named_and_its_constants_go_into_the_file(run, tmp_path):
    """Every client keeps what it would fit itself, so that the run can be made a local one."""
    copy = shutil.copytree(run, tmp_path / "copy")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["preprocessing"]["name"] = "local"
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    local = load(copy / "model.safetensors")
    cfg = replace(local.preprocessing, name="local", fitted=None)
    description = describe(local.task, config["task"], cfg)
    data = to_file(replace(local, fitted=None), description)
    (copy / "model.safetensors").write_bytes(data)
    summary = json.loads((copy / "summary.json").read_text())
    summary |= {"model_sha256": hashlib.sha256(data).hexdigest(), "preprocessing": "local"}
    (copy / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError, match=r"client=NAME.*preprocessing=federated"):
        files_of(copy)
    files = files_of(copy, client="client=site-3")
    card = read_card(files["card.json"])
    assert (card.model.whose, card.model.client) == ("client", "site-3")
    (tmp_path / "own.safetensors").write_bytes(files["model.safetensors"])
    fitted = load(tmp_path / "own.safetensors").fitted
    assert fitted is not None
    assert not np.array_equal(fitted.mean, local.fitted.mean)


def test_a_config_is_told_without_places_and_with_the_words_of_its_schema():
    config = {
        "task": {"name": "csv", "data_dir": "/data", "root": "~/x", "schema": {"unit": "/min"}},
        "engine": {"name": "ray", "address": "ray://10.0.0.1:10001"},
        "strategy": {"local": {"from": "s3://bucket/model"}},
        "client": {"identity": "/keys/a.key"},
        "audit": {"baseline": None},
    }
    cleaned, left_out = clean_config(config, ())
    assert cleaned == {
        "task": {"name": "csv", "root": None, "schema": {"unit": "/min"}},
        "engine": {"name": "ray"},
        "strategy": {"local": {"from": None}},
        "audit": {},
    }
    assert sorted(left_out) == [
        "client",
        "engine.address",
        "strategy.local.from",
        "task.data_dir",
        "task.root",
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("va", "st. mary"), "a client and a client of 3 sites have vast rows"),
        (("3", "x"), "va and st. mary of 3 sites have vast rows"),
        (client_names(1_000_000), "va and st. mary of 3 sites have vast rows"),
    ],
)
def test_a_sentence_names_no_client(names, told):
    assert hide_names("va and st. mary of 3 sites have vast rows", names) == told
