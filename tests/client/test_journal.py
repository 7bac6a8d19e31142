"""A site's journal: what a hostile server writes into it is short, printable and bounded."""

import json

from client import journal


def test_a_text_from_elsewhere_is_cut_and_printable(tmp_path):
    journal.keep_in(tmp_path)
    journal.write("refusal", message="\x1b[31m" + "x" * 10_000, loss=float("nan"))
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert row["message"].startswith("?[31mxxx")
    assert len(row["message"]) == 400
    assert row["loss"] is None


def test_a_journal_that_is_full_is_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_MAX_BYTES", 2000)
    journal.keep_in(tmp_path)
    for _ in range(100):
        journal.write("refusal", message="x" * 100)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5000
