"""`calyx doctor site`: what a site has on its own disk, found, with its cure."""

import os

import pytest
from starlette.applications import Starlette
from support.orders import NAMES, order
from support.site_files import POLICY, changed, site_values, write_site
from support.tls import served

from calyx.cli import doctor
from calyx.cli.doctor_site import ledger_row
from calyx.errors import UserError
from calyx.secagg.roster import make_roster
from client.gate.ledger import open_ledger


@pytest.fixture(scope="module")
def address(keys_of_all):
    """A server that is up; it knows no path, as a gateway does not know `/`."""
    with served(Starlette(), keys_of_all / "keys", says_date=True) as address:
        yield address


@pytest.fixture
def site(federation, address):
    return site_values(address)


def look(capsys, values):
    path = write_site(values)
    capsys.readouterr()
    code = doctor.main(["site", path])
    return code, " ".join(capsys.readouterr().out.split())


def test_a_sound_site_can_take_part_and_nothing_is_written(site, federation, capsys):
    (federation / "data" / "below").mkdir()
    (federation / "data" / "below" / "a.data").write_bytes(b"x" * 2048)
    (federation / "data" / "b.data").write_bytes(b"x")
    write_site(site)
    before = sorted(federation.rglob("*"))
    code, said = look(capsys, site)
    assert code == 0, said
    assert "This site can take part" in said
    assert "north, one of 5 on roster version 1" in said
    assert "version 1; the installed files are what it allows" in said
    assert "data: 2 files, 2.0 KiB, readable; rows not looked at" in said
    assert "state will be made" in said
    assert "answers" in said
    assert "s behind the server's" in said or "s ahead of the server's" in said
    assert "•" not in said
    assert sorted(federation.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"authority": "roster.json"}, 1, "get ca.crt from the operator"),
        ({"authority": "gone.crt"}, 1, "gone.crt cannot be read"),
        ({"node_key": "gone.key"}, 1, "gone.key cannot be used: No such file"),
        ({"node_key": "sites/north.key"}, 1, "no private key"),
        ({"manifest": None}, 0, "runs any code"),
        ({"manifest": "roster.json"}, 1, "roster.json is no manifest"),
        ({"client": {"name": "nobody"}}, 1, "does not name nobody"),
        ({"client": {"identity": "sites/south.key"}}, 1, "another key"),
        ({"client": {"roster": "gone.json"}}, 1, "gone.json"),
        ({"client": {"data_dir": "gone"}}, 1, "There is no folder gone"),
        ({"client": {"data_dir": "keys/ca.crt"}}, 1, "There is no folder keys/ca.crt"),
        ({"client": {"data_dir": "nodes"}}, 0, "nodes: 5 files"),
        ({"client": {"data_dir": None}}, 0, "tasks that bring their data"),
        ({"client": {"data_dir": "data"}}, 0, "data holds no file"),
        ({"client": {"state_dir": "keys/ca.crt"}}, 1, "keys/ca.crt is no folder"),
        ({"client": {"state_dir": None}}, 1, "name a folder for it"),
        ({"client": {"policy": POLICY | {"bounds": None}}}, 0, "bounds is null: any value of any"),
        (
            {"client": {"policy": POLICY | {"privacy": "none", "bounds": None}}},
            0,
            "the server every update",
        ),
        ({"client": {"policy": POLICY}}, 1, "bounds has none for task.name"),  # of the seed alone
        (
            {"client": {"policy": POLICY | {"bounds": {"training.epoch": {"max": 10}}}}},
            1,
            "perhaps training.epochs is meant",
        ),
        ({"client": {"policy": POLICY | {"n_min": "x"}}}, 1, "client.policy.n_min"),
        ({"client": {"hardware": {}}}, 1, "client.hardware"),
        ({"sever": "x"}, 1, "sever"),
    ],
)
def test_what_is_wrong_with_a_site_is_found(site, capsys, changes, code, words):
    found, said = look(capsys, changed(site, **changes))
    assert words in said
    assert found == code, said


SICK = "target: {name: sick, classes: ['no', 'yes']}\ncolumns: {age: {kind: numeric, high: 120}}\n"
ROWS = [f"{50 + i},{['no', 'yes'][i % 2]}" for i in range(10)]
TEN = "\n".join(["age,sick", *ROWS, ""])


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"schema.yaml": SICK, "north.csv": TEN}, 0, "10 rows of north as schema.yaml says: 6 to"),
        (
            {"schema.yaml": SICK, "north.csv": TEN + "200,no\n"},
            0,
            "1 row lies above 120 in the column age",
        ),
        (
            {"schema.yaml": SICK, "north.csv": TEN[:21]},
            0,
            "fewer than client.policy.min_cell=10",
        ),
        ({"schema.yaml": SICK, "South.csv": TEN}, 1, "no file north.csv; it has those of South"),
        ({"schema.yaml": SICK}, 1, "no file north.csv; it has no CSV file at all"),
        ({"schema.yaml": SICK.replace("sick", "ill"), "north.csv": TEN}, 1, "has no column ill"),
        ({"schema.yaml": SICK, "north.csv": TEN + "fifty,no\n"}, 1, "line 12, column age: 'fifty'"),
        ({"schema.yaml": SICK + "[", "north.csv": TEN}, 1, "schema.yaml"),
        ({"schema.yml": SICK, "north.csv": TEN}, 1, "rename schema.yml"),
        ({"schema.yaml": "client: site\n" + SICK, "all.csv": TEN}, 1, "has no column site"),
        ({"north.csv": TEN}, 0, "put the schema.yaml that all sites agree on beside them"),
    ],
)
def test_a_sites_rows_are_read_by_the_schema_beside_them(
    site, federation, capsys, files, code, words
):
    for name, text in files.items():
        (federation / "data" / name).write_text(text)
    found, said = look(capsys, site)
    assert words in said
    assert found == code, said


def test_a_value_that_cannot_be_leaves_the_rest_to_be_looked_at(site, capsys):
    _, said = look(capsys, changed(site, client={"policy": POLICY | {"n_min": "x"}}))
    assert "1 problem(s)" in said
    assert "answers, with a certificate of keys/ca.crt" in said


def test_one_cause_is_one_problem(site, capsys):
    _, said = look(capsys, changed(site, client={"identity": "sites/south.key"}))
    assert "1 problem(s)" in said
    assert "• manifest" in said


def test_a_file_that_is_no_mapping_is_a_problem_and_one_that_is_not_there_a_mistake(
    federation, capsys
):
    code, said = look(capsys, ["x"])
    assert "is no YAML mapping" in said
    assert code == 1
    for arguments in (["gone.yaml"], [], ["site.yaml", "more"]):
        with pytest.raises(UserError) as caught:
            doctor.main(["site", *arguments])
        assert "\n" not in str(caught.value)


def open_state(folder):
    (folder / "state").mkdir(mode=0o755)


def seen(folder, text):
    (folder / "state").mkdir(mode=0o700)
    (folder / "state" / "manifest-version").write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (open_state, "chmod 700 state"),
        (lambda folder: seen(folder, "2"), "no way back"),
        (lambda folder: seen(folder, "x"), "is damaged"),
        (lambda folder: (folder / "sites/north.key").chmod(0o640), "chmod 600 sites/north.key"),
        (
            lambda folder: (folder / "sites/north.node.key").chmod(0o604),
            "chmod 600 sites/north.node.key",
        ),
    ],
)
def test_what_is_wrong_with_a_sites_files_is_found(site, federation, capsys, damage, words):
    damage(federation)
    code, said = look(capsys, site)
    assert words in said
    assert code == 1


def test_a_ledger_that_is_there_is_told(site, federation, capsys):
    seen(federation, "1")
    (federation / "state" / "ledger.jsonl").write_text("x" * 70)
    code, said = look(capsys, site)
    assert "its ledger has 70 bytes" in said
    assert "runs: 0, answers that left: 0" in said
    assert code == 0


def test_what_a_ledger_says_against_a_site_is_found_and_nothing_is_written(tmp_path):
    path, now = tmp_path / "ledger.jsonl", 1.8e9
    kept = open_ledger(path)
    kept.note_order(order(), 0, bytes(32), now + 7 * 86400)
    seen = make_roster({name: name.encode() * 32 for name in NAMES}, 2, bytes(32))
    kept.note_roster(seen, now)
    before = path.read_bytes()
    for version, words in ((1, "version 1, and 2 was seen"), (2, "another version 2")):
        found = ledger_row(path, make_roster({"a": b"x" * 32}, version, bytes(32)))
        assert found.state == "problem"
        assert words in found.found
    assert "has times up to 2027-01-2" in ledger_row(path, seen, now).found
    assert ledger_row(path, seen, now + 7 * 86400).state == "ok"
    assert path.read_bytes() == before
    path.write_bytes(before + b'{"event": "other"}\n{"event": "half')
    assert "Line 3 of" in ledger_row(path, seen, now).found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("name", ["data/below", "data/below.csv"])
def test_data_that_cannot_be_read_are_found(site, federation, capsys, name):
    closed = federation / name
    closed.touch() if closed.suffix else closed.mkdir()
    closed.chmod(0)
    code, said = look(capsys, site)
    assert f"{name} cannot be used: Permission denied" in said
    assert code == 1
