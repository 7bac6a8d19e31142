"""What `calyx server` refuses before it starts anything, and what it says where nothing answers."""

import os
import shutil
from pathlib import Path

import pytest
from support.certificates import replace_authority, replace_server

from calyx.errors import CalyxError, UserError
from calyx.fleet import superlink
from calyx.fleet.superlink import Processes, Serving, check_files
from calyx.flower.environment import without_python
from calyx.flower.messages import Operator
from calyx.trust.authority import make_server


@pytest.fixture
def serving(tmp_path):
    make_server(tmp_path / "keys", ["gateway.example"])
    (tmp_path / "nodes").mkdir()
    return Serving("127.0.0.1", 1, 2, tmp_path / "keys", tmp_path / "nodes", tmp_path / "state")


def other_key(keys: Path) -> None:
    shutil.copy(keys / "ca.key", keys / "server.key")


def other_authority(keys: Path) -> None:
    make_server(keys / "other", ["gateway.example"])
    shutil.copy(keys / "other" / "ca.crt", keys / "ca.crt")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda keys: (keys / "server.key").unlink(), "There is no .*server.key"),
        (other_key, "server.key is not the key of"),
        (lambda keys: replace_server(keys, -20, -10), "server.crt has ended"),
        (lambda keys: replace_authority(keys, -20, -10), "ca.crt has ended"),
        (other_authority, "was not signed by"),
        (lambda keys: (keys.parent / "nodes").rmdir(), "There is no folder"),
    ],
)
def test_files_that_cannot_serve_are_one_sentence(serving, damage, words):
    check_files(serving)
    damage(serving.keys)
    with pytest.raises(UserError, match=words) as caught:
        check_files(serving)
    assert "\n" not in str(caught.value)
    assert not serving.state.exists()


def test_why_a_superlink_does_not_answer_is_said_and_no_other_mistake_is_waited_for(
    serving, monkeypatch
):
    monkeypatch.setattr(superlink, "START_S", 0.0)
    with pytest.raises(
        CalyxError, match=r"did not answer in 0 s \(.*refused\); its log is .*superlink.log"
    ):
        Processes(serving)._wait()
    monkeypatch.setattr(superlink, "START_S", 60.0)
    monkeypatch.setattr(Operator, "runs", lambda _: {}["a mistake of ours"])
    with pytest.raises(KeyError, match="a mistake of ours"):
        Processes(serving)._wait()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "PYTHONPYCACHEPREFIX": "/evil"}, {}),
        ({"PYTHONPATH": f"/evil{os.pathsep}/checkout", "HOME": "/h"}, {"PYTHONPATH": "/checkout"}),
        ({"PYTHON_COLORS": "0", "PATH": "/bin"}, {"PATH": "/bin"}),
    ],
)
def test_pythons_variables_do_not_reach_flowers_processes(given, kept):
    found = without_python(given, Path("/checkout"))
    assert found == kept | ({"HOME": "/h"} if "HOME" in given else {})
