"""What a run began with: digests of a client's rows, its constants, and whether rows are still those."""

import json
import os
import stat
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from support.csv_files import write_folder
from support.federation import Federation

from calyx.data.schema import Column, Schema, Table
from calyx.errors import ConfigError, UserError
from calyx.flower.messages import as_task
from calyx.model.weights import hash_weights
from calyx.preprocessing.config import PreprocessingConfig
from calyx.questions.registry import question_of
from calyx.run.order import Cv, Order, to_json
from calyx.tasks.csv import Csv
from calyx.wire import messages as wire
from client.app import app
from client.config import node_config
from client.rows import renewal
from client.rows.begun import Beginning, begin
from client.rows.data import Rows, forget, read_rows
from client.rows.splitting import split

SCHEMA = Schema((Column("a", "numeric", low=0, high=99),), ("no", "yes"))


class Task:
    name, schema = "made", SCHEMA


def rows_of(*values, blocks=None):
    x = np.array(values, dtype=np.float64)[:, None]
    numbers = None if blocks is None else np.array(blocks)
    table = Table(x, (x[:, 0] > 5).astype(np.int64), numbers)
    return Rows("a", Task(), table, split(table, 1, "a"), ())


LOCAL = PreprocessingConfig(
    name="local",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="clip",
    iqr_factor=3.0,
)
VALUES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


@pytest.fixture
def where(tmp_path):
    return Beginning(tmp_path / "kept", "a-run", "a")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (rows_of(*VALUES), None),
        (rows_of(*VALUES, 11), "11 rows instead of 10"),
        (rows_of(*VALUES[1:]), "9 rows instead of 10"),
        (rows_of(*reversed(VALUES)), "the same rows in another order"),
        (rows_of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5), "as many rows (10), with other values"),
        (rows_of(*VALUES, blocks=[i // 5 for i in range(10)]), "dealt otherwise"),
    ],
    ids=["same", "more", "fewer", "sorted", "corrected", "regrouped"],
)
def test_what_is_different_about_rows_is_said(where, rows, what):
    begin(where, rows_of(*VALUES), LOCAL)
    found = where.read().difference(rows)
    assert found == what or (what is not None and what in found)


def test_the_file_holds_constants_of_the_training_part_and_no_row(where):
    """Oracle: NumPy over the training rows."""
    rows = rows_of(*(31.25, 47.5, 12.125, 55.0, 61.75, 28.5, 33.0, 40.25, 19.5, 72.0))
    begin(where, rows, LOCAL)
    train = rows.parts["train"].x[:, 0]
    first, third = np.quantile(train, [0.25, 0.75])
    reach = 3 * (third - first)
    constants = json.loads(where.path.read_text())["constants"]
    wanted = [np.median(train), first - reach, third + reach, train.mean(), train.std()]
    assert constants == [pytest.approx(wanted)]
    text = where.path.read_text()
    assert not [v for v in rows.table.x[:, 0] if v not in wanted and f"{v}" in text]
    assert stat.S_IMODE(os.stat(where.path).st_mode) == 0o600
    assert where.read().recall(SCHEMA).columns[0].fill == np.median(train)


@pytest.mark.parametrize(("last", "written"), [("image", 1), ("numeric", 3)])
def test_constants_that_all_columns_have_are_written_once(where, last, written):
    bounds = {"low": 0, "high": 99}
    columns = [Column(f"c{i}", "image") for i in range(2)]
    columns.append(Column("c2", last, **(bounds if last == "numeric" else {})))
    schema = Schema(tuple(columns), ("no", "yes"))
    rows = rows_of(*VALUES)
    wide = {name: replace(part, x=np.tile(part.x, 3)) for name, part in rows.parts.items()}
    task = type("Wide", (Task,), {"schema": schema})
    rows = replace(rows, task=task, parts=wide)
    begin(where, rows, LOCAL)
    assert len(json.loads(where.path.read_text())["constants"]) == written
    again, fitted = where.read().recall(schema), rows.fit(LOCAL)
    assert repr(again.columns) == repr(fitted.columns)  # NaN is not equal to itself


@pytest.mark.parametrize(
    "constants",
    [
        [],
        [[1.0, None, None, 0.0, 0.0]],
        [[1.0, 5.0, 1.0, 0.0, 1.0]],
        [[1.0, None, None, None, 1.0]],
    ],
    ids=["too few", "scale 0", "no room", "no mean"],
)
def test_constants_that_no_fit_has_given_are_refused(where, constants):
    begin(where, rows_of(*VALUES), LOCAL)
    value = json.loads(where.path.read_text()) | {"constants": constants}
    where.path.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="constants"):
        where.read().recall(SCHEMA)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{" * 9999, '{"rows": NaN}'], ids=range(5))
def test_a_damaged_file_is_one_sentence(where, text):
    begin(where, rows_of(*VALUES), LOCAL)
    where.path.write_text(text)
    with pytest.raises(UserError, match="is damaged; restore it"):
        where.read()


def test_only_where_nothing_waited_for_the_disk_an_empty_file_is_none(where):
    begin(where, rows_of(*VALUES), LOCAL)
    where.path.write_bytes(b"")
    assert replace(where, is_synced=False).read() is None
    with pytest.raises(UserError, match="is damaged"):
        where.read()


def test_a_file_of_another_client_is_none_of_this_ones(where):
    begin(where, rows_of(*VALUES), LOCAL)
    other = replace(where, client="b")
    where.path.rename(other.path)
    with pytest.raises(UserError, match="of another client or run"):
        other.read()


def test_whatever_a_clients_name_is_made_of_it_has_a_file_of_its_own(where):
    names = ["a/b", "..", "a%b", "A", "a", "a-1", "クリニック" * 40, "クリニック" * 40 + "2", "a "]
    for number, name in enumerate(names):
        begin(replace(where, client=name), rows_of(*VALUES, *range(number)), LOCAL)
    numbers = [replace(where, client=name).read().rows for name in names]
    assert numbers == [10 + i for i in range(len(names))]
    files = [path.name for path in where.folder.iterdir()]
    assert len({name.lower() for name in files}) == len(names)  # where a disk takes A for a


class Clinic:
    """One site of five on a machine of its own; `ask` sends it an order as a server does."""

    def __init__(self, folder):
        self.data = write_folder(folder / "rows", clients=5, rows=40)
        self.federation = Federation("task=csv", f"task.data_dir={self.data}")
        section = self.federation.plan.run.client | {
            "data_dir": str(self.data),
            "state_dir": str(folder / "state"),
        }
        self.context = Context(1, 2, dict(node_config("site-1", section)), RecordDict(), {})
        self.file, self.state = self.data / "site-1.csv", folder / "state"

    def ask(self, kind="train", run="run"):
        """What the site answers: a word of failure, or "" for a vector."""
        as_task(1)
        federation = self.federation
        order = Order(
            protocol="calyx/1",
            run=run,
            kind=kind,
            round=1,
            attempt=1,
            weights=hash_weights(federation.template),
            is_validated=False,
            previous=(),
            abandoned=(),
            groups=(tuple(federation.nodes),),
            members=None,
            rounds=5,
            best=0,
            deadline_s=60.0,
            terms=federation.setting.terms,
        )
        content = wire.order_content(federation.template, to_json(order))
        reply = app(Message(content, 2, question_of(kind).message_type), self.context)
        return wire.failure_reason(reply) if reply.has_error() else ""

    def restart(self):
        """Another process: nothing of the last one is in memory."""
        renewal._seen = renewal._Seen((), set())
        forget()


@pytest.fixture
def clinic(tmp_path):
    made = Clinic(tmp_path)
    made.restart()
    yield made
    made.restart()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["living", "restarted"])
def test_a_site_whose_rows_have_changed_is_out_of_the_run_that_it_began(clinic, is_restarted):
    assert clinic.ask() == ""
    before = clinic.file.read_text()
    clinic.file.write_text(before + "99,51,120.0,no,no,99.0\n")
    if is_restarted:
        clinic.restart()
    for kind in ("train", "evaluate", "test"):
        assert clinic.ask(kind) == "rows-changed"
    said = (clinic.state / "events.jsonl").read_text()
    assert "46 rows instead of 45" in said
    assert clinic.ask(run="a new one") == ""  # which begins with the new rows
    clinic.file.write_text(before)
    assert clinic.ask("test") == ""
    assert clinic.ask(run="a new one") == "rows-changed"


def test_a_file_that_changed_without_a_trace_is_read_anew(clinic):
    """As many bytes, and the time of modification put back: as `touch -r` leaves it."""
    assert clinic.ask() == ""
    found = clinic.file.stat()
    lines = clinic.file.read_text().splitlines()
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    clinic.file.write_text("\n".join(swapped) + "\n")
    os.utime(clinic.file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert clinic.file.stat().st_size == found.st_size
    assert clinic.ask() == "rows-changed"
    assert "the same rows in another order" in (clinic.state / "events.jsonl").read_text()


def test_a_column_that_the_schema_does_not_name_is_none_of_the_runs_rows(clinic):
    assert clinic.ask() == ""
    clinic.file.write_text(clinic.file.read_text().replace("\n0,", "\n1000,"))
    assert clinic.ask() == ""


def test_folds_and_audits_of_a_run_are_compared_with_what_it_began_with(clinic):
    assert clinic.ask(run="run-fold-0") == ""
    clinic.file.write_text(clinic.file.read_text() + "99,51,120.0,no,no,99.0\n")
    assert clinic.ask() == "rows-changed"
    assert len(list((clinic.state / "strategy").glob("*.json"))) == 1


def test_a_damaged_file_of_what_began_is_no_leave_to_train(clinic):
    assert clinic.ask() == ""
    (kept,) = (clinic.state / "strategy").glob("*.json")
    kept.write_text("{")
    assert clinic.ask() == "rows-changed"
    assert "cannot be told" in (clinic.state / "events.jsonl").read_text()


def test_the_state_of_a_site_inside_its_data_is_no_data(tmp_path):
    made = Clinic(tmp_path)
    made.restart()
    section = json.loads(str(made.context.node_config["client-config"]))
    section["data_dir"], section["state_dir"] = str(made.data), str(made.data / "state")
    made.context.node_config.update(dict(node_config("site-1", section)))
    assert made.ask() == ""
    seen = renewal._seen.files
    assert made.ask("test") == ""
    assert renewal._seen.files == seen
    assert read_rows(made.federation.setting.terms, "site-1", made.data) is not None


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(clinic, monkeypatch):
    """Half of a file that somebody is copying is no version of it: a run begins with the whole one."""
    text, read, readings = clinic.file.read_text(), Csv.tables, []
    clinic.file.write_text("".join(text.splitlines(keepends=True)[:21]))

    def tables(task, path):
        found = read(task, path)
        readings.append(path)
        clinic.file.write_text(text)  # the copying goes on and ends
        return found

    monkeypatch.setattr(Csv, "tables", tables)
    assert clinic.ask() == ""
    assert len(readings) == 3  # half, whole and touched once more, whole
    monkeypatch.undo()
    assert clinic.ask("test") == ""
    (kept,) = (clinic.state / "strategy").glob("*.json")
    assert json.loads(kept.read_text())["rows"] == len(text.splitlines()) - 1


def test_folds_are_cut_from_the_rows_that_were_compared(clinic):
    """A file that is replaced between the comparison and a fold's training changes nothing of it."""
    terms = replace(clinic.federation.setting.terms, cv=Cv(k=5, fold=None))
    compared = read_rows(terms, "site-1", clinic.data)
    clinic.file.write_text(clinic.file.read_text() + "99,51,120.0,no,no,99.0\n")
    assert read_rows(terms, "site-1", clinic.data, 1).version == compared.version


@pytest.mark.parametrize(("name", "answer"), [("site-1.csv", "rows-changed"), ("x.log", "")])
def test_rows_that_never_hold_still_begin_no_run(clinic, monkeypatch, name, answer):
    """And another file that grows beside them is no change of theirs."""
    read = Csv.tables

    def tables(task, path):
        found = read(task, path)
        with (clinic.data / name).open("a") as file:
            file.write("99,51,120.0,no,no,99.0\n")
        return found

    monkeypatch.setattr(Csv, "tables", tables)
    os.utime(clinic.file)
    assert clinic.ask() == answer
    monkeypatch.undo()
    assert clinic.ask() == ""


@pytest.mark.parametrize("run", ["run", "run-audit", "run-cv", "run-fold-1"])
def test_a_run_is_not_asked_by_another_seed_whether_its_rows_differ(clinic, run):
    """The parts of a small site are alike under two seeds or not: a bit of a server's choice."""
    assert clinic.ask(run="run-fold-0") == ""
    clinic.federation = Federation("task=csv", f"task.data_dir={clinic.data}", "seed=2")
    # No training is of a run that scores folds, whatever the seed.
    refused = "order-refused" if run.endswith("-cv") else "rules-changed (stage 0)"
    assert clinic.ask(run=run) == refused
    clinic.file.write_text(clinic.file.read_text() + "99,51,120.0,no,no,99.0\n")
    assert clinic.ask(run=run) == refused  # whatever has become of the rows
