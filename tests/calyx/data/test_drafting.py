"""A first schema of a CSV file: what it guesses, what it refuses, and that it can be used."""

import csv
import re
from unicodedata import normalize

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calyx.composing.compose import compose, resolve
from calyx.data import tables
from calyx.data.csv.schema import read_schema
from calyx.data.drafting.ranges import codes_in, outwards
from calyx.data.drafting.writing import draft as draft_of
from calyx.errors import DataError
from calyx.tasks import heart
from calyx.tasks.csv import Csv
from calyx.tasks.registry import load_task

ROWS = 200


def draft(path, **named):
    return draft_of(path, **named).text


def write(folder, name="rows.csv", seed=0, sep=",", head=None):
    draw = np.random.default_rng(seed)
    chol = draw.normal(240, 40, ROWS).round(1)
    chol[::9] = 0
    lines = [head or sep.join(["age", "sex", "chol", "blood", "note", "sick"])]
    for i in range(ROWS):
        cells = [
            str(draw.integers(18, 90)),
            "fm"[draw.integers(2)],
            "" if i % 25 == 0 else f"{chol[i]}",
            str(draw.integers(1, 4)) + ("" if i % 2 else ".0"),
            f"text {i}",
            "yes" if i % 3 else "no",
        ]
        lines.append(sep.join(cells))
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def schema(path):
    return yaml.safe_load(draft(path))


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_kinds_ranges_codes_and_the_target_are_guessed(tmp_path, sep):
    found = schema(write(tmp_path, sep=sep))
    assert found["target"] == {"name": "sick", "classes": ["no", "yes"]}
    assert set(found["columns"]) == {"age", "sex", "chol", "blood"}  # a note is left out
    assert found["columns"]["sex"] == {"kind": "categorical", "categories": ["f", "m"]}
    assert found["columns"]["blood"]["categories"] == [1, 2, 3]
    chol = found["columns"]["chol"]
    assert chol["missing"] == [0]
    assert chol["may_be_missing"]
    assert 0 < chol["low"] < 150
    assert found["columns"]["age"]["low"] <= 18
    assert found["columns"]["age"]["high"] >= 89
    assert found.get("delimiter", ",") == sep


def test_a_task_reads_the_draft_at_once(tmp_path):
    for i in range(3):
        write(tmp_path, f"site-{i}.csv", seed=i)
    (tmp_path / "schema.yaml").write_text(draft(tmp_path / "site-0.csv"))
    task = load_task(resolve(compose(["task=csv", f"task.data_dir={tmp_path}"]))["task"])
    table = task.load("site-1", tmp_path, 1)
    assert table.x.shape == (ROWS, 4)
    assert set(table.y) == {0, 1}


WRITTEN = """0 1 1.0 01 007 +1 -0 1. 1.00 250.1 250.10 1E2 100 12E4 1_0 0x1F inf NAN no yes on 12:30
~ é e\u0301 << *a a#b a:b {x} [ \u2028 \u00a0x \x7f \U0001f600 900000000000207008 900000000000207009"""
WORDS = st.sampled_from(re.split("[ \n]", WRITTEN))


@given(st.lists(st.tuples(WORDS, WORDS), min_size=4, max_size=12))
def test_a_draft_knows_every_word_of_the_file_that_it_was_made_of(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    rows = 5 * rows  # what fewer rows have is not listed
    table = [("word", "no", "x", "y")]
    table += [(*row, f"{i}.5", str(i % 2)) for i, row in enumerate(rows)]
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    (folder / "schema.yaml").write_text(draft(folder / "a.csv"))
    schema = read_schema(str(folder / "schema.yaml"))
    for column in schema["columns"].values():
        column |= {"unknown": "refuse"} if column["kind"] == "categorical" else {}
    section = {"name": "csv", "schema": schema, "clients": ["a"], "hidden": 0, "w_max": None}
    loaded = Csv(section).load("a", folder, 1)
    assert len(loaded) == len(rows)
    for i, column in enumerate(schema["columns"]):
        cells = [dict(zip(table[0], row, strict=True))[column] for row in table[1:]]
        codes = loaded.x[:, i].tolist()
        # Two texts that are no number and differ are two categories.
        kinds = {cell: code for cell, code in zip(cells, codes, strict=True) if cell.isalpha()}
        assert len(set(kinds.values())) == len({normalize("NFC", cell) for cell in kinds})


def test_hearts_hidden_code_is_found_and_no_other(heart_dir):
    columns = heart.COLUMNS
    rows = np.concatenate(
        [
            heart.Heart({"name": "heart", "w_max": 256}).load(c, heart_dir, 1).x
            for c in heart.Heart.clients
        ]
    )
    found = {}
    for i, column in enumerate(columns):
        values = rows[:, i][~np.isnan(rows[:, i])]
        if len(np.unique(values)) > 6:
            found[column.name] = codes_in(values)
    assert found == {"age": [], "trestbps": [], "chol": [0.0], "thalach": [], "oldpeak": []}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_draft_does_not_depend_on_the_size_of_the_pieces(tmp_path, monkeypatch, size):
    whole = draft(write(tmp_path))
    monkeypatch.setattr(tables, "CHUNK_ROWS", size)
    assert draft(tmp_path / "rows.csv") == whole


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n\xff\xfe", "line 3: 1 cell"),
        (b"a\0b,c\n1,2\n", "no text"),
        (b"", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,a\n1,2\n", "twice"),
        (b"id,born\n007,2024-01-03\n007,2023-11-30\n", "no column that could be predicted"),
        (b'a,b\n1,2\n"3,4\n', "line 3: a quotation mark is opened and never closed"),
    ],
)
def test_a_file_that_gives_no_schema_is_one_sentence(tmp_path, content, words):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        draft(tmp_path / "x.csv")


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_a_range_holds_what_it_was_made_of(low, reach):
    below, above = outwards(low, low + reach)
    assert below <= low
    assert above >= low + reach
    assert below < above


def test_the_command_writes_a_file_once(calyx, tmp_path):
    write(tmp_path)
    words = ("audit", "--draft-schema", "rows.csv", "--out", "schema.yaml")
    said = calyx(*words)
    assert said.returncode == 0
    assert "target  sick, 2 classes; a guess by its name" in said.stdout
    assert "next    put it as schema.yaml beside each site's rows" in said.stdout
    assert "check every line" in (tmp_path / "schema.yaml").read_text()
    again = calyx(*words)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("sites", "words"), [(3, " privacy=none (3 sites"), (4, " privacy.n_min=4 (4 sites"), (5, "")]
)
def test_the_command_that_comes_next_fits_the_number_of_sites(calyx, tmp_path, sites, words):
    (tmp_path / "my rows").mkdir()
    for i in range(sites):
        write(tmp_path / "my rows", f"site-{i}.csv", seed=i)
    said = calyx("audit", "--draft-schema", "my rows", "--out", "my rows/schema.yaml")
    last = said.stdout.splitlines()[-1]
    assert last.startswith(f"next    calyx simulate task=csv 'task.data_dir=my rows'{words}")


def test_large_numbers_are_numbers_to_yaml_and_stay_apart(tmp_path):
    lines = ["income,code,sick"]
    lines += [
        f"{100000 + 9000 * i},{20240101 + i % 5},{'yes' if i % 2 else 'no'}" for i in range(99)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    drafted = yaml.safe_load(draft(tmp_path / "rows.csv"))
    income, code = drafted["columns"]["income"], drafted["columns"]["code"]
    assert income["low"] <= 100000
    assert income["high"] >= 100000 + 9000 * 98
    assert code["categories"] == [20240101 + i for i in range(5)]


def test_long_numbers_are_drafted_with_all_their_digits(tmp_path):
    words = ["2023552585717889863", "2023552585717889759", "2023552585717889761"]
    path = tmp_path / "deals.csv"
    path.write_text("deal,y\n" + "".join(f"{words[i % 3]},{i % 2}\n" for i in range(30)))
    drafted = yaml.safe_load(draft(path))
    assert drafted["columns"]["deal"]["categories"] == sorted(map(int, words))


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12, 1e29])
def test_a_drafted_range_is_as_wide_as_the_values_whatever_their_size(size):
    low, high = outwards(-3 * size, 2 * size)
    assert low <= -3 * size < 2 * size <= high
    assert high - low < 2 * 5 * size


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1,5", "2,25", "1000"], 'decimal: ","\n'),
        (["197", "1.482", "2.841"], '# "ferritin": does "." group three digits there?'),
        (["197", "1,482", "2,841"], '# "ferritin": does "," group three digits there?'),
    ],
)
def test_a_draft_says_which_mark_is_for_decimals_and_asks_of_thousands(tmp_path, cells, words):
    path = tmp_path / "x.csv"
    rows = "".join(f"{cell};{i % 2}\n" for i, cell in enumerate(cells * 10))
    path.write_text(f"ferritin;sick\n{rows}")
    text = draft(path)
    assert words in text
    assert text.count("group three") == ("group three" in words)


def test_a_draft_of_fractions_asks_nothing(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,sick\n" + "".join(f"{i}.{100 + i},{i % 2}\n{i}.5,1\n" for i in range(30)))
    assert "three" not in draft(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_is_drafted_however_it_was_exported(tmp_path, encoding, delimiter):
    decimal = "." if delimiter == "," else ","
    names = ["größe, cm; oder | so", "<<", "x" * 2000, "two\nlines", "krank"]
    rows = [
        [f"{i}{decimal}5", f"{i}e300", f"{i * 7 % 60}", f"é{i % 3}", "jn"[i % 2]] for i in range(60)
    ]
    with (tmp_path / "a.csv").open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([names, *rows])
    (tmp_path / "schema.yaml").write_text(draft(tmp_path / "a.csv"), encoding="utf-8")
    schema = read_schema(str(tmp_path / "schema.yaml"))
    section = {"name": "csv", "schema": schema, "clients": ["a"], "hidden": 0, "w_max": None}
    loaded = Csv(section).load("a", tmp_path, 1)
    assert schema["target"] == {"name": "krank", "classes": ["j", "n"]}
    assert list(schema["columns"]) == names[:-1]
    assert loaded.x[:, 0].tolist() == [i + 0.5 for i in range(60)]


def test_dates_are_left_out_of_a_draft_and_the_rest_is_drafted(tmp_path):
    days = [f"2024-01-{i:02},{i}.01.2024,{i} Jan 2024,10:{i}" for i in range(10, 30)]
    rows = "".join(f"{i % 7},{day},{i * i % 11}\n" for i, day in enumerate(days))
    (tmp_path / "a.csv").write_text(f"size,iso,dots,words,clock,y\n{rows}")
    text = draft(tmp_path / "a.csv")
    assert '# "iso": dates or times; make a number of them' in text
    assert "split the rows by them (time: iso)" in text
    assert text.count("dates or times") == 4
    assert text.count("(time: ") == 1  # in other forms they could not be read
    assert list(yaml.safe_load(text)["columns"]) == ["size"]


@pytest.mark.parametrize(
    ("cells", "name", "target"),
    [
        (["1.5", "2.5", "4.25"], "y", {"center": np.mean([1.5, 2.5, 4.25]), "scale": 1.136515}),
        (["3e200", "1e200", "2e200"], "y", {"center": 2e200, "scale": np.sqrt(2 / 3) * 1e200}),
        (["1.0", "0", "1"], "y", {"classes": [0, 1]}),
        (["yes", "", "no"], "y", {"classes": ["no", "yes"], "missing": "drop"}),
    ],
)
def test_a_target_has_classes_or_is_a_number(tmp_path, cells, name, target):
    path = tmp_path / "a.csv"
    path.write_text("age,y\n" + "".join(f"{22.75 + i / 2},{cells[i % 3]}\n" for i in range(18)))
    found = yaml.safe_load(draft(path))["target"]
    assert found.pop("name") == name
    if "classes" in target:
        assert found == target
    else:
        assert found == pytest.approx(target, rel=0.1)
