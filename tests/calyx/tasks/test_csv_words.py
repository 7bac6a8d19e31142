"""A schema's words are those of the files, to the letter; what was changed on the way is refused."""

import csv
import json

import numpy as np
import pytest
import yaml
from support.csv_files import CLASSES, task_of

from calyx.config import parse
from calyx.errors import ConfigError, DataError
from calyx.tasks.csv import Csv
from calyx.tasks.csv_schema import SchemaConfig, read_schema
from client.checks import check_table

CODES = [
    "010",
    "020",
    "12:30",
    "20:30",
    "no",
    "on",
    "null",
    "1e3",
    "1_0",
    "0x1F",
    "2024-01-01",
    "~",
]

TARGET = "target: {name: sick, classes: [no, yes]}\n"


def write(folder, schema, words):
    """Two clients with these words in the column `word`, in turn."""
    for name in ("a", "b"):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = [(word, "yes" if i % 2 else "no") for i, word in enumerate(words)]
            csv.writer(file).writerows([("word", "sick"), *rows])
    (folder / "schema.yaml").write_text(schema)
    return folder


def schema_of(words, more=""):
    column = f"{{kind: categorical, categories: [{words}]{more}}}"
    return f"{TARGET}columns:\n  word: {column}\n"


def codes_in(folder, words, more=""):
    """The column's codes at client a, by the schema as YAML."""
    task = task_of(write(folder, schema_of(", ".join(words), more), CODES))
    return task.load("a", folder, 1).x[:, 0]


def test_unquoted_words_of_a_schema_are_the_files_own(tmp_path):
    found = codes_in(tmp_path, CODES)
    with (tmp_path / "a.csv").open() as file:
        wanted = [CODES.index(row["word"]) for row in csv.DictReader(file)]
    assert found.tolist() == wanted
    task = task_of(tmp_path)
    assert task.schema.classes == ("no", "yes")
    assert task.schema.columns[0].words == tuple(CODES)


def test_the_same_words_come_back_from_a_runs_config(tmp_path):
    words = [*CODES, "900000000000207008", "900000000000207009", "0.1", '"7"', '"8.0"']
    write(tmp_path, schema_of(", ".join(words)), CODES)
    schema = read_schema(str(tmp_path / "schema.yaml"))
    again = yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(schema))))
    assert again == schema
    parsed = parse(SchemaConfig, again, "").columns["word"].categories
    assert parsed == (*CODES, 900000000000207008, 900000000000207009, 0.1, "7", "8.0")
    assert [type(word) for word in parsed[-5:]] == [int, int, float, str, str]


def test_a_column_may_be_called_as_yaml_calls_other_things(tmp_path):
    names = ["no", "on", "007", "1", "null", "12:30"]
    for client in ("a", "b"):
        lines = [",".join([*names, "sick"]), "1,2,3,4,5,6,no", "6,5,4,3,2,1,yes"]
        (tmp_path / f"{client}.csv").write_text("\n".join(lines) + "\n")
    columns = "".join(f"  {name}: {{kind: numeric}}\n" for name in names)
    (tmp_path / "schema.yaml").write_text(f"{TARGET}columns:\n{columns}")
    table = task_of(tmp_path).load("a", tmp_path, 1)
    np.testing.assert_array_equal(table.x, [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]])


@pytest.mark.parametrize(
    ("declared", "file", "said"),
    [
        (
            '"900000000000207008", "1E2", "250.1"',
            "900000000000207009",
            "'900000000000207009' is none of",
        ),
        ('"900000000000207008", "1E2", "250.1"', "100", "'100' is none of its categories"),
        (
            '"900000000000207008", "1E2", "250.1"',
            "250.10",
            "'250.10' (250.1 is declared as a text",
        ),
        (
            '"1"',
            "1.0",
            "'1.0' (1 is declared as a text; as a number it has no quotes",
        ),
        ("1_0", "10", "'10' is none of its categories"),
    ],
)
def test_a_word_that_is_not_declared_is_refused_by_its_line(tmp_path, declared, file, said):
    write(tmp_path, schema_of(declared, ", unknown: refuse"), ["x"])
    first = declared.split(",")[0].strip('"')
    (tmp_path / "a.csv").write_text(f"word,sick\n{first},no\n{file},yes\n")
    with pytest.raises(DataError) as caught:
        task_of(tmp_path).load("a", tmp_path, 1)
    for part in said.split(" .*"):
        assert part.replace("\\", "") in str(caught.value)
    assert "a.csv, line 3, column word" in str(caught.value)


def test_a_clients_finding_says_which_words_are_strange_and_what_helps(tmp_path):
    write(tmp_path, schema_of('"1", x'), ["x"])
    (tmp_path / "a.csv").write_text("word,sick\nx,no\n1.0,yes\n8,no\n1.0,no\n")
    task = task_of(tmp_path)
    findings = check_table(task.load("a", tmp_path, 1), task.schema)
    (said,) = [f.message for f in findings if f.check == "unknown-category"]
    assert said == (
        "3 rows have an unknown category in the column word, such as '1.0' (1 is declared as a text; as "
        "a number it has no quotes in the schema), '8'."
    )


def test_of_one_file_each_client_sees_its_own_strange_words(tmp_path):
    (tmp_path / "all.csv").write_text("who,word,sick\na,x,no\nb,7,yes\na,8,no\n")
    (tmp_path / "schema.yaml").write_text("client: who\n" + schema_of("x"))
    strange = {who: task_of(tmp_path).load(who, tmp_path, 1).strange for who in "ab"}
    assert strange == {"a": (("word", "'8'"),), "b": (("word", "'7'"),)}


def test_classes_are_compared_as_words_too(tmp_path):
    write(
        tmp_path,
        'target: {name: sick, classes: ["1E2", "100"]}\ncolumns:\n  word: {kind: numeric}\n',
        [1],
    )
    (tmp_path / "a.csv").write_text("word,sick\n1,100\n2,1E2\n")
    assert task_of(tmp_path).load("a", tmp_path, 1).y.tolist() == [1, 0]
    (tmp_path / "b.csv").write_text("word,sick\n1,100\n2,1e2\n")
    with pytest.raises(DataError, match="line 3: the target sick is '1e2', none of its classes"):
        task_of(tmp_path).load("b", tmp_path, 1)


WORD = {"kind": "categorical", "categories": ["a"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"target": {"name": "sick", "classes": [False, True]}},
            "target.classes has a word that Hydra r",
        ),
        (
            {"columns": {"word": WORD | {"categories": [8, 16]}}},
            r"columns\.word\.categories has a word that",
        ),
        (
            {"columns": {"word": WORD | {"categories": ["a", None]}}},
            "reads as null, however it is written",
        ),
        (
            {"columns": {False: WORD}},
            "task.schema.columns has a key that Hydra reads as False: put it in q",
        ),
        (
            {"columns": {7: WORD}},
            "has a key that Hydra reads as 7: put it in quotes, or the schema in a fil",
        ),
        ({"missing": ["", 999]}, "task.schema.missing has a word that Hydra reads as 999"),
        ({"client": 12}, "task.schema.client has a word that Hydra reads as 12"),
    ],
)
def test_a_schema_in_hydras_config_has_its_words_in_quotes(change, said):
    schema = {"target": CLASSES, "columns": {"word": WORD}}
    section = {"name": "csv", "data_dir": None, "clients": [], "hidden": 0, "w_max": None}
    assert Csv.completed(section | {"schema": schema})["schema"] == schema
    with pytest.raises(ConfigError, match=said):
        Csv.completed(section | {"schema": schema | change})


def test_a_client_is_named_by_a_word_in_quotes(tmp_path):
    write(tmp_path, schema_of("a"), ["a"])
    (tmp_path / "a.csv").rename(tmp_path / "8.csv")
    assert task_of(tmp_path, 'task.clients=["8",b]').clients == ("8", "b")
    with pytest.raises(
        ConfigError, match=r"Item 1 of the config key task\.clients is 8, but must be text"
    ):
        task_of(tmp_path, "task.clients=[8,b]")
    with pytest.raises(ConfigError, match="clients names one twice"):
        task_of(tmp_path, 'task.clients=[b," b"]')
