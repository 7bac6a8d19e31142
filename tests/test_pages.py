"""What names a page, or a file of ours, names one that is there: configs, README, pages, code."""

import re
import tomllib
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
OURS = r"(?:calyx|client|server|strategies|conf|benchmarks|tests|scripts)"
PATHS = re.compile(rf"(?<![\w/.-]){OURS}/[\w/-]+(?:\.(?:py|yaml|toml|json)\b|/(?=[`)\s,;:.]|$))")
STANDS_FOR_ANY = re.compile(r"/(?:test_)?(?:x|NAME)\.\w+$")
SOMEBODYS_OWN = {
    "conf/strategy/careful.yaml",
    "conf/task/fleet.yaml",
}  # of packages that pages make


def gone(text):
    """Paths of ours that a text names, and that are not in the tree."""
    named = {path for path in PATHS.findall(text) if not STANDS_FOR_ANY.search(path)}
    return sorted(path for path in named - SOMEBODYS_OWN if not (ROOT / path).exists())


def missing(text, home):
    """Paths of pages that a text names, or links to from the folder `home`, and that are not there."""
    named = set(re.findall(r"\bdocs/[\w./-]+\.md\b", text))
    linked = set(re.findall(r"\]\((?!\w+://)([^)#\s]+\.(?:md|svg|png))(#[^)\s]+)?\)", text))
    return sorted(
        [path for path in named if not (ROOT / path).is_file()]
        + [link for link, _ in linked if not (home / link).exists()]
        + [link + part for link, part in linked if part and part not in anchors(home / link)]
    )


def anchors(page):
    """Links to a page's headings, as GitHub makes them of their words."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE) if page.is_file() else []
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_that_is_named_is_there():
    found = {str(path.relative_to(ROOT)): missing(path.read_text(), path.parent) for path in FILES}
    assert len(found) > 100
    assert {path: pages for path, pages in found.items() if pages} == {}


def test_every_file_of_ours_that_is_named_is_there():
    paths = [path for path in FILES if path.name != "CHANGELOG.md"]  # which tells what was
    named = {str(path.relative_to(ROOT)): gone(path.read_text()) for path in paths}
    assert {path: files for path, files in named.items() if files} == {}


def test_a_file_that_is_not_there_is_found():
    text = "`server/rounds.py`, see server/nope.py and (calyx/gone/), strategies/x.py, not /home/server/y.py"
    assert gone(text) == ["calyx/gone/", "server/nope.py"]


def test_a_page_that_is_not_there_is_found():
    text = "see docs/nope.md, [x](gone.md), docs/tasks.md, [y](README.md#no), [z](docs/secagg.md#2-trust)"
    assert missing(text, ROOT) == ["README.md#no", "docs/nope.md", "gone.md"]


def test_the_picture_of_the_rooms_has_every_room_from_top_to_bottom():
    drawn = re.findall(r'<text class="r"[^>]*>(\w+)<', (ROOT / "docs/rooms.svg").read_text())
    homes = ("calyx", "client", "server")
    there = [one.parent.name for home in homes for one in (ROOT / home).glob("*/__init__.py")]
    assert sorted(drawn) == sorted(there)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["id"] == "rooms")
    floors = [room for row in layers for room in row.split(" | ") if room in drawn]
    assert floors == [room for room in drawn if room in floors]
