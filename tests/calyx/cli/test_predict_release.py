"""`calyx predict` of a release: only what its signers have signed answers, as the model's file says."""

import csv
import io

import numpy as np
import pytest
from support.releases import SCHEMA, make_release, model_bytes, write_signers

from calyx.cli import predict
from calyx.errors import UserError
from calyx.model.released import load
from calyx.releases.manifest import Unverified

ROWS = [
    [63, 1, 1, 145, 233, 1, 2, 150, 0, 2.3, 3, 0, 6],
    [41, 0, 2, 130, 204, 0, 0, 172, 0, 1.4, 1, 0, 3],
]


@pytest.fixture
def words(tmp_path):
    """A signed release, rows, and who must have signed."""
    folder = tmp_path / "releases" / "heart-1"
    folder.parent.mkdir()
    make_release(folder)
    names = ",".join(column.name for column in SCHEMA.columns)
    lines = [",".join(map(str, row)) for row in ROWS]
    (tmp_path / "rows.csv").write_text("\n".join([names, *lines]) + "\n")
    signers = write_signers(tmp_path / "signers.json")
    return [str(folder), str(tmp_path / "rows.csv"), f"--signers={signers}"]


def test_a_release_predicts_what_its_model_says(words, tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(model_bytes())
    wanted = load(tmp_path / "model.safetensors").predict(np.array(ROWS))
    assert predict.main(words) == 0
    said = capsys.readouterr()
    lines = csv.DictReader(io.StringIO(said.out))
    found = [[float(line["p(healthy)"]), float(line["p(disease)"])] for line in lines]
    assert np.array(found) == pytest.approx(wanted, abs=1e-5)
    assert "This is heart version 1, signed by anna and bela." in said.err


def test_a_release_that_does_not_verify_predicts_nothing(words, tmp_path, capsys):
    model = tmp_path / "releases" / "heart-1" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    with pytest.raises(Unverified, match=r"model\.safetensors is not what was signed"):
        predict.main(words)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["client=va"], "leave client=NAME"),
        (["--common"], "leave client=NAME"),
        (["--out={0}/x.csv"], "in which no command changes anything"),
    ],
)
def test_words_that_do_not_go_with_a_release_are_refused(words, more, said):
    with pytest.raises(UserError, match=said):
        predict.main([*words, *(word.format(words[0]) for word in more)])


def test_a_release_needs_a_policy_and_a_run_has_none(words, tmp_path):
    with pytest.raises(UserError, match="give --signers FILE"):
        predict.main(words[:2])
    with pytest.raises(UserError, match="a run has no signatures"):
        predict.main([str(tmp_path), *words[1:]])
