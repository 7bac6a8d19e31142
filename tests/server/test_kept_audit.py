"""Sites that give statistics once for each version of their rows, and what later runs make of it."""

import json
from dataclasses import replace

import pytest
from support.sites import Sites
from support.taps import Tap, run_server

from calyx.errors import CalyxError, RoundFailed
from calyx.files.plain import read_lines
from client import journal
from client.gate import ledger, memory
from client.rows import data
from server.phases.audit import AuditFailed


@pytest.fixture
def sites(tmp_path, monkeypatch):
    """Six sites; the operator's sums are kept below this test's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(
        "client.learning.measurement.local_findings", lambda *_: []
    )  # they take a second a site
    yield Sites(tmp_path / "sites")
    memory._open.clear()
    ledger.open_ledger.cache_clear()
    journal.keep_in(None)


def audit(sites, folder, grid=None):
    inner = sites.inner if grid is None else grid
    run_server(sites, inner, folder, phases=["audit"])
    return json.loads((folder / "audit.json").read_text())


def with_new_rows(monkeypatch, names):
    """From now on these sites have another version of their rows."""
    real = data.read_rows

    def changed(terms, name, *where):
        rows = real(terms, name, *where)
        if name not in names:
            return rows
        x = rows.table.x.copy()
        x[0, 0] += 1
        return replace(rows, table=replace(rows.table, x=x))

    monkeypatch.setattr("client.rows.renewal.read_rows", changed)


def kept(folder):
    (event,) = [r for r in read_lines(folder / "events.jsonl") if r["event"] == "audit-kept"]
    return event


def test_the_sums_of_an_earlier_run_are_used_where_no_sites_rows_have_changed(sites, tmp_path):
    first = audit(sites, tmp_path / "first")
    assert audit(sites, tmp_path / "second") == first
    assert kept(tmp_path / "second")["severity"] == "info"


def test_sites_with_new_rows_that_are_in_no_sum_are_named_in_a_warning(
    sites, tmp_path, monkeypatch
):
    first = audit(sites, tmp_path / "first")
    names = sorted(sites.nodes)[1:3]
    with_new_rows(monkeypatch, names)
    second = audit(sites, tmp_path / "second")
    (finding,) = [f for f in second["findings"] if f not in first["findings"]]
    assert (finding["check"], finding["severity"]) == ("audit-kept", "warning")
    assert second | {"findings": first["findings"]} == first
    event = kept(tmp_path / "second")
    assert (event["severity"], event["clients"]) == ("warning", names)
    assert event["message"].startswith(f"{names[0]} and {names[1]} have a new version")
    assert "earlier ones" in event["message"]
    assert "when all sites have a new version" in event["message"]
    assert not [name for name in sites.nodes if name not in names and name in event["message"]]


def test_sums_of_earlier_rows_are_a_warning_that_fail_on_reads_also_when_resumed(
    sites, tmp_path, monkeypatch
):
    audit(sites, tmp_path / "first")
    with_new_rows(monkeypatch, sorted(sites.nodes)[1:3])
    monkeypatch.setattr("server.phases.audit.find", lambda *_: [])  # nothing else is wrong
    strict = {"bins": 16, "fail_on": "warning", "baseline": None, "thorough": None}
    changes = {"phases": ["audit"], "audit": strict}
    for resume in (False, True):
        with pytest.raises(AuditFailed, match="have a new version of the rows"):
            run_server(sites, sites.inner, tmp_path / "second", resume, **changes)


def test_kept_sums_of_other_cells_are_one_sentence(sites, tmp_path):
    audit(sites, tmp_path / "first")
    (kept_file,) = (tmp_path / "state" / "calyx" / "statistics").iterdir()
    value = json.loads(kept_file.read_text())
    value["sums"].pop("all/cells")
    kept_file.write_text(json.dumps(value))
    with pytest.raises(CalyxError, match=r"another version of Calyx.*phases=\[preprocess"):
        audit(sites, tmp_path / "second")


def test_new_versions_at_all_sites_give_new_sums(sites, tmp_path, monkeypatch):
    first = audit(sites, tmp_path / "first")
    with_new_rows(monkeypatch, list(sites.nodes))
    assert audit(sites, tmp_path / "second") != first
    assert not [
        r for r in read_lines(tmp_path / "second" / "events.jsonl") if r["event"] == "audit-kept"
    ]


def test_sites_that_have_answered_elsewhere_are_a_reason_to_go_on_without_an_audit(
    sites, tmp_path, monkeypatch
):
    audit(sites, tmp_path / "first")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another operator"))
    with pytest.raises(RoundFailed, match=r"second-vector.*phases=\[preprocess,train"):
        audit(sites, tmp_path / "second")


@pytest.mark.parametrize("kind", ["query.statistics", "query.mask"])
def test_sites_that_are_silent_are_named_alone_and_without_advice_on_phases(sites, tmp_path, kind):
    tap, silent = Tap(sites.inner), sorted(sites.nodes)[4:]
    nodes = {sites.nodes[name] for name in silent}
    tap.request = lambda m: (
        None if m.metadata.message_type == kind and m.metadata.dst_node_id in nodes else m
    )
    with pytest.raises(RoundFailed) as caught:
        audit(sites, tmp_path / "run", tap)
    text = str(caught.value)
    assert text.startswith(f"{silent[0]} (")
    assert "gave no statistics" in text
    assert not [name for name in sites.nodes if name not in silent and name in text]
    assert "phases=" not in text
