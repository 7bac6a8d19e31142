"""Lines and rows of a CSV file, counted against each other."""

import csv
import io
import os

import pytest

from calyx.data.csv.rows import Dialect, read_rows
from calyx.data.drafting.writing import draft
from calyx.data.tables import CHUNK_ROWS, Field, all_rows, read_header
from calyx.errors import DataError

STRAY = 'note,age,sick\nok,51,no\nok,62,yes\n"12 cm cyst,43,no\nok,71,yes\nok,38,no\n'


def rows_of(path, content, **how):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path, Dialect(**how)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            STRAY + '6" wide,47,yes\n',
            "line 4: a quotation mark is opened and closed in line 7 \\(column note\\), where",
        ),
        (
            STRAY + '6",47,yes\n',
            "line 4: a quotation mark is opened and closed in line 7 \\(column note\\), and what",
        ),
        (STRAY, r"line 4: a quotation mark is opened and never closed \(column note\); double"),
        (
            'a,note\n1,"12 cm\n2,ok\n3,6"\n',
            "line 2: a quotation mark is opened and closed in line 4",
        ),
        (
            '\n\na,b\n\n1,"x"y\n',
            r"line 5: a text goes on after its closing quotation mark \(column b\)",
        ),
        ('a,b\n"1\n2",3\n"4"5,6\n', "line 4: a text goes on"),
        ('"a,b\n1,2"\n', "line 1: a quotation mark is opened and closed in line 2"),
        ('a\n"1\n2"\n', "line 2: a quotation mark is opened and closed in line 3"),
        (
            'a,b\n1,"' + "x" * 140_000 + '\n",2\n',
            "line 2: a quotation mark is opened and not closed",
        ),
        ("a,b\n1," + "x" * 140_000 + "\n", "line 2: a cell of more than 131,072 signs"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 cell, and the first line names 2 columns; between two"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 cells, and the first line names 2 columns; quote"),
        ('a,b,c\n1,2,3\n""\n', "line 3: 1 cell, and the first line names 3 columns"),
        ("a,b\n1,2,3\n", "line 2: 3 cells, .*; if rows begin with a name or number of their own"),
        ("Export\na,b\n1,2\n", "line 2: 2 cells, .*; if the first line is a title, take it out"),
        ("Export\n\na,b\n", "line 2 is empty, .*; if the first line is a title, take it out"),
        ("a\n1\n\n2\n", "line 3 is empty, in a file of one column"),
        ("a\n1\n  \n2\n", "line 3 is empty, in a file of one column"),
        ("a,b\n1,2\nx\0,3\n", "line 3: a zero byte"),
        ("sep=;;\na;b\n", "line 1: 'sep=;;' is a word to Excel"),
        ("sep=;\n", "is empty"),
        (
            'sep=;\na;b\n1;"x"y\n',
            r"line 3: a text goes on after its closing quotation mark \(column b\)",
        ),
        ("sep=;\na;b\n\n1;2;3\n", "line 4: 3 cells, and the first line names 2 columns; quote"),
        ('sep=;\na;b\n1;"x\n2;y"\n', "line 3: a quotation mark is opened and closed in line 4"),
        (b"a,b\r1,\xe4\r", r"line 2 is not utf-8 \(byte 0xe4\)"),
        (
            "a,b\n1,2\n".encode("utf-16-le"),
            "but utf-16-le, as it seems; say encoding: utf-16-le in",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-be"),
            "but utf-16-be, as it seems; say encoding: utf-16-be in",
        ),
        ("", "is empty"),
        ("\n \n", "is empty"),
    ],
)
def test_what_is_no_row_is_told_with_its_line(tmp_path, content, words):
    with pytest.raises(DataError, match=words) as caught:
        rows_of(tmp_path / "x.csv", content)
    assert str(caught.value).startswith(f"{tmp_path / 'x.csv'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("declared", ["utf-8", "latin-1", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_its_beginning_says_the_encoding_of_one_file(tmp_path, declared, encoding):
    found = rows_of(tmp_path / "x.csv", "größe,b\n1,ü\n".encode(encoding), encoding=declared)
    assert found == [(1, ["größe", "b"]), (2, ["1", "ü"])]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_an_encoding_without_a_mark_is_the_schemas(tmp_path, encoding):
    found = rows_of(tmp_path / "x.csv", "größe,b\n1,ü\n".encode(encoding), encoding=encoding)
    assert found == [(1, ["größe", "b"]), (2, ["1", "ü"])]


@pytest.mark.parametrize(
    ("content", "declared", "said"),
    [
        # Read as latin-1, größe would be grÃ¶ÃŸe.
        ("größe,b\n1,2\n", "latin-1", "is not latin-1, but utf-8: its letters beyond A to Z are"),
        ("größe,b\n1,2\n", "utf-16", "is not utf-16: it holds no zero bytes"),
        ("a,b\n1,2\n", "utf-16-le", "is not utf-16-le: it holds no zero bytes"),
        (
            "a,b\n1,ü\n".encode("latin-1"),
            "utf-8",
            "such as cp1252 of Windows programs, by encoding in",
        ),
        (
            "a,b\n1,ü\n".encode("utf-16-le"),
            "latin-1",
            "say encoding: utf-16-le in the schema if all",
        ),
    ],
)
def test_an_encoding_that_the_bytes_contradict_is_refused_with_the_key(
    tmp_path, content, declared, said
):
    with pytest.raises(DataError, match=said):
        rows_of(tmp_path / "x.csv", content, encoding=declared)


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;", "sep=;  "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_excels_first_line_says_the_delimiter_of_one_file(tmp_path, first, end):
    content = end.join([first, "a;b", "", '1;"x, y"', "2;z"])
    assert rows_of(tmp_path / "x.csv", content) == [
        (2, ["a", "b"]),
        (4, ["1", "x, y"]),
        (5, ["2", "z"]),
    ]
    assert rows_of(tmp_path / "x.csv", content.encode("utf-16"), delimiter="|")[0] == (
        2,
        ["a", "b"],
    )


@pytest.mark.parametrize("first", ["sep=\t", "sep=\\t"])
def test_excels_first_line_may_say_a_tab(tmp_path, first):
    found = rows_of(tmp_path / "x.csv", f"{first}\na\tb\n1\t2\n")
    assert found == [(2, ["a", "b"]), (3, ["1", "2"])]


@pytest.mark.parametrize("width", ["2,3", "2,3,", "2,3,,"])
def test_rows_may_all_end_in_delimiters_and_not_one_of_them(tmp_path, width):
    # With one allowed, 3,7 without marks in the second row moves the empty last cell out of sight.
    path = tmp_path / "x.csv"
    assert len(rows_of(path, f"a,b\n{width}\n{width}\n")) == 3
    with pytest.raises(DataError, match=r"line 3: \d cells"):
        rows_of(path, f"a,b\n{width}\n3,7,{'' if width == '2,3' else 'x'}\n{width}\n")


@pytest.mark.parametrize("second", ["2,3", "2,3,"])
def test_the_row_with_a_cell_too_many_is_named_though_it_is_the_first(tmp_path, second):
    with pytest.raises(DataError, match="line 2: 4 cells"):
        rows_of(tmp_path / "x.csv", f"a,b\n3,7,,\n{second}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\0", "is an Excel workbook or another zip file, whatever its name says"),
        (b"PAR1\x15\0", "is a Parquet file"),
        (b"\x1f\x8b\x08", "is a gzip file"),
        ("a,b\n1,2\n".encode("utf-16") + b"x", "x.csv is not utf-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        rows_of(tmp_path / "x.csv", content)
    assert rows_of(tmp_path / "x.csv", "PAR1,b\n1,2\n") == [(1, ["PAR1", "b"]), (2, ["1", "2"])]


def test_what_can_be_read_once_only_is_refused(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(DataError, match="is a pipe or a device"):
        next(read_rows(tmp_path / "x.csv", Dialect()))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_with_line_ends_is_one_cell_and_lines_are_those_of_the_file(tmp_path, end):
    lines = ["c,age,sick", "", '"two', 'lines",51,no', "  ", "", "ok,62,maybe"]
    found = rows_of(tmp_path / "x.csv", end.join(lines))
    assert found[1:] == [(3, [f"two{end}lines", "51", "no"]), (7, ["ok", "62", "maybe"])]


def test_cells_that_hold_whole_lines_are_read_when_the_schema_says_so(tmp_path):
    found = rows_of(tmp_path / "x.csv", 'c,age\n"a,b\nc,d",51\nx,62\n', line_breaks=True)
    assert found[1:] == [(2, ["a,b\nc,d", "51"]), (4, ["x", "62"])]


def test_lines_stay_true_in_later_pieces_of_a_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,note\n\n" + "1,x\n" * CHUNK_ROWS + '2,"y\nz"\n3,w\n')
    rows = all_rows(path, [Field("a")], Dialect())
    assert rows.lines[-3:].tolist() == [CHUNK_ROWS + 2, CHUNK_ROWS + 3, CHUNK_ROWS + 5]
    path.write_text(path.read_text() + "unknown,v\n")
    with pytest.raises(DataError, match=f"line {CHUNK_ROWS + 6}, column a: 'unknown'"):
        all_rows(path, [Field("a")], Dialect())


NAMES = ["NA", "?", "-", "null", "None", "nan", "NaN", ""]


def test_names_are_read_as_they_are_written_whatever_is_missing(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",".join(NAMES) + "\n" + ",".join("12345678") + "\n")
    assert read_header(path, Dialect(missing=tuple(NAMES))) == NAMES
    rows = all_rows(path, [Field("None"), Field("NA")], Dialect(missing=tuple(NAMES)))
    assert rows.x.tolist() == [[5, 1]]


def test_a_draft_names_what_the_file_names_and_leaves_out_what_has_no_name(tmp_path):
    path = tmp_path / "x.csv"
    rows = "".join(f"{i % 2},{i}.5,7,8,{i % 3}\n" for i in range(40))
    path.write_text(f"None,NA,,twice,twice\n{rows}")
    text = draft(path).text
    assert 'name: "NA"' in text
    assert '  "None": {kind: categorical' in text
    assert '# "": a column without a name; left out' in text
    assert '# "twice": stands twice in the first line; left out' in text


def test_another_delimiter_is_asked_for(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("age;sick\n1;no\n")
    with pytest.raises(DataError, match=r"no column age; .*; is ';' the file's delimiter\?"):
        all_rows(path, [Field("age")], Dialect())


def test_delimiters_beside_a_text_of_two_lines_have_joined_nothing(tmp_path):
    content = (
        'name,address,note\n"Smith, J.","Main St, 5","fine\nagain"\n"two\nlines",x,"a, b, c"\n'
    )
    first, *rows = [row for _, row in rows_of(tmp_path / "x.csv", content)]
    assert [first, *rows] == list(csv.reader(io.StringIO(content, newline="")))


def test_a_heading_of_two_lines_stands_beside_one_with_a_comma(tmp_path):
    content = '"age, years","dose\n[mg]"\n51,2\n'
    rows = [row for _, row in rows_of(tmp_path / "x.csv", content)]
    assert rows == list(csv.reader(io.StringIO(content, newline="")))


def test_two_blanks_have_an_empty_cell_between_where_a_blank_is_the_delimiter(tmp_path):
    content = 'a b c\n1  "2 3"\n"" x y\n 4 5\n'
    rows = [row for _, row in rows_of(tmp_path / "x.csv", content, delimiter=" ")]
    assert rows == list(csv.reader(io.StringIO(content, newline=""), delimiter=" "))
