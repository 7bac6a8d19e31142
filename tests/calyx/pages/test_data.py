"""The section "The data" of report.html: what an audit found, its columns and its drift."""

import io
import json
import re
from dataclasses import asdict, replace
from html import unescape

import numpy as np
import pytest
from rich.console import Console
from support.surveys import SCHEMA, SITES, figures, rows

from calyx.cli import audit_table
from calyx.data.schema import Schema, Table
from calyx.errors import UserError
from calyx.findings.baseline import compare_figures
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.pages.data import MOST_COLUMNS, lines
from calyx.pages.page import write_report
from calyx.run.audit import Audit, read_audit
from calyx.run.json_rows import parse_row

CONFIG = """
task: {name: csv}
strategy: {name: fedavg, server: {}, local: {}}
training: {epochs: 2, batch_size: 32, lr: 0.1, optimizer: sgd}
preprocessing: {name: local}
privacy: {name: none}
engine: {name: embedded}
rounds: 5
seed: 1
stopping: {monitor: val_loss, mode: min, patience: 8}
"""
EVIL = "<script>alert(1)</script>\x1b[2J"


def audit_of(tables, schema=SCHEMA, drift=None):
    """As server/phases/audit.py writes it."""
    found = figures(tables, schema=schema, minimum=10)
    findings = [asdict(finding) for finding in find(found, schema)]
    head = {"task": "csv", "clients": len(tables), "bins": 16, "classes": list(schema.classes)}
    drifts = None if drift is None else [asdict(d) for d in compare_figures(drift, found)]
    return head | as_json(found) | {"findings": findings, "drift": drifts}


def odd_sites():
    """Values out of range and outliers in age, an unknown sex, rows that stand twice."""
    tables = [Table(t.x.copy(), t.y) for t in SITES]
    for table in tables:
        table.x[:, 0] = 40 + table.x[:, 0] / 10
        table.x[:15, 0] = 99.0
        table.x[15:30, 0] = 1000.0
        table.x[:20, 2] = 7.0
    tables[0] = tables[0].take(np.append(np.arange(len(tables[0])), np.arange(40)))
    return tables


def write_audit(folder, audit):
    """A run folder that is an audit and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_text(json.dumps(audit))
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "events.jsonl").write_text("")
    summary = {"task": "csv", "seed": 1, "phases": ["audit"], "num_clients": audit["clients"]}
    summary |= {"engine": "embedded", "privacy": "none", "stopped_because": "the audit is done"}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def page_of(folder, audit):
    write_report(write_audit(folder, audit))
    return (folder / "report.html").read_text()


def text_of(page):
    """The words of a page, as a reader sees them."""
    body = page[page.index("<body") :]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " "))


def test_an_audit_alone_has_a_page_with_its_data(tmp_path):
    page = page_of(tmp_path / "run", audit_of(SITES))
    text = text_of(page)
    assert '<h2 id="data">The data</h2>' in page
    assert "770 rows of 4 sites" in text
    assert "No errors and no warnings." in text
    assert 'id="folds"' not in page


def test_what_is_wrong_is_shown_with_what_to_do(tmp_path):
    audit = audit_of(odd_sites())
    text = text_of(page_of(tmp_path / "run", audit))
    assert {f["severity"] for f in audit["findings"]} >= {"error", "warning", "info"}
    for finding in audit["findings"]:
        assert finding["message"] in text
        assert finding["advice"] in text
    assert "No errors and no warnings." not in text


def test_errors_stand_before_warnings(tmp_path):
    text = text_of(page_of(tmp_path / "run", audit_of(odd_sites())))
    assert text.index("values of age lie outside") < text.index("values of sex are no category")


def test_columns_are_shown_with_what_is_known_of_them(tmp_path):
    audit = audit_of(odd_sites())
    page = page_of(tmp_path / "run", audit)
    text, age, chol = text_of(page), audit["columns"]["age"], audit["columns"]["chol"]
    assert all(f"<bdi>{name}</bdi>" in page for name in audit["columns"])
    assert f"0 … 100, {age['outside']} outside, {100 * age['outlier_share']:.1f}" in text
    assert "of the rows far out" in text
    assert f"{chol['missing']} ({100 * chol['missing_share']:.1f}" in text
    assert f"{audit['columns']['sex']['unknown']} unknown" in text
    cells = [
        c.get("histogram") or [*c.get("categories", {}).values()] for c in audit["columns"].values()
    ]
    assert page.count('class="bar federated"') == sum(n > 0 for of in cells for n in of)
    assert f"{audit['duplicates']} ({100 * audit['duplicates_share']:.1f}" in text


def test_categories_are_shown_by_their_words(tmp_path):
    columns = (*SCHEMA.columns[:2], replace(SCHEMA.columns[2], words=("woman", "man")))
    schema = Schema((*columns, SCHEMA.columns[3]), SCHEMA.classes)
    text = text_of(page_of(tmp_path / "run", audit_of(SITES, schema)))
    assert re.search(r"2 categories, most often (wo)?man\b", text)


def test_labels_are_shown_by_name_with_their_spread_over_sites(tmp_path):
    audit = audit_of(SITES)
    text = text_of(page_of(tmp_path / "run", audit))
    for name, count, spread in zip(
        audit["classes"], audit["labels"], audit["label_spread"], strict=True
    ):
        assert f"{name} {count} {100 * spread['mean']:.1f}" in text


def test_columns_that_drifted_are_shown_against_the_baseline(tmp_path):
    older = [Table(t.x * [0.5, 1, 1, 1], t.y) for t in SITES]
    audit = audit_of(SITES, drift=figures(older, minimum=10))
    assert [d["name"] for d in audit["drift"] if d["severity"] == "alert"] == ["age"]
    text = text_of(page_of(tmp_path / "run", audit))
    assert "Against the baseline: 1 of" in text
    psi = next(d["psi"] for d in audit["drift"] if d["name"] == "age")
    assert f"age alert {psi:.3f}" in text


def test_drift_that_cannot_be_told_is_a_dash_with_its_reason(tmp_path):
    few = [Table(t.x.copy(), t.y) for t in SITES]
    for table in few:
        table.x[:, 2] = np.where(np.arange(len(table)) < 9, 1.0, 0.0)
    audit = audit_of(few, drift=figures(few, minimum=10))
    (sex,) = [d for d in audit["drift"] if d["name"] == "sex"]
    assert (sex["severity"], sex["psi"], sex["chi2_p"]) == ("unknown", None, None)
    text = text_of(page_of(tmp_path / "run", audit))
    assert "rows of hidden ones" in text
    assert f"sex unknown {sex['absent']['psi'][:120]}" in text
    assert "of 1 it is not known" in text


def test_without_a_baseline_nothing_is_said_of_drift(tmp_path):
    assert "baseline:" not in text_of(page_of(tmp_path / "run", audit_of(SITES)))


@pytest.mark.parametrize(
    "place", ["message", "advice", "column", "unit", "name", "class", "word", "drift"]
)
def test_text_from_elsewhere_is_text_and_no_markup(tmp_path, place):
    audit = audit_of(odd_sites(), drift=figures(SITES, minimum=10))
    if place in ("message", "advice", "column"):
        audit["findings"][0][place] = EVIL
    elif place == "unit":
        audit["columns"]["age"]["unit"] = "<script>"
    elif place == "name":
        audit["columns"][EVIL] = audit["columns"].pop("age")
    elif place == "class":
        audit["classes"][0] = EVIL
    elif place == "word":
        audit["columns"]["sex"]["categories"] = {EVIL: 9}
    else:
        audit["drift"][0]["name"] = EVIL
    page = page_of(tmp_path / "run", audit)
    data = page[page.index('id="data"') :]
    assert "&lt;script&gt;" in data
    assert "<script>alert" not in page
    assert "\x1b" not in page


def test_a_column_of_one_site_alone_has_no_figures_and_says_why(tmp_path):
    tables = [rows(150, seed) for seed in range(4)]
    for table in tables[1:]:
        table.x[4:, 0] = np.nan
    audit = audit_of(tables)
    assert audit["columns"]["age"]["mean"] is None
    assert "only one site shows values of age" in text_of(page_of(tmp_path / "run", audit))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "many"},
        {"rows": -1},
        {"findings": [{"check": "range"}]},
        {"columns": {"age": {"unit": "", "missing": 0}}},
        {"duplicates_share": 2.0},
        {"drift": [{"name": "age", "psi": "much", "ks": None, "severity": "none"}]},
    ],
)
def test_a_damaged_audit_is_one_sentence(tmp_path, change):
    folder = write_audit(tmp_path / "run", audit_of(SITES) | change)
    with pytest.raises(UserError, match=r"audit\.json is damaged .*; restore the file") as caught:
        read_audit(folder / "audit.json")
    assert "\n" not in str(caught.value)


def test_an_audit_without_the_newer_shares_is_still_read(tmp_path):
    audit = audit_of(SITES)
    audit.pop("duplicates_share")
    for column in audit["columns"].values():
        column.pop("outlier_share", None)
    folder = write_audit(tmp_path / "run", audit)
    assert read_audit(folder / "audit.json").duplicates_share == 0.0


def test_of_very_many_columns_the_first_are_shown_and_the_rest_is_counted(tmp_path):
    audit = audit_of(SITES)
    one = audit["columns"]["age"]
    audit["columns"] = {f"c{i}": one for i in range(MOST_COLUMNS + 7)}
    folder = write_audit(tmp_path / "run", audit)
    assert len(lines(read_audit(folder / "audit.json"))) == MOST_COLUMNS
    text = text_of(page_of(tmp_path / "run", audit))
    assert f"{MOST_COLUMNS + 7} columns" in text
    assert "7 more are in audit.json" in text


def test_the_terminal_shows_duplicates_and_outliers_too(tmp_path, monkeypatch):
    audit = audit_of(odd_sites())
    text = terminal(audit, tmp_path, monkeypatch)
    assert "unknown all but holes, since no range is declared: note" in text
    assert f"{audit['duplicates_share']:.1%} twice" in text
    assert f"{audit['columns']['age']['outlier_share']:.1%}" in text


@pytest.mark.parametrize("columns", [160, 80, 60, 40, 20])
def test_names_and_figures_of_an_audit_are_whole_at_every_width(tmp_path, monkeypatch, columns):
    console = Console(width=columns, record=True)
    monkeypatch.setattr(audit_table, "Console", lambda **_: console)
    audit = audit_of(odd_sites())
    audit_table.print_audit(parse_row(Audit, audit), tmp_path)
    text = console.export_text()
    assert not re.search(r"\S…", text)  # a range is written with spaces, a cut word without
    words = " ".join(text.split())
    for name in audit["columns"]:
        assert name in words
    assert f"{audit['columns']['age']['outlier_share']:.1%}" in words
    assert "outliers" in words


def test_brackets_and_colons_of_columns_and_folders_are_no_markup(tmp_path, monkeypatch, capsys):
    audit = audit_of(odd_sites())
    audit["columns"] = {f"{name} [mg] :a: [/x]": of for name, of in audit["columns"].items()}
    monkeypatch.setenv("COLUMNS", "300")
    audit_table.print_audit(parse_row(Audit, audit), tmp_path / "[/run]")
    said = capsys.readouterr().out
    assert "unknown all but holes, since no range is declared: note [mg] :a: [/x]" in said
    assert f"audit   {tmp_path}/[/run]/audit.json" in said


def few_holes():
    """Two sites that hide nine holes of chol each, and a third value of a category."""
    tables = [rows(60, i) for i in (1, 2)]
    for table in tables:
        table.x[:, 1] = np.linspace(100, 300, 60)
        table.x[:9, 1], table.x[:55, 2] = np.nan, 0.0
        table.x[55:, 2] = 1.0
    return tables


def test_holes_that_sites_hide_are_not_shown_as_none(tmp_path, monkeypatch):
    audit = audit_of(few_holes())
    chol, sex = audit["columns"]["chol"], audit["columns"]["sex"]
    assert (chol["missing"], sex["missing"]) == (0, 0)
    assert chol["margins"]["missing"] >= 18  # as many rows have none
    assert sex["margins"]["missing"] >= 10
    shown = {
        line.name: line.missing
        for line in lines(read_audit(write_audit(tmp_path, audit) / "audit.json"))
    }
    assert shown["age"] == "none"
    for name, column in (("chol", chol), ("sex", sex)):
        within = f"{100 * column['margins']['missing_share']:.1f}"
        assert shown[name].replace("\u202f", " ") == f"0 (0.0 %, within {within} %)"
        assert f"0.0% (within {within}%)" in terminal(audit, tmp_path, monkeypatch)


def test_what_no_site_gives_is_a_dash_and_not_zero(tmp_path, monkeypatch):
    found = figures(SITES, minimum=10_000)
    head = {"task": "csv", "clients": 4, "bins": 16, "classes": ["a", "b"]}
    audit = head | as_json(found) | {"findings": [], "drift": None}
    text = text_of(page_of(tmp_path / "run", audit))
    assert "An unknown number of rows of 4 sites" in text
    assert {
        line.missing for line in lines(read_audit(write_audit(tmp_path, audit) / "audit.json"))
    } == {"—"}
    assert "an unknown number of rows of 4 sites" in terminal(audit, tmp_path, monkeypatch)


def test_a_mean_is_never_cut_in_the_middle(tmp_path):
    audit = audit_of(SITES)
    age = audit["columns"]["age"]
    age |= {"mean": 9007199254741478.0, "median": 9007199254741112.0, "sd": 282.125}
    age["margins"] |= {"mean": 100.5, "median": 100.5, "sd": 100.5}
    text = text_of(page_of(tmp_path / "run", audit))
    assert "9.007199254741478e+15 (within 100" in text
    assert "median 9.007199254741112e+15 (within 100" in text


def terminal(audit, folder, monkeypatch):
    console = Console(width=160, record=True, highlight=False, file=io.StringIO())
    monkeypatch.setattr(audit_table, "Console", lambda **_: console)
    audit_table.print_audit(parse_row(Audit, audit), folder)
    return console.export_text()
