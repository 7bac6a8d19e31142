"""Kept rows go when they are too old, or too many: the oldest first, and never the newest."""

import os
from datetime import date

from calyx.serving.kept_rows import KeptRows, forget_old, list_rows
from calyx.serving.log_config import LogConfig
from calyx.trust.recipients import make_recipient

LEAST = LogConfig(rows_days=2, rows_bytes=2**20)


def test_files_go_by_age_and_by_size(tmp_path):
    for day in ("20260101", "20260108", "20260109", "20260110"):
        (tmp_path / f"rows-1-{day}-000001.jsonl").write_bytes(bytes(400_000))
    (tmp_path / "decisions-1-000001.jsonl").write_bytes(b"")
    forget_old(tmp_path, LEAST, date(2026, 1, 10))
    # 400 kB each: two of them fit into a MiB, beside which the first is too old.
    assert sorted(path.name for path in list_rows(tmp_path)) == [
        "rows-1-20260109-000001.jsonl",
        "rows-1-20260110-000001.jsonl",
    ]
    assert (tmp_path / "decisions-1-000001.jsonl").exists()


def test_what_is_kept_stays_within_its_bytes(tmp_path):
    public = make_recipient("auditor", tmp_path / "keys").key
    folder = tmp_path / "log"
    folder.mkdir()
    for restart in range(2):
        kept = KeptRows(folder, public, LEAST)
        for n in range(60):
            kept.keep(f"{restart}-{n}", os.urandom(20_000))
        kept.close()
    sizes = [path.stat().st_size for path in list_rows(folder)]
    assert 2**20 / 2 < sum(sizes) < 2**20 * (1 + 2 / 16)
