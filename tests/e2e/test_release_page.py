"""docs/release.md, word for word: from a run to releases that two of three people signed."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from support.pages import DATA, ROOT

PAGE = (ROOT / "docs/release.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SHORT = ("rounds=1", "training.epochs=1", "baselines=false", "engine.workers=0")
ROW = "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal\n"


def test_every_kind_of_command_is_on_the_page():
    said = [" ".join(words[1:3]) for words in COMMANDS]
    assert {"keys signer", "keys signers", "keys recipient", "release sign"} <= set(said)
    assert said.count("release sign") == 6
    others = {words[0] for words in COMMANDS if words[0] != "calyx"}
    assert others == {"openssl", "model_signing"}


@pytest.mark.e2e
def test_the_page_leads_from_a_run_to_answers_that_its_signers_stand_for(calyx, tmp_path):
    if not (DATA / "heart").is_dir():
        pytest.skip("../shared/data/heart is not here")
    (tmp_path / "new.csv").write_text(ROW + "63,1,1,145,233,1,2,150,0,2.3,3,0,6\n")
    said = []
    for program, *words in COMMANDS:
        if program != "calyx" or "--openssf" in words:
            continue  # below
        if words[0] == "simulate":
            words = [*words, f"task.data_dir={DATA / 'heart'}", *SHORT]
        ended = calyx(*words)
        assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
        said += [ended.stdout] if words[0] == "verify" else []
    assert [one.count("\n") for one in said] == [1, 1, 1]
    assert "heart version 1" in said[0]
    assert "heart version 2" in said[1]
    assert "signed by anna and cleo" in said[1]
    assert "heart version 3" in said[2]
    assert "3 releases in a whole chain" in said[2]
    answers = (tmp_path / "answers.csv").read_text().splitlines()
    assert len(answers) == 2
    listed = {path.name for path in (tmp_path / "releases/heart-1").iterdir()}
    promised = set(re.findall(r"`([\w.]+\.(?:json|html|sig|safetensors))`", PAGE))
    assert listed <= promised
    card = json.loads((tmp_path / "releases/heart-1/card.json").read_text())
    assert card["note"] == "For research; not a medical device."
    if importlib.util.find_spec("OpenSSL") and importlib.util.find_spec("model_signing"):
        check_openssf(calyx, tmp_path)
        shutil.rmtree(tmp_path / "releases/heart-4")
    check_refusals(calyx, tmp_path)


def check_openssf(calyx, folder):
    """The program model_signing itself accepts the release, and refuses one that was changed."""
    start = [words[0] for words in COMMANDS].index("openssl")
    *before, verify = COMMANDS[start : start + 4]
    for program, *words in before:
        ended = calyx(*words) if program == "calyx" else outside(folder, program, *words)
        assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
    python = (sys.executable, "-m", *verify)
    assert outside(folder, *python).returncode == 0
    for name in ("card.json", "model.safetensors"):
        path = folder / "releases/heart-4" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"\1")
        assert outside(folder, *python).returncode == 1
        path.write_bytes(whole)
    bundle = folder / "releases/heart-4/model.sig"
    bundle.write_bytes(bundle.read_bytes() + b" ")  # Calyx's own signers sign it, too
    ended = calyx("release", "sign", "releases/heart-4", "--key", "keys/anna.key")
    assert "model.sig is not what was signed" in ended.stderr


def outside(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def check_refusals(calyx, folder):
    """What the page's table says is refused, is."""
    policy = ("--signers", "signers.json")
    assert "--decrypt-with" in calyx("verify", "releases", *policy).stderr
    shutil.rmtree(folder / "releases/heart-3")
    assert calyx("verify", "releases", *policy).returncode == 0
    ended = calyx("verify", "releases", *policy, "--at-least", "3")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "no way back" in ended.stderr
    model = folder / "releases/heart-2/model.safetensors"
    model.write_bytes(model.read_bytes()[:-1] + b"\1")
    for command in (
        ("verify", "releases/heart-2", *policy),
        ("predict", "releases/heart-2", "new.csv", *policy),
        ("release", "sign", "releases/heart-2", "--key", "keys/bela.key"),
    ):
        ended = calyx(*command)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), command
        assert "model.safetensors is not what was signed" in ended.stderr
