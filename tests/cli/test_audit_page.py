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
    assert len(drift) == 14  # 13 columns and the label


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
