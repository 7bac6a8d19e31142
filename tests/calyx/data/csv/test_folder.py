"""What lies in a folder, what is read of it, and what is said of the rest."""

import shutil

import pytest
from support.csv_files import task_of, write_folder, write_schema

from calyx.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "rows", clients=3, rows=12)


def write(folder, name, change=True):
    """Another file beside, with rows of its own if it is changed."""
    text = (folder / "site-0.csv").read_text()
    (folder / name).write_text(text.replace(",yes,", ",no,", 1) if change else text)


def test_a_csv_file_is_one_however_its_ending_is_written(folder):
    (folder / "site-1.csv").rename(folder / "site-1.CSV")
    (folder / "site-2.csv").rename(folder / "site-2.Csv")
    task = task_of(folder)
    assert task.clients == ("site-0", "site-1", "site-2")
    assert [len(task.load(client, folder, 1)) for client in task.clients] == [12, 17, 22]
    assert task.warnings_of(folder) == []


@pytest.mark.parametrize(
    "name",
    [
        "._site-0.csv",
        ".b.csv",
        ".~b.csv",
        "c.tsv",
        "c.csv.gz",
        "c.txt",
        "d.xlsx",
        "b.csv~",
        "b.csv.bak",
    ],
)
def test_what_looks_like_a_table_and_is_not_read_is_said(folder, name):
    (folder / name).write_bytes(b"\x00\x05\x16\x07")
    task = task_of(folder)
    assert task.clients == ("site-0", "site-1", "site-2")
    (said,) = task.warnings_of(folder)
    assert f"{name} is left out" in said


def test_a_folder_that_is_called_like_a_table_is_said_and_a_page_is_not(folder):
    (folder / "c.csv").mkdir()
    (folder / "README.txt").write_text("rows")
    (said,) = task_of(folder).warnings_of(folder)
    assert "c.csv/ is left out" in said


@pytest.mark.parametrize("name", ["Site-0.csv", "site-0.CSV", "SITE-0.CSV"])
def test_two_files_that_are_one_on_another_disk_are_refused(folder, name):
    write(folder, name)
    with pytest.raises(DataError, match=rf"site-0\.csv.* are of one client|{name}.* are of one"):
        task_of(folder)


def test_an_accent_is_one_letter_or_two_signs_and_one_client(folder):
    (folder / "site-0.csv").rename(folder / "Zu\u0308rich.csv")
    task = task_of(folder, 'task.clients=["Zürich","site-1"]')
    assert task.clients == ("Zürich", "site-1")
    assert len(task.load("Zürich", folder, 1)) == len(task.load("Zu\u0308rich", folder, 1)) == 12
    shutil.copy(folder / "Zu\u0308rich.csv", folder / "Zürich.csv")
    with pytest.raises(DataError, match="are of one client"):
        task_of(folder)


@pytest.mark.parametrize(
    "name", ["site-0 (1).csv", "site-0 - Copy.csv", "Kopie von site-0.csv", "site-0_copy.csv"]
)
def test_a_copy_of_a_file_is_refused_and_one_with_other_rows_is_said(folder, name):
    write(folder, name, change=False)
    with pytest.raises(DataError, match=r"is site-0\.csv once more, to the byte"):
        task_of(folder).warnings_of(folder)
    write(folder, name)
    (said,) = task_of(folder).warnings_of(folder)
    assert said == f"{name} is a client of its own beside site-0.csv; if it is a copy, remove it."


def test_equal_files_of_two_clients_are_said(folder):
    write(folder, "north.csv", change=False)
    (said,) = task_of(folder).warnings_of(folder)
    assert "north.csv and site-0.csv hold the same rows, to the byte" in said


def test_a_client_without_a_file_is_refused_with_those_there_are(folder):
    task = task_of(folder, "task.clients=[site-0,site-9]")
    with pytest.raises(
        DataError, match=r"has no file site-9\.csv; it has those of site-0, site-1 and"
    ):
        task.load("site-9", folder, 1)


def shared(folder, name, clients):
    """One table with a client column."""
    for path in folder.glob("*.csv"):
        path.unlink()
    lines = ["who,age,sick", *(f"{who},4{i % 10},{'yes' if i % 2 else 'no'}" for i, who in clients)]
    (folder / name).write_text("\n".join(lines) + "\n")
    write_schema(folder, client="who", columns={"age": {"kind": "numeric"}})


def test_a_client_column_needs_one_table_and_the_others_are_named(folder):
    shared(folder, "all.CSV", enumerate(["010", "10", "no", "10.0", "null"] * 6))
    task = task_of(folder)
    assert task.clients == ("010", "10", "10.0", "no", "null")
    assert [len(task.load(client, folder, 1)) for client in task.clients] == [6] * 5
    with pytest.raises(
        DataError, match=r"no rows of 11 in its column who; it has those of 010, 10, 1"
    ):
        task.load("11", folder, 1)
    (folder / "old.csv").write_text("who,age,sick\n")
    with pytest.raises(
        DataError, match=r"holds 2 CSV files: all\.CSV and old\.csv; with a client col"
    ):
        task_of(folder)


@pytest.mark.parametrize("name", ["a\x07b", "x" * 201])
def test_a_name_that_no_roster_could_hold_is_refused_with_its_line(folder, name):
    shared(folder, "all.csv", enumerate(["a", "b", name]))
    with pytest.raises(DataError, match=r"all\.csv, line 4: .* is no client's name"):
        task_of(folder)


def test_what_is_left_out_is_said_where_too_few_clients_remain(folder):
    for i in (1, 2):
        (folder / f"site-{i}.csv").rename(folder / f"site-{i}.tsv")
    with pytest.raises(DataError, match=r"1 CSV files .*site-1\.tsv and site-2\.tsv are left out"):
        task_of(folder)
