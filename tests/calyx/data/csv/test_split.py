"""What decides the split of a user's rows: a column that the schema names, or a benchmark's folders."""

from datetime import datetime

import numpy as np
import pytest
import yaml
from support.csv_files import task_of

from calyx.errors import ConfigError, DataError
from client.rows.splitting import PART_NAMES, split

SCHEMA = {
    "target": {"name": "y", "classes": ["a", "b"]},
    "columns": {"x": {"kind": "numeric"}},
}


def write(folder, files, **schema):
    """Files by their names, each of lines, and a schema with more keys; the folder."""
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA | schema))
    return folder


def rows(words, header="x,y,k"):
    """Row i has the input i and one of the words as k."""
    return [header, *(f"{i},{'ab'[i % 2]},{word}" for i, word in enumerate(words))]


def load(folder, words, **schema):
    write(folder, {"one.csv": rows(words), "two.csv": rows(words)}, **schema)
    return task_of(folder).load("one", folder, 1)


def inputs_of(table):
    """The inputs of each part, as sets; the input is the row's number."""
    return [set(split(table, 1, "one")[name].x[:, 0].astype(int)) for name in PART_NAMES]


def test_a_group_is_a_word_as_it_is_written(tmp_path):
    words = ["7", "07", "7", "Ä", "A\u0308", " 7 ", '"x,y"', '"x,y"']
    assert load(tmp_path, words, group="k").blocks.tolist() == [0, 1, 0, 2, 2, 0, 3, 3]


def test_a_group_may_be_an_input_too(tmp_path):
    assert load(tmp_path, "uuvv", group="x").blocks.tolist() == [0, 1, 2, 3]


def test_one_file_of_all_clients_has_the_groups_of_a_file_each(tmp_path):
    apart = load(tmp_path / "apart", "vuvwu", group="k")
    head, *lines = rows("vuvwu", "x,y,k,who")
    mixed = [head, "9,a,u,two", *(f"{line},one" for line in lines), "8,a,u,two"]
    write(tmp_path / "all", {"all.csv": mixed}, group="k", client="who")
    together = task_of(tmp_path / "all").load("one", tmp_path / "all", 1)
    assert together.blocks.tolist() == apart.blocks.tolist() == [0, 1, 0, 2, 1]


def test_a_split_of_the_users_own_is_kept(tmp_path):
    words = ["train", "test", "val", "Train", "validation", "dev", "valid", "test"]
    assert inputs_of(load(tmp_path, words, split="k")) == [{0, 3}, {2, 4, 5, 6}, {1, 7}]


@pytest.mark.parametrize(
    "words",
    [
        [f"{i}" for i in range(10)],
        [f"{i}.5e3" for i in range(10)],
        [f"2024-02-{20 + i}" for i in range(10)],  # with the 29th
        [f"2024-01-31 1{i}:00" for i in range(10)],
        [f"2024-01-31T10:00:0{i}.5" for i in range(10)],
        [f"2024-01-31T1{i}:00+0{i}:00" for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)],
    ],
)
def test_the_latest_rows_test(tmp_path, words):
    def moment(word):
        return float(word) if "-" not in word else datetime.fromisoformat(word).timestamp()

    order = [3, 9, 0, 7, 5, 1, 8, 2, 6, 4]
    parts = inputs_of(load(tmp_path, [words[i] for i in order], time="k"))
    if len({moment(word) for word in words}) == 1:  # ten ways to write one moment
        assert parts == [set(range(10)), set(), set()]
    else:
        assert parts[0] == {place for place, i in enumerate(order) if i < 6}
        assert parts[2] == {place for place, i in enumerate(order) if i >= 8}


@pytest.mark.parametrize(
    ("key", "words", "said"),
    [
        ("group", ["p", "", "p"], "line 3: the group column k is empty, or holds a word"),
        ("group", ["p", "NA", "p"], "line 3: the group column k is empty, or holds a word"),
        (
            "split",
            ["train", "eval"],
            "line 3: the split column k says 'eval'; a part is one of train",
        ),
        ("split", ["train", ""], "line 3: the split column k is empty"),
        (
            "time",
            ["1", "2", "soon"],
            "line 4: the time column k says 'soon', where line 2 has a num",
        ),
        ("time", ["2024-01-31", "2024-01-31 10:00"], "line 3: .* line 2 has a date such as"),
        ("time", ["2024-01-31 10:00", "2024-01-31 10:00Z"], "line 3: .* line 2 has a time such as"),
        ("time", ["2024-01-31", "2024-02-30"], "line 3: .* there is no such day or hour"),
        ("time", ["31.01.2024", "1.2.2024"], "line 2: .* a time is a date such as 2024-01-31, a"),
        ("time", ["1", ""], "line 3: the time column k is empty"),
    ],
)
def test_a_cell_that_says_no_part_is_named_with_its_line(tmp_path, key, words, said):
    with pytest.raises(DataError, match=rf"one\.csv, {said}"):
        load(tmp_path, words, **{key: "k"})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"group": "k", "time": "k"},
            "group and time would each decide which part a row goes into",
        ),
        ({"group": "k", "split": "k"}, "group and split would each decide"),
        ({"group": "y"}, "group names y, which is the target or the client column"),
        ({"time": "k", "client": "k"}, "time names k, which is the target or the client column"),
        ({"split": "x"}, "split names x, which is an input column too"),
    ],
)
def test_keys_that_undo_one_another_are_refused(tmp_path, schema, said):
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, "uv", **schema)


@pytest.mark.parametrize("key", ["group", "split", "time"])
def test_a_column_that_is_not_there_is_named(tmp_path, key):
    with pytest.raises(
        DataError, match=r"one\.csv has no column patient; its first line names x, y, k"
    ):
        load(tmp_path, "uv", **{key: "patient"})


def test_columns_that_repeat_are_kept_beside_the_rows(tmp_path):
    head, *lines = rows(["p", "q", "", "p"], "x,y,k,id,same")
    lines = [f"{line},{i},one" for i, line in enumerate(lines)]
    write(tmp_path, {"one.csv": [head, *lines], "two.csv": [head, *lines]})
    (column,) = task_of(tmp_path).load("one", tmp_path, 1).repeating
    assert (column.name, column.words.tolist()) == ("k", [0, 1, -1, 0])


def bring(folder, **of):
    """A benchmark's folders: of each part, the inputs of each client's rows."""
    files = {
        f"{part}/{client}.csv": ["x,y", *(f"{x},a" for x in inputs)]
        for part, clients in of.items()
        for client, inputs in clients.items()
    }
    return write(folder, files)


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "dev"])
def test_folders_of_a_benchmark_are_its_parts(tmp_path, validation):
    of = {"train": {"one": [1, 2], "two": [7]}, validation: {"one": [3]}, "test": {"one": [4, 5]}}
    folder = bring(tmp_path, **of)
    task = task_of(folder)
    assert task.clients == ("one", "two")
    assert inputs_of(task.load("one", folder, 1)) == [{1, 2}, {3}, {4, 5}]
    assert inputs_of(task.load("two", folder, 1)) == [{7}, set(), set()]


def test_each_folder_may_hold_one_file_with_a_client_column(tmp_path):
    lines = {"train": ["1,a,one", "2,b,two", "3,a,one"], "test": ["4,a,one"]}
    files = {f"{part}/all.csv": ["x,y,who", *of] for part, of in lines.items()}
    folder = write(tmp_path, files, client="who")
    task = task_of(folder)
    assert task.clients == ("one", "two")
    assert inputs_of(task.load("one", folder, 1)) == [{1, 3}, set(), {4}]
    assert inputs_of(task.load("two", folder, 1)) == [{2}, set(), set()]


@pytest.mark.parametrize(
    ("of", "schema", "said"),
    [
        (
            {"train": "ab", "dev": "ab", "val": "ab"},
            {},
            "dev/ and train/ and val/, of which two are one",
        ),
        ({"test": "ab"}, {}, "holds test/ and no train/, so nothing trains"),
        ({"train": "ab", ".": "a"}, {}, "holds CSV files beside those in train/"),
        ({"train": "ab"}, {"group": "k"}, "own parts in folders, and the schema says `group`"),
        ({"train": "a", "test": "b"}, {}, "train has no file b.csv"),
    ],
)
def test_folders_that_say_no_split_are_refused(tmp_path, of, schema, said):
    files = {
        f"{part}/{client}.csv": ["x,y", "1,a"] for part, names in of.items() for client in names
    }
    folder = write(tmp_path, files, **schema)
    with pytest.raises(DataError, match=said):
        task_of(folder).load("b", folder, 1)


def test_what_is_not_of_the_parts_may_stand_beside_the_folders(tmp_path):
    folder = bring(tmp_path, train={"one": [1], "two": [2]})
    (folder / "notes").mkdir()
    (folder / "test").mkdir()  # without a table
    np.testing.assert_array_equal(task_of(folder).load("one", folder, 1).parts, [0])


@pytest.mark.parametrize("folder", ["testing", "more"])
def test_a_folder_that_is_no_part_is_said_to_be_left_out(tmp_path, folder):
    bring(tmp_path, **{"Train": {"a": "01", "b": "23"}, "TEST": {"a": "4"}, folder: {"a": "5"}})
    table = task_of(tmp_path).load("a", tmp_path, 1)
    assert (table.x[:, 0].tolist(), table.parts.tolist()) == ([0, 1, 4], [0, 0, 2])
    (said,) = task_of(tmp_path).warnings_of(tmp_path)
    assert f"{folder}/ is left out" in said


def test_files_that_are_called_as_parts_are_said_to_be_clients(tmp_path):
    write(tmp_path, {"train.csv": rows("kk"), "Test.csv": rows("jj")})
    (said,) = task_of(tmp_path).warnings_of(tmp_path)
    assert said.startswith("Test and train are clients here, and all of them train.")


def test_blanks_around_a_name_in_the_schema_are_no_part_of_it(tmp_path):
    schema = {
        "target": {"name": " y ", "classes": ["a", "b"]},
        "group": " k ",
        "columns": {" x": {"kind": "numeric"}},
    }
    table = load(tmp_path, "ppq", **schema)
    assert (table.blocks.tolist(), table.unread) == ([0, 0, 1], ())
    with pytest.raises(ConfigError, match="group names y, which is the target"):
        load(tmp_path, "ppq", **schema | {"group": "y "})
