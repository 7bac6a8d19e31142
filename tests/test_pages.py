"""What names a page of docs/ names one that is there: configs, README, pages, code."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    *sorted((ROOT / "conf").rglob("*.yaml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *(
        f
        for name in ("calyx", "client", "server", "strategies", "benchmarks")
        for f in sorted((ROOT / name).rglob("*.py"))
    ),
]


def missing(text, home):
    """Paths of pages that a text names, or links to from the folder `home`, and that are not there."""
    named = set(re.findall(r"\bdocs/[\w./-]+\.md\b", text))
    linked = {link for link in re.findall(r"\]\(([^)#\s]+\.md)[^)]*\)", text) if "://" not in link}
    return sorted(
        [path for path in named if not (ROOT / path).is_file()]
        + [link for link in linked if not (home / link).is_file()]
    )


def test_every_page_that_is_named_is_there():
    found = {str(path.relative_to(ROOT)): missing(path.read_text(), path.parent) for path in FILES}
    assert len(found) > 100
    assert {path: pages for path, pages in found.items() if pages} == {}


def test_a_page_that_is_not_there_is_found():
    assert missing("# see docs/nope.md and [x](gone.md#a), docs/tasks.md", ROOT) == [
        "docs/nope.md",
        "gone.md",
    ]
