"""docs/secagg.md: each section, rule and item of the protocol that anything of ours names is there."""

import re
from pathlib import Path

from support.texts import ROOT, read_texts

from calyx.secagg.refusals import RefusalCode

SECTION = re.compile(
    r"§(\d+)(\.\d)?(?:, (?:rule )?(?:([A-C]\d{1,2})\b|(group|groups) (\d)|\"(\w+)\"))?"
)
ANOTHERS = re.compile(r"(RFC \d+|SP 800-38D|(19|20)\d\d|Standard 39,|Multiresolution,)\s*,?\s*$")


def sections(page):
    """The text of each numbered section of the page."""
    numbered = re.split(r"^## (\d+)\. ", page, flags=re.MULTILINE)[1:]
    return dict(zip(numbered[::2], numbered[1::2], strict=True))


def lost(text, there):
    """References of `text` to the protocol that lead nowhere in its sections `there`."""
    nowhere = []
    for match in SECTION.finditer(text):
        number, part, rule, _, item, word = match.groups()
        if part or ANOTHERS.search(text[: match.start()]):
            continue
        body = there.get(number, "")
        wanted = (
            (rule and rf"\b{rule}\b")
            or (item and rf"^{item}\. ")
            or (word and rf"\*\*{word}\.\*\*")
        )
        if not body or (wanted and not re.search(wanted, body, re.MULTILINE)):
            nowhere.append(match.group())
    return nowhere


def test_every_section_of_the_protocol_that_is_named_is_on_its_page():
    there = sections((ROOT / "docs" / "secagg.md").read_text())
    texts = read_texts({".py", ".md", ".yaml"})
    del texts[str(Path(__file__).relative_to(ROOT))]
    assert sum("§" in text for text in texts.values()) > 50
    assert {path: lost(text, there) for path, text in texts.items() if lost(text, there)} == {}


def test_a_section_that_is_not_there_is_found():
    there = {"4": "**Keys.** c, s\n", "10": "| A9 members |", "8": "1. sums\n4. tampering\n"}
    sound = '§4, "Keys"; §10, A9; §8, group 4; RFC 5280 §99; §4.2.1 of Smith 2012, §77'
    assert lost(sound, there) == []
    broken = '§5; §4, "Shamir"; §10, A1; §8, group 3'
    assert lost(broken, there) == ["§5", '§4, "Shamir"', "§10, A1", "§8, group 3"]


def test_every_code_of_a_refusal_is_in_the_table_of_the_security_page():
    page = (ROOT / "docs" / "security.md").read_text()
    table = page.partition("## What a client refuses")[2].partition("\n## ")[0]
    assert [code for code in RefusalCode if f"`{code}`" not in table] == []
