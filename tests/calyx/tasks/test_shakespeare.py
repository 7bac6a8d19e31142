"""The task shakespeare: roles as clients, a row a character, whole speeches, files that are not the file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.errors import ConfigError, DataError
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import apply, fit
from calyx.tasks import shakespeare
from calyx.tasks.registry import load_task
from calyx.tasks.shakespeare import (
    CHARACTERS,
    CONTEXT,
    ROLES,
    Shakespeare,
    read_speeches,
    speeches_by_role,
)
from client.rows.data import split

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "tinyshakespeare"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="input.txt is not in ../shared/data/tinyshakespeare"
)
TEXT = "Nurse:\nPeter!\n\nPETER:\nAnon!\n\nNURSE:\nMy fan,\nPeter.\n"


@pytest.fixture(autouse=True)
def _nothing_read_before():
    shakespeare._speeches.cache_clear()


def task(**changes) -> Shakespeare:
    section = {"name": "shakespeare", "min_characters": 10000, "w_max": 32768}
    return Shakespeare(section | changes)


def text_of(numbers: np.ndarray) -> str:
    return "".join(CHARACTERS[int(i)] for i in numbers)


def test_a_role_says_all_its_speeches_however_its_name_is_written():
    assert speeches_by_role(TEXT) == {
        "nurse": ["Peter!\n", "My fan,\nPeter.\n"],
        "peter": ["Anon!\n"],
    }


def test_a_row_is_a_character_and_the_ten_before_it_within_the_speech():
    table = read_speeches(["Peter!\n", "My fan,\nPeter.\n"])
    assert text_of(table.y) == "Peter!\nMy fan,\nPeter.\n"
    assert (table.x.shape, table.x.dtype, table.y.dtype) == ((22, CONTEXT), np.float64, np.int64)
    assert text_of(table.x[0]) == "\n" * 10
    assert text_of(table.x[6]) == "\n\n\n\nPeter!"
    assert text_of(table.x[7]) == "\n" * 10  # a new speech knows nothing of the one before
    assert text_of(table.x[21]) == "fan,\nPeter."[-10:]
    assert table.blocks is not None
    assert table.blocks.tolist() == [0] * 7 + [1] * 15


@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=40), min_size=1, max_size=8))
def test_every_character_is_a_row_and_can_be_read_back(speeches):
    table = read_speeches(speeches)
    assert text_of(table.y) == "".join(speeches)
    for row in range(len(table)):
        start = int(np.flatnonzero(table.blocks == table.blocks[row])[0])
        assert text_of(table.x[row]) == ("\n" * 10 + text_of(table.y[start:row]))[-10:]


def test_clients_are_the_roles_that_say_enough():
    assert len(task().clients) == 36
    assert len(task(min_characters=2000).clients) == len(ROLES) == 100
    assert task(min_characters=30000).clients == ("duke-vincentio", "gloucester", "king-richard-ii")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min_characters": 1999}, r"task\.min_characters is 1999"),
        ({"min_characters": 40000}, r"task\.min_characters is 40000"),
        ({"w_max": 30000}, "w_max=30000 is not a power of two"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        task(**changes)


def test_an_unknown_role_is_refused():
    with pytest.raises(ConfigError, match="no client HAMLET; it has angelo … york"):
        task().load("HAMLET", None, 1)


def test_a_folder_without_the_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no input\.txt"):
        task().load("romeo", tmp_path, 1)


@needs_data
@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b[:1000], lambda b: b + b"\n", bytes.lower]
)
def test_a_damaged_or_truncated_file_is_refused(tmp_path: Path, change):
    (tmp_path / "input.txt").write_bytes(change((DATA / "input.txt").read_bytes()))
    with pytest.raises(DataError, match=r"SHA-256 differs.*raw\.githubusercontent\.com/karpathy"):
        task().load("romeo", tmp_path, 1)


def test_without_a_folder_and_a_network_the_way_out_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(shakespeare, "URL", "http://127.0.0.1:9/")  # nobody listens there
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/.*task\.data_dir=FOLDER"):
        task().load("romeo", None, 1)


def test_the_model_is_small_and_takes_characters():
    model = task().model(CONTEXT)
    assert sum(p.numel() for p in model.parameters()) == 65 * 8 + 80 * 180 + 180 + 180 * 65 + 65
    assert model(torch.full((3, CONTEXT), 64.0)).shape == (3, 65)


def test_the_model_depends_on_the_order_of_the_characters():
    model, x = task().model(CONTEXT), torch.arange(10.0)[None]
    assert not torch.equal(model(x), model(x.flip(1)))


@pytest.mark.parametrize(
    "overrides",
    [
        ["preprocessing=local"],
        ["preprocessing=none"],
        ["preprocessing=local", "preprocessing.outliers=flag"],
    ],
)
def test_no_preprocessing_changes_the_numbers_of_characters(overrides):
    section = resolve(compose(["task=shakespeare", *overrides]))["preprocessing"]
    cfg = parse(PreprocessingConfig, section, "preprocessing")
    table = read_speeches(["My fan,\nPeter.\n", "Zounds!\n"])
    assert (apply(fit(table, task().schema, cfg), table) == table.x).all()


@needs_data
def test_the_file_holds_what_the_table_of_roles_says():
    said = speeches_by_role((DATA / "input.txt").read_text())
    lengths = {role: sum(map(len, speeches)) for role, speeches in said.items()}
    assert {role: n for role, n in lengths.items() if n >= 2000} == ROLES
    assert set("".join("".join(s) for s in said.values())) == set(CHARACTERS)
    assert sorted(CHARACTERS) == list(CHARACTERS)


@needs_data
def test_no_speech_is_both_trained_on_and_judged_by():
    table = task().load("juliet", DATA, 1)
    parts = split(table, 1, "juliet")
    blocks = [set(part.blocks.tolist()) for part in parts.values()]
    assert sum(map(len, blocks)) == len(set.union(*blocks))
    assert 0.15 < len(parts["test"]) / len(table) < 0.25


@needs_data
def test_w_max_covers_the_longest_roles_training_rows():
    name = max(ROLES, key=lambda role: ROLES[role])
    rows = len(split(task().load(name, DATA, 1), 1, name)["train"])
    w_max = load_task(resolve(compose(["task=shakespeare"]))["task"]).w_max
    assert w_max / 2 < rows <= w_max
