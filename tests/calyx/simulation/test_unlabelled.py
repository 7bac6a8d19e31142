"""Rows without a label, where the schema says that they are left out: counted, said, and no more."""

from support.csv_files import CLASSES, write_folder

from calyx.composing.compose import compose, settle
from calyx.simulation.planning import plan
from client.rows.data import rows_of


def planned(folder):
    small = ["task=csv", f"task.data_dir={folder}", "privacy=none", "rounds=1", "baselines=false"]
    return plan(settle(compose(small), single=True))


def test_rows_without_a_label_are_said_before_the_start_and_change_nothing(tmp_path):
    folder = write_folder(tmp_path / "rows", clients=3, target=CLASSES | {"missing": "drop"})
    path = folder / "site-1.csv"
    rows = path.read_text()
    # The first stands between rows, so that what follows it must not move to other parts.
    head, *lines = rows.splitlines(keepends=True)
    path.write_text("".join([head, lines[0], "7,50,120.0,no,NA,1.0\n", *lines[1:], "8,?,?,?,,\n"]))
    after = planned(folder)
    (sentence,) = after.warnings
    assert sentence == (
        "2 rows have no label and are left out, as the schema says: at 1 client, of which site-1 has 2."
    )

    def read():
        return rows_of(after.terms.task, after.terms.seed, "site-1", folder)

    with_holes = read()
    assert (
        with_holes.version != rows_of(after.terms.task, after.terms.seed, "site-2", folder).version
    )
    path.write_text(rows)
    assert (read().version, read().part_digests) == (with_holes.version, with_holes.part_digests)
    # A label that comes later is another row, which a run that goes on refuses.
    path.write_text(rows + "8,50,120.0,no,yes,1.0\n")
    assert read().version != with_holes.version
