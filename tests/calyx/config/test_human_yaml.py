"""What a person writes in YAML is read as it is written, or refused with its line."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.config import human_yaml
from calyx.config.human_yaml import assign_types, read_tree
from calyx.config.section import Section, config
from calyx.errors import ConfigError
from calyx.files import foreign


@config
class Wants:
    """A place of every kind."""

    text: str = ""
    maybe: str | None = None
    number: float | None = None
    whole: int = 0
    flag: bool = False
    kind: Literal["on", "off"] = "on"
    words: tuple[str | int | float, ...] = ()
    texts: tuple[str, ...] = ()
    inner: "dict[str, tuple[float, ...]] | None" = None
    raw: Section | None = None


def read(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    values = assign_types(read_tree(path, "docs/x.md"), Wants, path)
    assert json.loads(json.dumps(values)) == values
    return values


WORDS = """010 0 1.50 12:30 1_0 0x1F 0o17 yes no NO on off null ~ 1e3 1E2 2024-01-01 .5 .inf nan
true"""


@pytest.mark.parametrize("word", WORDS.split())
def test_where_a_text_is_wanted_an_unquoted_word_is_that_text(tmp_path, word):
    found = read(tmp_path, f"text: {word}\ntexts: [{word}]\ninner: {{{word}: [1]}}\n")
    assert found == {"text": word, "texts": [word], "inner": {word: [1]}}
    assert type(found["text"]) is str


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0.50", 0.5),
        ("900000000000207009", 900000000000207009),
        ('"1"', "1"),
        *((text, text) for text in ("010", "+1", "1e3", "1_0", "no", "null", "12:30", ".5", "5.")),
    ],
)
def test_a_word_is_a_number_only_as_a_plain_decimal_without_quotes(tmp_path, word, value):
    (found,) = read(tmp_path, f"words: [{word}]")["words"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("number", "1e3", 1000.0),
        ("number", "1e-07", 1e-7),
        ("number", ".5", 0.5),
        ("number", "-3", -3),
        ("number", "null", None),
        ("number", "", None),
        ("number", '"3"', "3"),  # and is refused where it is parsed
        ("number", "1_000", "1_000"),
        ("number", "12:30", "12:30"),
        ("number", "0x1F", "0x1F"),
        ("whole", "7", 7),
        ("flag", "true", True),
        ("flag", "no", False),
        ("flag", "1", "1"),
        ("flag", "maybe", "maybe"),
        ("kind", "on", "on"),
        ("maybe", "null", None),
        ("maybe", '"null"', "null"),
        ("maybe", "on", "on"),
        ("raw", "{a: 1, b: 12:30, c: word, d: true, e: 1e3, f: null}", None),
    ],
)
def test_a_place_says_what_a_word_is(tmp_path, key, word, value):
    wanted = {"a": 1, "b": "12:30", "c": "word", "d": True, "e": 1000.0, "f": None}
    assert read(tmp_path, f"{key}: {word}\n") == {key: wanted if key == "raw" else value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key a stands here and in line 1 already"),
        ("inner:\n  no: [1]\n  no: [2]\n", "line 3: the key no stands here and in line 2"),
        ("a: [1,\nb: 2", "x.yaml, line 2, column 5: this is no YAML in what begins in line 1: exp"),
        ("a: 1\n\tb: 2\n", "x.yaml, line 2, column 1: this is no YAML"),
        ("a: 'x\n", "line 2, column 1: this is no YAML"),
        (
            "a: 1\nb: größe\n".encode("latin-1"),
            "line 2, column 6: the byte 0xf6 is no UTF-8; save",
        ),
        ("a: 1\n".encode("utf-16"), "line 1, column 1: the byte 0xff is no UTF-8"),
        ("a: 1\nb: \x01\n", "line 2: there is a character that no text holds (0x1)"),
        ("a: !!python/object:os.system x", "line 1: the tag tag:yaml.org,2002:python/object:os"),
        ("a: !!int 3", "line 1: the tag tag:yaml.org,2002:int is not read"),
        ("[a, b]: 1", "line 1: a key must be one word"),
        ("a: &a [*a]", "line 1, column 8: this is no YAML: an alias"),
        ("a: " + "[" * 5000, "values or 50 levels; write it shorter or flatter"),
        (
            "a0: &a0 [1]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
            "line 2, column 10: this is no YAML: an alias",
        ),
        ('a: "\\ud83d"', "line 1: half a letter"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: this is no YAML"),
        (
            "number: 010",
            "line 1: 010 is one thing to some readers of YAML and another to others; wr",
        ),
        ("raw: {a: 010}", "line 1: 010 is one thing to some readers of YAML"),
        (
            "raw: {a: yes}",
            "line 1: yes is one thing to some readers of YAML and another to others; wri",
        ),
        ("words: [1, 0.12345678901234567890]", "line 1: 0.12345678901234567890 has more digits"),
        (
            "a: &all {b: 1}\nc: *all",
            "line 2, column 4: this is no YAML: an alias (*name) stands for",
        ),
        ("a: &a [1]\nb: {<<: *a}", "line 2, column 9: this is no YAML: an alias"),
        ("[1]", "is no YAML mapping; docs/x.md shows"),
        ("", "is no YAML mapping"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("where", [foreign, human_yaml._Loader])
def test_values_are_counted_before_they_are_kept(tmp_path, monkeypatch, where):
    """By events, and once more by the loader, which may read what libyaml does not."""
    monkeypatch.setattr(where, "MOST_VALUES" if where is foreign else "left", 20)
    with pytest.raises(ConfigError, match="write it shorter"):
        read(tmp_path, "a: [" + "x, " * 30 + "]")


@given(st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3), max_size=3))
def test_what_json_writes_is_read_back_to_the_letter(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("json") / "x.yaml"
    path.write_text(json.dumps({"a": values}))
    assert assign_types(read_tree(path, "docs/x.md"), dict, path) == {"a": values}


def test_a_schema_of_thirty_thousand_columns_is_not_too_long(tmp_path):
    lines = [f"gene_{i}: {{kind: numeric, low: -1, high: 1}}" for i in range(30_000)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    assert (tmp_path / "x.yaml").stat().st_size > 2**20
    assert len(read_tree(tmp_path / "x.yaml", "a page")) == 30_000
