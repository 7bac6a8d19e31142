"""The task vowel: both forms of its file, its speakers, and files that are not the file."""

from pathlib import Path

import numpy as np
import pytest

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError, DataError
from calyx.privacy.section import PrivacyConfig, smallest_sound_group
from calyx.tasks import vowel
from calyx.tasks.registry import load_task
from calyx.tasks.vowel import Vowel, canonical
from client.rows.checks import check_table
from client.rows.data import split

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "vowel"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="vowel.csv is not in ../shared/data/vowel"
)


@pytest.fixture(autouse=True)
def _nothing_read_before():
    vowel._read.cache_clear()


def task() -> Vowel:
    return Vowel({"name": "vowel", "w_max": 64})


def original() -> bytes:
    """The rows as the origin has them: columns apart by blanks, and no header."""
    lines = (DATA / "vowel.csv").read_text().splitlines()[1:]
    return "".join(line.replace(",", "  ") + " \n" for line in lines).encode()


def test_white_space_and_a_header_make_no_difference_and_a_digit_does():
    header = "test_split,speaker,sex,f0,f1,f2,f3,f4,f5,f6,f7,f8,f9,vowel\n"
    with_commas = canonical(f"{header}0,1,0,-3.639,0.418\n".encode())
    assert with_commas == f"{header}0,1,0,-3.639,0.418\n".encode()
    assert canonical(b"  0 1\t0  -3.639 0.418\r\n\r\n") == with_commas
    assert canonical(b"0, 1, 0, -3.639, 0.418") == with_commas
    assert canonical(b"0 1 0 -3.639 0.419") != with_commas


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"<html>moved</html>", b"\n\n"])
def test_any_bytes_have_a_form_to_be_refused_by(data):
    assert canonical(data).startswith(b"test_split,")


def test_an_unknown_speaker_is_refused():
    with pytest.raises(ConfigError, match="no client speaker-15; it has speaker-00 … speaker-14"):
        task().load("speaker-15", None, 1)


def test_a_folder_without_the_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no vowel-context\.data"):
        task().load("speaker-00", tmp_path, 1)


def test_without_a_folder_and_a_network_the_way_out_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(vowel, "URL", "http://127.0.0.1:9/")  # nobody listens there
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/.*task\.data_dir=FOLDER"):
        task().load("speaker-00", None, 1)


def test_a_w_max_that_is_no_power_of_two_is_refused():
    with pytest.raises(ConfigError, match="w_max=40 is not a power of two"):
        Vowel({"name": "vowel", "w_max": 40})


def test_the_default_privacy_has_room_for_the_speakers():
    config = resolve(compose(["task=vowel"]))
    assert smallest_sound_group(PrivacyConfig(**config["privacy"]), 15) <= 15


@needs_data
@pytest.mark.parametrize("name", ["vowel.csv", "vowel-context.data"])
def test_the_file_is_read_in_either_form(tmp_path: Path, name):
    data = (DATA / "vowel.csv").read_bytes() if name == "vowel.csv" else original()
    (tmp_path / name).write_bytes(data)
    table = task().load("speaker-00", tmp_path, 1)
    assert table.x[0].tolist() == [
        *(-3.639, 0.418, -0.670, 1.779, -0.168),
        *(1.627, -0.388, 0.529, -0.874, -0.814),
    ]
    assert table.y[:3].tolist() == [0, 1, 2]


@needs_data
@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-20],
        lambda b: b.replace(b"-3.639", b"-3.638", 1),
        lambda b: b[: len(b) // 2],
        lambda b: b"",
    ],
)
@pytest.mark.parametrize("name", ["vowel.csv", "vowel-context.data"])
def test_a_damaged_or_truncated_file_is_refused(tmp_path: Path, name, change):
    (tmp_path / name).write_bytes(change(original()))
    with pytest.raises(DataError, match=rf"{name} is not the file.*archive\.ics\.uci\.edu"):
        task().load("speaker-00", tmp_path, 1)


@needs_data
def test_each_speaker_says_every_vowel_six_times():
    for client in task().clients:
        table = task().load(client, DATA, 1)
        assert np.bincount(table.y).tolist() == [6] * 11
        assert table.x.shape == (66, 10)


@needs_data
def test_no_speaker_has_values_outside_the_schema():
    for client in task().clients:
        found = {
            finding.check for finding in check_table(task().load(client, DATA, 1), task().schema)
        }
        assert not found & {"range", "missing"}


@needs_data
def test_w_max_covers_a_speakers_training_rows():
    rows = len(split(task().load("speaker-03", DATA, 1), 1, "speaker-03")["train"])
    w_max = load_task(resolve(compose(["task=vowel"]))["task"]).w_max
    assert w_max / 2 < rows <= w_max
