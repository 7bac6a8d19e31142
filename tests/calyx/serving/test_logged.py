"""What a gateway writes down of requests that it answers and refuses, and what it answers with sets."""

import asyncio
import json
import os
import resource
import signal

import pytest
from support.gateways import HEART_ROW, gateway_on
from support.releases import make_release

from calyx.releases.card_parts import Conformal
from calyx.secagg.keys import identity_of
from calyx.serving.kept_rows import find_rows
from calyx.serving.log_check import check_chain
from calyx.serving.log_config import LogConfig
from calyx.serving.log_lines import list_files
from calyx.serving.log_reading import ChainReader
from calyx.trust.key_files import read_own
from calyx.trust.recipients import make_recipient, read_private

# Of a hundred rows, 95 gave their true class a probability of 0.1 at least.
CONFORMAL = Conformal(score="probability", ends=(0.9, 0.1, 0.0), counts=(50, 45, 5))


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logged")
    (folder / "releases").mkdir()
    make_release(folder / "releases" / "heart-1", conformal=CONFORMAL)
    make_recipient("auditor", folder)
    log = LogConfig(keep_rows=True, rows_key=str(folder / "auditor.pub"))
    with gateway_on(folder, coverage=0.9, digits=6, log=log) as asked:
        yield asked


def decisions(asked):
    """What the log says of each request, once it is sound."""
    state = asked.folder.parent / "state"
    files = list_files(state / "log")[1]
    key = identity_of(read_own(state / "log.key", "log", "make one"))
    assert check_chain(files, [key], replica=1).damages == []
    lines = [json.loads(line) for path in files.values() for line in path.open()]
    return [line for line in lines if line["what"] == "decision"]


def test_a_set_has_the_classes_of_probability_a_tenth_at_least(asked):
    row = asyncio.run(asked.predict(HEART_ROW)).json()["predictions"][0]
    assert row["set"] == [name for name, p in row["probabilities"].items() if p >= 0.1]


def test_answers_and_refusals_are_logged_without_rows_and_rows_are_kept_sealed(asked):
    before = len(decisions(asked))
    asyncio.run(asked.predict(HEART_ROW, HEART_ROW))
    asyncio.run(asked.predict(HEART_ROW | {"age": "old"}))
    asyncio.run(asked.predict(HEART_ROW, headers={"authorization": ""}))
    answered, wrong, nobody = decisions(asked)[before:]
    said = [(d["caller"], d["outcome"], d["status"], d["rows"]) for d in (answered, wrong, nobody)]
    assert said == [
        ("ward 3", "answered", 200, 2),
        ("ward 3", "refused", 422, 0),
        (None, "refused", 401, 0),
    ]
    folder = asked.folder.parent
    stored = b"".join(path.read_bytes() for path in (folder / "state/log").iterdir())
    assert b"trestbps" not in stored
    private = read_private(folder / "auditor.key")
    sent = find_rows(folder / "state/log", answered["request"], answered["kept"], private)
    assert json.loads(sent) == {"rows": [HEART_ROW, HEART_ROW]}
    assert wrong["kept"] is None


def test_a_full_disk_is_a_503_until_there_is_room(asked):
    before = len(decisions(asked))
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        refused = asyncio.run(asked.predict(HEART_ROW))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert asyncio.run(asked.predict(HEART_ROW)).status_code == 200
    assert [line["status"] for line in decisions(asked)[before:]] == [200]


def test_a_hole_of_a_terabyte_is_no_log(tmp_path):
    path = tmp_path / "decisions-1-000001.jsonl"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(OSError, match="a line of more than 67,108,864 bytes"):
        list(ChainReader({1: path}))
