"""A question of another package: one file, `hits.py`, and its entry point, and nothing else knows of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a process says in which that package is installed."""
    folder = tmp_path_factory.mktemp("installed")
    info = folder / "hits-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hits\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[calyx.questions]\nhits = hits:QUESTION\n")
    (folder / "hits.py").write_bytes((HERE / "hits.py").read_bytes())
    paths = [folder, ROOT, ROOT / "tests", *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, HERE / "ask_hits.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_its_encrypted_sum_is_what_a_test_of_the_same_model_says(answers):
    assert 0 < answers["hits"] == answers["test"] < 1


def test_it_is_shown_by_its_name(answers):
    assert answers["shown"] == "counting hits: 2 of 5 clients"


def test_the_ledger_counts_it_once_a_model_and_as_often_as_a_test(answers):
    """A8: without a training, one number of a model is answered."""
    assert answers["refused"]["the same model"] == "second-vector"
    assert answers["refused"]["another model"] == "daily-limit"


def test_a_policy_that_does_not_list_it_refuses_it(answers):
    assert answers["refused"]["not listed"] == "outside-policy"


def test_a_policy_that_lists_it_is_looser_than_a_template(answers):
    assert answers["looser"] == ["questions is [train, hits], and null in the template"]
