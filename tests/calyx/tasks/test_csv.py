"""task=csv: a user's own files, and what is said of those that cannot be used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.csv_files import CLASSES, COLUMNS, HEADER, NUMBER, task_of, write_folder, write_schema

from calyx.composing.compose import compose, resolve
from calyx.data.csv.rows import Dialect
from calyx.data.tables import Field, all_rows
from calyx.errors import CalyxError, ConfigError, DataError, UserError


def words_of(*words):
    return {"kind": "categorical", "categories": list(words)}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "rows")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_folder_is_clients_and_a_schema(folder):
    task = task_of(folder)
    assert task.clients == tuple(f"site-{i}" for i in range(7))
    assert [column.name for column in task.schema.columns] == list(COLUMNS)
    assert task.schema.classes == ("no", "yes")
    table = task.load("site-3", folder, 1)
    assert table.x.shape == (75, 3)
    assert table.y.dtype == np.int64
    assert set(np.unique(table.x[:, 2])) == {0.0, 1.0}
    assert 0 < np.isnan(table.x[:, 1]).sum() < 15


def test_categories_keep_their_words_for_people(folder):
    smoker = task_of(folder).schema.columns[2]
    assert smoker.words == ("no", "yes")
    assert smoker.word(1.0) == "yes"


def test_a_column_that_the_schema_does_not_name_is_told_with_the_rows(folder):
    path = folder / "site-2.csv"
    lines = [f"{line},x" for line in path.read_text().splitlines()]
    path.write_text("\n".join([f"{HEADER},ward", *lines[1:]]) + "\n")
    task = task_of(folder)
    assert task.load("site-2", folder, 1).unread == ("id", "cost", "ward")
    assert task.load("site-1", folder, 1).take(np.arange(3)).unread == ("id", "cost")


def test_a_number_can_be_the_target(folder):
    write_schema(folder, target=NUMBER)
    task = task_of(folder)
    assert (task.schema.target.center, task.schema.num_outputs) == (100.0, 1)
    table = task.load("site-0", folder, 1)
    assert table.y.dtype == np.float64
    assert 50 < table.y.mean() < 150
    assert task.model(4)[2].out_features == 1


def test_one_file_may_hold_all_clients(folder):
    parts = [(p.stem, p.read_text().splitlines()) for p in sorted(folder.glob("*.csv"))]
    rows = [f"{name},{row}" for name, lines in parts for row in lines[1:]]
    separate = task_of(folder)
    tables = {name: separate.load(name, folder, 1) for name in separate.clients}
    for path in folder.glob("*.csv"):
        path.unlink()
    (folder / "all.csv").write_text("\n".join([f"who,{HEADER}", *rows]))
    write_schema(folder, client="who")
    task = task_of(folder)
    assert task.clients == separate.clients
    for name, table in tables.items():
        np.testing.assert_array_equal(task.load(name, folder, 1).x, table.x)


def test_the_schema_travels_and_not_the_folder(folder):
    config = resolve(compose(["task=csv", f"task.data_dir={folder}"]))
    assert config["task"]["schema"]["target"] == CLASSES
    again = resolve(compose(["task=csv", f"task.schema={folder / 'schema.yaml'}"]))
    assert again["task"]["clients"] == []  # on an operator's machine there are no rows


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "pressure",
            "druck",
            "site-2.csv has no column pressure; its first line names id, age, dr",
        ),
        (
            "pressure",
            " Pre ssure",
            r"no column pressure; .*\. Perhaps 'Pre ssure' is meant: give it one",
        ),
        ("\n0,", "\n0,x", "line 2, column age: 'x"),
        ("\n0,", "\n0,2024-01-03;", "line 2, column age: '2024-01-03;"),
        ("id,", "smoker,", "site-2.csv names the column 'smoker' twice in its first line; rename"),
    ],
)
def test_a_file_that_differs_from_its_neighbours_is_named_with_its_line(folder, old, new, words):
    task = task_of(folder)
    replace(folder / "site-2.csv", old, new)
    with pytest.raises(DataError, match=words) as caught:
        task.load("site-2", folder, 1)
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_asked_for_may_be_doubled(folder):
    wanted = task_of(folder).load("site-2", folder, 1)
    replace(folder / "site-2.csv", "cost", "id")
    np.testing.assert_array_equal(task_of(folder).load("site-2", folder, 1).x, wanted.x)


def test_a_category_that_is_missing_is_a_missing_value(folder):
    path, task = folder / "site-2.csv", task_of(folder)
    before = task.load("site-2", folder, 1).x
    place = next(i for i, row in enumerate(path.read_text().splitlines()[1:]) if ",no," in row)
    replace(path, ",no,", ",,")
    after = task.load("site-2", folder, 1).x
    changed = np.argwhere(~((before == after) | (np.isnan(before) & np.isnan(after))))
    assert changed.tolist() == [[place, 2]]
    assert np.isnan(after[place, 2])


def test_a_target_that_is_missing_or_unknown_is_named_with_its_line(folder):
    rows = (folder / "site-1.csv").read_text().splitlines()
    for sick, words in (("", "is missing"), ("perhaps", "is 'perhaps', none of its classes")):
        cells = rows[3].split(",")
        cells[4] = sick
        (folder / "site-1.csv").write_text("\n".join([*rows[:3], ",".join(cells), *rows[4:]]))
        with pytest.raises(DataError, match=f"line 4: the target sick {words}"):
            task_of(folder).load("site-1", folder, 1)


@pytest.mark.parametrize("name", ["\0", "utf\n8", "ütf"])
def test_what_can_name_no_encoding_is_a_mistake_of_the_schema(folder, name):
    write_schema(folder, encoding=name)
    with pytest.raises(ConfigError, match="there is no such encoding"):
        task_of(folder)


def test_another_encoding_is_named_or_read(folder):
    path = folder / "site-0.csv"
    replace(path, "id,", "größe,")
    path.write_bytes(path.read_text().encode("latin-1"))
    with pytest.raises(DataError, match=r"is not utf-8 \(byte 0xf6\)"):
        task_of(folder).load("site-0", folder, 1)
    write_schema(folder, encoding="latin-1")
    assert len(task_of(folder).load("site-0", folder, 1)) == 60
    write_schema(folder, encoding="martian")
    with pytest.raises(DataError, match="no encoding martian"):
        task_of(folder).load("site-0", folder, 1)


def test_other_dialects_are_read(folder):
    for path in folder.glob("*.csv"):
        path.write_text(
            "\ufeff" + path.read_text().replace(".", "§").replace(",", ";").replace("§", ",")
        )
    write_schema(folder, delimiter=";", decimal=",")
    table = task_of(folder).load("site-0", folder, 1)
    assert 100 < np.nanmean(table.x[:, 1]) < 140


AGE = {"kind": "numeric", "low": 0}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: [p.unlink() for p in list(f.glob("*.csv"))[1:]], DataError, "holds 1 CSV files"),
        (lambda f: write_schema(f, client="smoker2"), DataError, "holds 7 CSV files"),
        (
            lambda f: (f / "schema.yaml").rename(f / "Schema.yml"),
            UserError,
            r"There is no .*schema\.yaml: rename Schema\.yml",
        ),
        (
            lambda f: (f / "schema.yaml").unlink(),
            UserError,
            "There is no .*: put the schema there, or have one drafted",
        ),
        (lambda f: write_schema(f, columns={"age": AGE | {"high": 1e308}}), ConfigError, "high"),
        (
            lambda f: (f / "schema.yaml").write_text("[1"),
            ConfigError,
            "line 1, column 3: this is no",
        ),
        (lambda f: write_schema(f, colums={}), ConfigError, "colums does not exist"),
        (
            lambda f: write_schema(f, columns={"age": AGE | {"hight": 120}}),
            ConfigError,
            r"key task\.schema\.columns\.age\.hight does not exist; allowed here: categories, high, kind, "
            r"low, .*Perhaps high is meant",
        ),
        (
            lambda f: write_schema(f, columns={"age": AGE | {"units": "years"}}),
            ConfigError,
            r"columns\.age\.units does not exist; allowed here: .*Perhaps unit is meant",
        ),
        (
            lambda f: write_schema(f, columns={"sex": {"kind": "categorical", "values": ["f"]}}),
            ConfigError,
            r"columns\.sex\.values does not exist; allowed here: categories, ",
        ),
        (lambda f: write_schema(f, columns={}), ConfigError, "columns"),
        (
            lambda f: write_schema(f, columns=COLUMNS | {"sick": {"kind": "numeric"}}),
            ConfigError,
            "an input column too",
        ),
        (
            lambda f: write_schema(f, columns={"age": {"kind": "date"}}),
            ConfigError,
            "columns.age.kind",
        ),
        (
            lambda f: write_schema(f, columns={"age": {"kind": "categorical"}}),
            ConfigError,
            "needs categories",
        ),
        (lambda f: write_schema(f, target={"name": "cost"}), ConfigError, "needs classes"),
        (
            lambda f: write_schema(f, target={"name": "sick", "classes": ["a", "a"]}),
            ConfigError,
            "named twice",
        ),
        (
            lambda f: write_schema(f, columns={"age": words_of("1.0", "2", 1)}),
            ConfigError,
            r"columns\.age.*named twice: 1\.0 and 1 are read as one",
        ),
        (
            lambda f: write_schema(f, target={"name": "sick", "classes": ["01", 1]}),
            ConfigError,
            "named twice: 01 and 1 are read as one",
        ),
        (
            lambda f: write_schema(f, columns={"smoker": words_of("no", "NA", "yes")}),
            ConfigError,
            "'NA' is a category of smoker and stands under the schema's missing",
        ),
        (
            lambda f: write_schema(f, columns={"age": words_of(9, 1)}, missing=["9"]),
            ConfigError,
            "'9' is a category of age and stands under the schema's missing",
        ),
        (
            lambda f: write_schema(f, missing=["no"]),
            ConfigError,
            "'no' is a category of",
        ),
        (
            lambda f: write_schema(
                f, columns={"age": {"kind": "numeric", "missing": [0, -1, 0.0]}}
            ),
            ConfigError,
            "named twice under missing",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_one_sentence(folder, change, error, words):
    change(folder)
    with pytest.raises(CalyxError, match=words) as caught:
        task_of(folder)
    assert isinstance(caught.value, error)
    assert "\n" not in str(caught.value)


def test_a_client_column_with_one_value_is_refused(folder):
    for path in list(folder.glob("*.csv"))[1:]:
        path.unlink()
    write_schema(folder, client="id2")
    (path,) = folder.glob("*.csv")
    rows = path.read_text().splitlines()
    path.write_text("\n".join([f"id2,{rows[0]}", *(f"one,{row}" for row in rows[1:])]))
    with pytest.raises(DataError, match="names 1 clients in its column id2"):
        task_of(folder)


def test_a_folder_that_is_none_or_not_given_is_refused(tmp_path):
    with pytest.raises(DataError, match="none is no folder"):
        task_of(tmp_path / "none")
    with pytest.raises(ConfigError, match="a folder of yours"):
        resolve(compose(["task=csv"]))


@pytest.mark.parametrize("name", ["2024", "true", "nan", "1e3"])
def test_a_folder_whose_name_is_read_as_something_else_is_a_sentence(name):
    with pytest.raises(ConfigError, match=r"task.data_dir is read as .*write task.data_dir=./NAME"):
        resolve(compose(["task=csv", f"task.data_dir={name}"]))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_table_are_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "x.csv"
    path.write_bytes(data)
    said = ""
    try:
        all_rows(path, [Field("a")], Dialect())
    except DataError as error:
        said = str(error)
    assert said.isprintable()


def test_a_row_of_nobody_is_said_and_not_dropped(tmp_path):
    lines = ["hospital,age,sick", *(f"h{i % 6},{40 + i},no" for i in range(60)), ",50,yes"]
    (tmp_path / "all.csv").write_text("\n".join(lines) + "\n")
    write_schema(tmp_path, client="hospital", columns={"age": AGE})
    with pytest.raises(DataError, match=r"all\.csv, line 62: the client column hospital is empty"):
        task_of(tmp_path)
