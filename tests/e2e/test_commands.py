"""The README and the pages show only what works: each different command of theirs runs, once."""

import json
import re
from math import prod

import pytest
from support.pages import ROOT, commands, shortened

PAGES = (
    "README.md",
    "docs/commands.md",
    "docs/flower.md",
    "docs/rounds.md",
    "docs/strategies.md",
    "docs/tasks.md",
)
ELSEWHERE = {  # commands that go on from each other, or need more than a command
    "docs/audit.md",
    "docs/bring-your-own.md",
    "docs/ray.md",
    "docs/release.md",
    "docs/reports.md",
    "docs/sweeps.md",
}
RECIPES = [(f"experiment={path.stem}",) for path in (ROOT / "conf" / "experiment").glob("*.yaml")]
ON_PAGES = {words for page in PAGES for words in commands(page)}
OWN_ROWS = {words for words in ON_PAGES if "task=csv" in words}  # test_readme.py
FOUND = sorted((ON_PAGES - OWN_ROWS) | {*RECIPES})
SHOWS = [words for words in FOUND if "--cfg" in words]
SIDE_BY_SIDE = [
    words for words in FOUND if "hydra/launcher=joblib" in words
]  # test_side_by_side.py
DELIVERED = [(f"task={name}",) for name in ("mnist", "shakespeare", "vowel")]  # test_tasks.py
RUNS = [words for words in FOUND if words not in [*SHOWS, *SIDE_BY_SIDE, *DELIVERED]]


@pytest.mark.e2e
@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_a_command_runs(calyx, tmp_path, words):
    done = calyx("simulate", *shortened(words))
    assert done.returncode == 0, done.stderr
    summaries = [json.loads(path.read_text()) for path in tmp_path.rglob("summary.json")]
    assert len(summaries) == (prod(len(w.split(",")) for w in words) if "-m" in words else 1)
    assert list(tmp_path.rglob("report.html"))
    asked = dict(word.split("=", 1) for word in words if "=" in word)
    for summary in summaries:
        assert summary["rounds"] == 1
        for key in ("task", "strategy"):
            assert str(summary[key]) in asked.get(key, str(summary[key])).split(",")


@pytest.mark.e2e
@pytest.mark.parametrize("words", SHOWS, ids=" ".join)
def test_a_command_that_shows_the_config_does(calyx, words):
    done = calyx("simulate", *words)
    assert (done.returncode, "cohort_size: null" in done.stdout) == (0, True)


def test_no_page_has_commands_that_nobody_runs():
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    pages = {
        str(path.relative_to(ROOT))
        for path in files
        if re.search(r"^(calyx |scripts/)simulate\b", path.read_text(), re.M)
    }
    assert pages == {*PAGES, *ELSEWHERE}
    assert len(RUNS) > 15
    assert len(SHOWS) == 1
