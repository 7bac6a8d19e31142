"""docs/audit.md: every command of the page runs, and what it says of checks and items is so."""

import json
import re
import shlex
from pathlib import Path

import pytest

from calyx.statistics.blocks import ITEMS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text()
COMMANDS = re.findall(r"^calyx (.+)$", PAGE, flags=re.MULTILINE)
FINDINGS = (ROOT / "calyx" / "statistics" / "findings.py").read_text()


def words(command, heart_dir):
    return [w.replace("../shared/data/heart", str(heart_dir)) for w in shlex.split(command)]


@pytest.mark.parametrize("command", [c for c in COMMANDS if "runs/" not in c])
def test_a_command_of_the_page_runs(calyx, heart_dir, command):
    short = ["rounds=2", "baselines=false"] if command.startswith("simulate") else []
    done = calyx(*words(command, heart_dir), *short)
    assert done.returncode == ("task.faults" in command), done.stderr


def test_two_audits_are_compared(calyx, heart_dir, tmp_path):
    for command in (c for c in COMMANDS if "runs/" in c):
        assert calyx(*words(command, heart_dir)).returncode == 0
    drift = json.loads((tmp_path / "runs" / "july" / "audit.json").read_text())["drift"]
    assert {d["severity"] for d in drift} == {"none"}
    assert "ca" not in {d["name"] for d in drift}  # which one site alone shows
    assert len(drift) == 13  # 12 columns and the label


def test_what_hiding_costs_is_what_the_page_says(calyx, heart_dir, tmp_path):
    folder = tmp_path / "hidden"
    done = calyx("audit", "task=heart", f"task.data_dir={heart_dir}", f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    audit = json.loads((folder / "audit.json").read_text())
    columns = audit["columns"]
    quartiles = [f"{columns['age'][q]:.1f}" for q in ("q1", "median", "q3")]
    tells = [f"{columns[name]['association']:.2f}" for name in ("sex", "chol", "exang")]
    missing = [str(columns[name]["missing"]) for name in ("trestbps", "fbs", "ca")]
    for shown in (
        f"{sum(columns['age']['histogram'])}; {', '.join(quartiles)}",
        ", ".join(map(str, columns["restecg"]["categories"].values())),
        ", ".join(map(str, audit["labels"])),
        ", ".join(missing),
        str(columns["chol"]["coded_missing"]),
        ", ".join(tells),
    ):
        assert f"| {shown} |" in PAGE
    silent = [name for name, column in columns.items() if column["association"] is None]
    assert silent == ["slope", "ca", "thal"]


def test_hearts_duplicates_show_in_single_sites_own_findings_only(calyx, heart_dir, tmp_path):
    done = calyx("audit", "task=heart", f"task.data_dir={heart_dir}", "hydra.run.dir=run")
    events = [json.loads(e) for e in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    own = [e for e in events if e["event"] == "finding"]
    assert {e["client"] for e in own if e["check"] == "duplicates"} == {"hungarian", "va"}
    assert f"{len(own)} findings of single sites" in done.stdout
    found = json.loads((tmp_path / "run" / "audit.json").read_text())["findings"]
    assert "duplicates" not in {f["check"] for f in found}


def test_every_check_and_every_item_is_on_the_page():
    checks = re.findall(r'AuditFinding\(\s*"([a-z-]+)"', FINDINGS)
    assert [check for check in checks if f"`{check}`" not in PAGE] == []
    assert len(checks) >= 12
    assert [item for item in ITEMS if f"`{item}`" not in PAGE] == []
