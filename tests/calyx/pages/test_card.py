"""card.html: one page without network or script, on which a stranger's names stay text."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from support.cards import ABSENT, card_of

from calyx.pages.card import card_page
from calyx.pages.page import MOST_BYTES
from calyx.releases.card_parts import AuditPart, Conformal, FindingPart, TargetPart

EVIL = '</title><script>alert(1)</script>"onload=\x1b[2J'


class Parts(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def text_of(page):
    """What a reader sees."""
    body = page.decode().partition("</style>")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_a_page_says_what_the_card_says():
    text = text_of(card_page(card_of()))
    assert "heart release 1" in text
    assert "Tells healthy and disease apart from 13 columns." in text
    assert "75.0 %" in text
    assert "CC BY 4.0" in text
    assert "only one client has a score, which has no spread" in text
    assert "60 … 240 may be missing; 0 stands for missing mm Hg" in text
    assert "one site alone shows values: they would be its own" in text
    assert "the audit of the training's rows: a test's" in text
    assert card_of().model.sha256 in text


def test_a_page_says_what_a_prediction_set_would_hold():
    """Of ten test rows nine gave the true class a half or more, and one a quarter: ⌈11 · coverage⌉."""
    part = Conformal(score="probability", ends=(0.5, 0.25, 0.0), counts=(9, 1, 0))
    card = card_of()
    absent = {name: why for name, why in card.absent.items() if name != "conformal"}
    text = text_of(card_page(replace(card, conformal=part, absent=absent)))
    assert "In 80 % of rows classes of 50.0 % or more" in text
    assert "In 90 % of rows classes of 25.0 % or more" in text
    assert "In 95 % of rows every class" in text


def test_a_page_asks_for_nothing_and_runs_nothing():
    page = card_page(card_of()).decode()
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"<script|\son\w+=|src=|href=|@import|url\(", page)


def test_a_strangers_words_stay_text():
    finding = FindingPart(check="x", severity="error", column=EVIL, message=EVIL, advice=EVIL)
    audit = AuditPart(sites=4, rows=None, by_severity={"error": 1}, findings=(finding,))
    lack = {name: EVIL for name in ABSENT if name != "audit"}
    card = card_of(note=EVIL, run=EVIL, audit=audit, absent=lack)
    columns = tuple(
        replace(one, name=f"{EVIL}{i}", unit=EVIL) for i, one in enumerate(card.schema.columns)
    )
    card = replace(
        card,
        schema=replace(card.schema, columns=columns, classes=(EVIL, "b")),
        model=replace(card.model, strategy=EVIL, training={EVIL: EVIL}),
        lock=replace(card.lock, packages={EVIL: EVIL}),
    )
    page = card_page(card)
    parts = Parts()
    parts.feed(page.decode())
    assert "script" not in parts.tags
    assert not [name for name in parts.attributes if name.startswith("on")]
    assert b"\x1b" not in page
    assert "It found 1 error." in text_of(page)


def test_a_clients_model_says_that_it_is_for_that_client_alone():
    card = card_of()
    card = replace(card, model=replace(card.model, whose="client", client="north"))
    assert "fitted for one client, north : it is not for the rows of others" in text_of(
        card_page(card)
    )


def test_a_number_that_is_estimated_has_a_target_and_no_classes():
    card = card_of()
    target = TargetPart(name="cost", center=1.0, scale=2.0, low=0.0)
    schema = replace(card.schema, classes=(), target=target)
    lack = ABSENT | {"confusion": "a regression has no classes"}
    card = replace(card, schema=schema, confusion=None, absent=lack)
    text = text_of(card_page(card))
    assert "Estimates cost from 13 columns." in text
    assert "cost target from 0 not told" in text
    assert "Which class" not in text


@pytest.mark.parametrize("letters", [5, 3000])
def test_a_page_of_many_columns_stays_small_and_says_what_is_not_on_it(letters):
    card = card_of()
    (first, *_) = card.schema.columns
    columns = tuple(replace(first, name=f"{i}{'x' * letters}") for i in range(5000))
    page = card_page(replace(card, schema=replace(card.schema, columns=columns)))
    assert len(page) < MOST_BYTES
    assert "more are in card.json" in text_of(page)
