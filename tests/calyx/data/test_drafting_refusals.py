"""What no draft can be made of is one sentence that names the file and the cure."""

import os

import pytest
from support.drafts import HEAD, SITES, drafted, rows, write

from calyx.data.drafting.writing import draft
from calyx.errors import DataError

LINES = "site,x,sick\n" + "".join(f"{{}},{i % 7}.5,{'yes' if i % 2 else 'no'}\n" for i in range(60))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"s3": "alter,geschlecht,krank\n1,2,3\n"},
            r"s3.csv has 0 of the 3 columns that most files",
        ),
        ({"s3": "Age,sex ,SICK\n1,2,3\n"}, r"rename 'Age' to 'age' and 'SICK' to 'sick' in it"),
        ({"s3": (HEAD + rows(3)).replace(",", ";")}, r"s3.csv is written with semicolons between"),
        ({"s3": HEAD.replace("sex", "größe").encode("latin-1")}, "s3.csv"),
        ({"s3": ""}, "s3.csv is empty"),
        ({"s3": b"\xef\xbb\xbf" + HEAD.encode() + b"\xff,m,no\n"}, "s3.csv, line 2 is not utf-8"),
        ({"s3": HEAD}, "s3.csv has no rows below its first line; bring its rows"),
        ({"s3": b"PK\x03\x04\0\0"}, "s3.csv is an Excel workbook or another zip file, whatever"),
        (
            {"s3": HEAD + rows(3) + "40,m,perhaps\n"},
            r"s3.csv, line 32: 'perhaps' is a class of sick",
        ),
        ({"s3": HEAD + rows(3) + "40,m,yes,1\n"}, "s3.csv, line 32: 4 cells"),
        ({"s3": "51.5,m,2.5\n49.5,f,1.5\n"}, "s3.csv, line 1 seems to be a row"),
        ({"s1 (1)": HEAD + rows(1)}, r"s1 \(1\).csv is s1.csv once more"),
        ({"notes": "column,meaning\nage,years\n"}, "notes.csv has 0 of the 3"),
    ],
)
def test_a_file_that_fits_no_draft_is_named_with_the_cure(tmp_path, changed, words):
    with pytest.raises(DataError, match=words) as error:
        draft(write(tmp_path, **changed))
    assert str(error.value).isprintable()


def test_sites_that_all_call_their_columns_otherwise_are_compared_with_the_first(tmp_path):
    for i, head in enumerate(("Age,Sex,Sick\n", "age,sex,sick\n")):
        (tmp_path / f"s{i}.csv").write_text(head + rows(i))
    with pytest.raises(
        DataError, match=r"s1.csv has 0 of the 3 columns that s0.csv has .*rename 'age'"
    ):
        draft(tmp_path)


def test_a_draft_without_inputs_says_whole_what_would_mend_them(tmp_path):
    cells = "".join(f"{'<0.5' if i % 4 == 0 else i / 8},{'yn'[i % 2]}\n" for i in range(1, 200))
    (tmp_path / "s0.csv").write_text("crp,sick\n" + cells)
    with pytest.raises(DataError, match=r"'<0.5' among them; .*missing, and the column as numbers"):
        draft(tmp_path / "s0.csv")


def test_a_cell_that_excel_could_not_reckon_holds_no_value(tmp_path):
    words = ("#DIV/0!", "#WERT!")
    cells = "".join(f"{words[i % 2] if i % 5 == 0 else i / 8},{'yn'[i % 2]}\n" for i in range(200))
    (tmp_path / "s0.csv").write_text("ratio,sick\n" + cells)
    ratio = drafted(tmp_path / "s0.csv")[0]["columns"]["ratio"]
    assert (ratio["kind"], ratio["may_be_missing"]) == ("numeric", True)


def test_a_file_that_begins_with_its_encoding_may_have_another(tmp_path):
    other = ("\ufeff" + HEAD + rows(3).replace("m", "é")).encode("utf-16-le")
    found, text = drafted(write(tmp_path, s3=other))
    assert "encoding" not in text
    assert found["columns"]["sex"]["categories"] == ["f", "m", "é"]


def test_marks_of_decimals_are_those_of_all_sites(tmp_path):
    sites = {f"s{i}": "age;sex;sick\n" + rows(i, ";") for i in range(SITES)}
    comma = "age;sex;sick\n" + rows(3, ";").replace(".", ",")
    with pytest.raises(DataError, match=r"s3.csv has numbers with commas before their decimals"):
        draft(write(tmp_path, **sites | {"s3": comma}))
    whole = "age;sex;sick\n" + rows(3, ";", "{:.0f}")
    assert "decimal" not in drafted(write(tmp_path, **sites | {"s3": whole}))[0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"target": "sik"}, "has no column sik; is 'sick' meant"),
        ({"target": "id"}, "--target=id cannot be predicted: not in s1.csv and 3 more"),
        ({"client": "sex"}, "holds 5 CSV files, each of them a site; --client is for one file"),
    ],
)
def test_a_name_that_is_none_is_said(tmp_path, names, words):
    first = "id," + HEAD + "".join(f"{i},{line}\n" for i, line in enumerate(rows(0).split()))
    with pytest.raises(DataError, match=words):
        draft(write(tmp_path, s0=first), **names)


@pytest.mark.parametrize(
    ("sites", "named", "words"),
    [
        ("ABCDE", {}, None),
        ("ABCDE", {"client": "sick"}, None),
        ("A", {}, "the client column site has one value in all rows"),
        (["A", "B", ""], {}, "all.csv, line 4: the client column site is empty"),
        ("ABCDE", {"client": "x", "target": "x"}, "--target and --client are both x"),
    ],
)
def test_one_file_of_all_sites_needs_a_client_column(tmp_path, sites, named, words):
    names = [sites[i % len(sites)] for i in range(60)]
    (tmp_path / "all.csv").write_text(LINES.format(*names))
    if words:
        with pytest.raises(DataError, match=words):
            draft(tmp_path, **named)
    else:
        assert drafted(tmp_path, **named)[0]["client"] == named.get("client", "site")
    renamed = LINES.format(*names).replace("site", "place")
    (tmp_path / "all.csv").write_text(renamed)
    with pytest.raises(DataError, match="holds one CSV file, and a federation has several sites"):
        draft(tmp_path)


def test_one_file_a_part_has_its_client_column_too(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "all.csv").write_text(LINES.format(*("ABCDE" * 12)))
    assert drafted(tmp_path)[0]["client"] == "site"


def test_a_folder_without_csv_files_says_what_lies_in_it(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep")
    with pytest.raises(DataError, match=r"holds no CSV file .*deep/ is left out"):
        draft(tmp_path)
    (tmp_path / "deep").rename(tmp_path / "train")
    assert drafted(tmp_path)[0]["target"]["name"] == "sick"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a.csv is a pipe or a device.*; save its rows first"):
        draft(tmp_path / "a.csv")
