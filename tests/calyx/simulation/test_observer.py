"""What clients of a simulation fail by is on the screen: once, whatever the client and the round."""

import logging

from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from calyx.simulation.observer import Observer
from client.journal import Note

WORDS = "strategy.local cannot be used here: keep matches no tensor."


def failure(message):
    return Note("failure", {"code": "order-refused", "message": message})


def test_one_reason_of_many_clients_is_one_line_and_never_again(tmp_path, caplog):
    observer = Observer(RunFolder(tmp_path))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for name in ("turin", "oslo", "lima"):
                observer.note(name, failure(WORDS))
            observer.note("oslo", Note("refusal", {"code": "after-deadline", "message": "Late."}))
            observer.flush()
    assert [r.getMessage() for r in caplog.records] == [
        "oslo: Late.",
        f"lima, oslo and turin: {WORDS}",
    ]
    events = read_lines(tmp_path / "events.jsonl")
    assert [(e["event"], e["client"]) for e in events] == [
        ("client-failed", "lima"),
        ("client-failed", "oslo"),
        ("client-refused", "oslo"),
        ("client-failed", "turin"),
    ]
