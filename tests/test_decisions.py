"""docs/decisions: one form, one index, and in each a file that is so because of it."""

import re

from support.texts import ROOT, read_texts

HOME = ROOT / "docs" / "decisions"
PAGES = {path.name[:4]: path for path in HOME.glob("[0-9]*.md")}
INDEX = dict(re.findall(r"^\| \[(\d{4})\]\((.*)$", (HOME / "README.md").read_text(), re.MULTILINE))
NAMED = re.compile(r"(?:decisions?[/ ]|(?<=\d{4} )and )(\d{4})\b", re.IGNORECASE)
FORM = re.compile(
    r"# \d{4}: [A-Z`\"].*\n\n(.*\n\n)?\*\*Context\.\*\* .*\n\n\*\*Choice\.\*\*.*\n\n\*\*Price\.\*\* .*",
    re.S,
)


def test_every_decision_has_a_context_a_choice_and_a_price():
    assert [n for n, path in PAGES.items() if not FORM.fullmatch(path.read_text())] == []


def test_the_index_has_every_decision_under_its_title():
    titles = {
        n: path.read_text().partition("\n")[0].removeprefix(f"# {n}: ") for n, path in PAGES.items()
    }
    shown = {n: tuple(row.split(" | ")[:2]) for n, row in INDEX.items()}
    assert shown == {n: (f"{PAGES[n].name})", title) for n, title in titles.items()}


def test_the_file_that_the_index_gives_a_decision_names_it():
    replaced = {n for n, row in INDEX.items() if "Replaced by [" in row}
    files = {n: re.findall(r"\[`([^`]+)`\]\(\.\./\.\./\1\) \|$", row) for n, row in INDEX.items()}
    silent = [
        n
        for n in files.keys() - replaced
        if not files[n] or n not in NAMED.findall((ROOT / files[n][0]).read_text())
    ]
    assert silent == []


def test_every_decision_that_is_named_anywhere_is_there():
    named = {(path, n) for path, text in read_texts().items() for n in NAMED.findall(text)}
    assert len(named) > len(PAGES)
    assert sorted((path, n) for path, n in named if n not in PAGES) == []
