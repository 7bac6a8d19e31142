"""docs/secagg.md: each section that the code names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_section_of_the_protocol_that_the_code_names_is_on_its_page():
    page = (ROOT / "docs" / "secagg.md").read_text()
    there = set(re.findall(r"^## (\d+)\. ", page, re.MULTILINE))
    named = {}
    for package in ("calyx", "client", "server", "benchmarks", "strategies"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if "calyx-secagg/1" in text:
                named |= dict.fromkeys(re.findall(r"§(\d+)", text), path)
    assert {"2", "3", "4", "5", "6"} <= named.keys()
    assert not {number: path for number, path in named.items() if number not in there}
