"""A schema's words are those of the files, to the letter; what was changed on the way is refused."""

import csv
import json

import numpy as np
import pytest
import yaml
from support.csv_files import CLASSES, task_of

from calyx.config.section import parse
from calyx.data.csv.schema import SchemaConfig, read_schema
from calyx.errors import ConfigError, DataError
from calyx.tasks.csv import Csv
from client.failures import ClientFailure
from client.rows.checks import check_table

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
    with pytest.raises(DataError, match=r"line 3: the target sick is '1e2' .*none of its classes"):
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


SAME = """\
target: {name: sick, classes: [no, yes], same: {"0": no, No: no, "J A": yes}}
columns:
  sex: {kind: categorical, categories: [M, F], same: {m: M, Male: M, " é ": F}}
  stage: {kind: ordinal, categories: [1, 2], same: {one: 1, II: "2"}, unknown: refuse}
"""


def test_words_of_the_files_are_the_categories_that_the_schema_says(tmp_path):
    rows = [
        "M,1,no",
        "m,01,No",
        "Male,one,0",
        "F,II,yes",
        "e\N{COMBINING ACUTE ACCENT},2.0,J A",
        "?,,no",
    ]
    (tmp_path / "a.csv").write_text("sex,stage,sick\n" + "\n".join(rows) + "\n")
    (tmp_path / "b.csv").write_text("sex,stage,sick\nM,1,no\n")
    (tmp_path / "schema.yaml").write_text(SAME)
    task = task_of(tmp_path)
    table = task.load("a", tmp_path, 1)
    np.testing.assert_array_equal(table.x[:, 0], [0, 0, 0, 1, 1, np.nan])
    np.testing.assert_array_equal(table.x[:, 1], [0, 0, 0, 1, 1, np.nan])
    assert table.y.tolist() == [0, 0, 0, 1, 1, 0]
    assert table.strange == ()
    assert task.schema.columns[0].words == ("M", "F")
    # As texts: a 0 of the classes would be 0.0 too, and one that is said to be the same is not.
    (tmp_path / "b.csv").write_text("sex,stage,sick\nM,1,0.0\n")
    with pytest.raises(DataError, match=r"line 2: the target sick is '0\.0', none of its classes"):
        task.load("b", tmp_path, 1)


@pytest.mark.parametrize(
    ("declared", "cell", "said"),
    [
        ("Male", "male", "'male' (if it is Male, say same: {male: Male} in the schema)"),
        ("Non Smoker", "nonsmoker", '(if it is Non Smoker, say same: {nonsmoker: "Non Smoker"} in'),
        ("Male", "M", "'M'."),
    ],
)
def test_a_word_in_another_case_is_told_with_the_key_that_makes_it_the_same(
    tmp_path, declared, cell, said
):
    write(tmp_path, schema_of(f'x, "{declared}"'), ["x"])
    (tmp_path / "a.csv").write_text(f"word,sick\nx,no\n{cell},yes\n")
    task = task_of(tmp_path)
    findings = check_table(task.load("a", tmp_path, 1), task.schema)
    (message,) = [f.message for f in findings if f.check == "unknown-category"]
    assert said in message
    target = (
        f'target: {{name: word, classes: [x, "{declared}"]}}\ncolumns: {{a: {{kind: numeric}}}}\n'
    )
    (tmp_path / "schema.yaml").write_text(target)
    (tmp_path / "a.csv").write_text(f"word,a\nx,1\n{cell},2\n")
    with pytest.raises(DataError) as caught:
        task_of(tmp_path).load("a", tmp_path, 1)
    assert "a.csv, line 3: the target word is " in str(caught.value)
    assert said.rstrip(".") in str(caught.value)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("{kind: categorical, categories: [M, F], same: {M: F}}", "M is a category, and same says"),
        ("{kind: categorical, categories: [1, 2], same: {'01': 2}}", "01 is a category, and same"),
        # No chains: what stands for another is no category.
        (
            "{kind: categorical, categories: [M, F], same: {m: M, mm: m}}",
            "mm is m, which is none of",
        ),
        ("{kind: numeric, same: {one: 1}}", "same is for categories and classes"),
        (
            "{kind: categorical, categories: [M], same: {'?': M}}",
            "'?' is a category of sex and stands",
        ),
        ("{kind: categorical, categories: [M], same: {m: M, ' m': M}}", "names a key twice"),
        ("{kind: categorical, categories: [M], same: [m]}", "same"),
        ("{kind: categorical, categories: [M], unit: kg}", "unit is for numbers"),
    ],
)
def test_what_is_the_same_as_no_category_is_refused(tmp_path, column, said):
    write(tmp_path, f"{TARGET}columns:\n  sex: {column}\n", ["M"])
    with pytest.raises(ConfigError, match=said):
        task_of(tmp_path)


def test_a_targets_unit_and_its_same_words_are_of_its_kind(tmp_path):
    rest = "columns: {a: {kind: numeric}}\n"
    write(tmp_path, "target: {name: sick, classes: [no, yes], unit: kg}\n" + rest, ["x"])
    with pytest.raises(ConfigError, match="unit are of a number, and a class has none"):
        task_of(tmp_path)
    (tmp_path / "schema.yaml").write_text(
        "target: {name: sick, center: 1, scale: 1, same: {a: b}}\n" + rest
    )
    with pytest.raises(ConfigError, match="same is for categories and classes"):
        task_of(tmp_path)


DROP = """\
target: {name: sick, classes: [no, yes], missing: drop}
client: who
group: family
columns: {age: {kind: numeric}, word: {kind: categorical, categories: [x]}}
"""
UNLABELLED = "who,age,word,sick,family,ward\n"
UNLABELLED += (
    "a,51,x,no,1,k\nb,no number,y,,,k\na,52,z,?,,l\na,53,w,yes,2,l\nc,1,x,NA,,m\na,54,x,no,1,k\n"
)


def test_rows_without_a_label_are_left_out_where_the_schema_says_so(tmp_path):
    (tmp_path / "all.csv").write_text(UNLABELLED)
    (tmp_path / "schema.yaml").write_text(DROP)
    task = task_of(tmp_path)
    assert task.clients == ("a", "b", "c")
    table = task.load("a", tmp_path, 1)
    # Nothing else of such a row is read: neither its group nor a word that is strange.
    assert table.x[:, 0].tolist() == [51, 53, 54]
    assert (table.y.tolist(), table.blocks.tolist()) == ([0, 1, 0], [0, 1, 0])
    assert table.strange == (("word", "'w'"),)
    assert table.unlabelled == 1
    assert (len(task.load("b", tmp_path, 1)), task.load("b", tmp_path, 1).unlabelled) == (0, 1)
    (finding,) = [f for f in check_table(table, task.schema) if f.check == "unlabelled"]
    assert (finding.count, finding.message) == (1, "1 of 4 rows has no label and is left out.")
    with pytest.raises(ClientFailure, match="no rows: 1 row has no label and is left out"):
        check_table(task.load("b", tmp_path, 1), task.schema)
    rows = task.read_inputs(_without(tmp_path, "no number,y"))  # a model is for rows like these
    assert rows.x[:, 0].tolist() == [51, 52, 53, 1, 54]


def _without(folder, row):
    path = folder / "new.csv"
    path.write_text("".join(line for line in UNLABELLED.splitlines(True) if row not in line))
    return path


def test_rows_without_a_label_repeat_no_words_beside_the_schema(tmp_path):
    schema = DROP.replace("group: family\n", "").replace("client: who\n", "")
    (tmp_path / "schema.yaml").write_text(schema)
    rows = "age,word,sick,patient\n1,x,no,p\n2,x,,p\n3,x,yes,q\n4,x,,r\n5,x,no,q\n"
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(rows)
    (beside,) = task_of(tmp_path).load("a", tmp_path, 1).repeating
    assert (beside.name, beside.words.tolist()) == ("patient", [0, 1, 1])


def test_without_the_key_a_row_without_a_label_is_refused_with_the_key(tmp_path):
    (tmp_path / "all.csv").write_text(UNLABELLED)
    (tmp_path / "schema.yaml").write_text(DROP.replace(", missing: drop", ""))
    (tmp_path / "all.csv").write_text(UNLABELLED.replace("no number", "1"))
    with pytest.raises(
        DataError, match=r"line 3: the target sick is missing; .*missing: drop of the"
    ):
        task_of(tmp_path).load("a", tmp_path, 1)
