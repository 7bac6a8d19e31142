"""docs/audit.md: every command of the page runs, and what it says of checks and items is so."""

import json
import re
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from support.program import run_here
from support.surveys import SITES, figures

from calyx.files.plain import read_lines
from calyx.findings.baseline import compare_figures
from calyx.findings.figures_json import as_json
from calyx.survey.blocks import ITEMS

ROOT = Path(__file__).resolve().parents[3]
HEART = ROOT.parent / "shared" / "data" / "heart"
PAGE = (ROOT / "docs" / "audit.md").read_text()
COMMANDS = re.findall(r"^calyx (.+)$", PAGE, flags=re.MULTILINE)
SOURCES = [*(ROOT / "calyx").rglob("*.py"), ROOT / "server" / "phases" / "audit.py"]
(JANUARY, JULY) = [command for command in COMMANDS if "runs/" in command]
REST = [c for c in COMMANDS if c not in (JANUARY, JULY) and not JANUARY.startswith(c)]
SHORT = ["rounds=1", "baselines=false", "engine.workers=0"]


def words(command):
    return [w.replace("../shared/data/heart", str(HEART)) for w in shlex.split(command)]


@pytest.fixture(scope="module")
def january(tmp_path_factory):
    """How the page's audit of heart ended, and its folder."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    here = tmp_path_factory.mktemp("here")
    return run_here(here, *words(JANUARY)), here / "runs" / "january"


def audit_of(folder):
    return json.loads((folder / "audit.json").read_text())


@pytest.mark.e2e
@pytest.mark.parametrize("command", REST)
def test_a_command_of_the_page_runs(calyx, heart_dir, tmp_path, command):
    done = calyx(*words(command), *(SHORT if command.startswith("simulate") else []))
    assert done.returncode == ("task.faults" in command), done.stderr
    failed = [
        e for f in tmp_path.rglob("events.jsonl") for e in read_lines(f) if "failed" in e["event"]
    ]
    assert failed == []  # above all no report


@pytest.mark.e2e
def test_two_audits_are_compared(calyx, january, tmp_path):
    done, folder = january
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder, tmp_path / "runs" / "january")
    assert calyx(*words(JULY)).returncode == 0
    drift = audit_of(tmp_path / "runs" / "july")["drift"]
    assert {d["severity"] for d in drift} == {"none", "unknown"}
    known = {"age", "trestbps", "chol", "thalach", "oldpeak", "slope"}
    assert {d["name"] for d in drift if d["severity"] == "none"} == known
    assert len(drift) == 14  # 13 columns and the label


@pytest.mark.e2e
def test_what_hiding_costs_is_what_the_page_says(january):
    audit = audit_of(january[1])
    columns = audit["columns"]
    quartiles = [f"{columns['age'][q]:.1f}" for q in ("q1", "median", "q3")]
    tells = [f"{columns[name]['association']:.2f}" for name in ("sex", "age", "cp")]
    missing = [str(columns[name]["missing"]) for name in ("trestbps", "fbs", "ca")]
    for shown in (
        f"{sum(columns['age']['histogram'])}; {', '.join(quartiles)}",
        f"{', '.join(map(str, columns['restecg']['categories'].values()))}; "
        f"{columns['restecg']['hidden_rows']}",
        ", ".join(map(str, audit["labels"])),
        ", ".join(missing),
        str(columns["chol"]["coded_missing"]),
        ", ".join(tells),
    ):
        assert f"| {shown} |" in PAGE
    assert all(c["absent"]["association"] for c in columns.values() if c["association"] is None)
    silent = [name for name, column in columns.items() if column["association"] is None]
    assert silent == ["fbs", "restecg", "exang", "oldpeak", "slope", "ca", "thal"]


@pytest.mark.e2e
def test_hearts_duplicates_show_in_single_sites_own_findings_and_are_bounded_in_the_audit(january):
    done, folder = january
    own = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "finding"]
    assert {e["client"] for e in own if e["check"] == "duplicates"} == {"hungarian", "va"}
    assert f"{len(own)} findings of single sites" in done.stdout
    (told,) = [f for f in audit_of(folder)["findings"] if f["check"] == "duplicates"]
    assert (told["severity"], told["count"]) == ("info", 0)
    assert audit_of(folder)["margins"]["duplicates"] == 18  # two sites hide up to nine


def test_every_check_and_every_item_is_on_the_page():
    found = (re.findall(r'AuditFinding\(\s*"([a-z-]+)"', path.read_text()) for path in SOURCES)
    checks = [check for names in found for check in names]
    assert [check for check in checks if f"`{check}`" not in PAGE] == []
    assert len(checks) >= 18
    assert [item for item in ITEMS if f"`{item}`" not in PAGE] == []


def figures_of(audit):
    """Every name of a figure in an audit.json: at the top, of a column, of a drift, of a spread."""
    names = set(audit)
    for column in audit["columns"].values():
        names |= set(column)
    for drift in audit["drift"]:
        names |= set(drift)
    for spread in audit["label_spread"]:
        names |= set(spread or ())
    return names


def test_every_figure_of_an_audit_has_a_line_that_says_what_is_found_by_it_or_why_nothing_is():
    older = figures(SITES, minimum=10)
    drifts = [asdict(drift) for drift in compare_figures(older, older)]
    head = {"task": "csv", "clients": 4, "bins": 16, "classes": ["healthy", "ill"]}
    audit = head | as_json(older) | {"findings": [], "drift": drifts}
    table = PAGE[PAGE.index("| figure | finding |") :].split("\n\n")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
    named = {name for first, *_ in lines for name in re.findall(r"`(\w+)`", first)}
    assert figures_of(audit) - named == set()
    assert all(len(line) == 4 and line[1].strip() for line in lines)
    checks = {
        name for _, second, *_ in lines for name in re.findall(r"`([a-z]+-?[a-z-]+)`", second)
    }
    assert {"label-shift", "category-shift", "mean-shift", "tells-label", "drift"} <= checks
