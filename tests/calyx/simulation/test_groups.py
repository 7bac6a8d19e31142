"""Visits of one patient: what a model can look up of them, and what is said before a run starts."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from calyx.composing.compose import compose, settle
from calyx.errors import ConfigError
from calyx.simulation.planning import plan
from calyx.tasks.csv import Csv
from client.rows.splitting import Fold, split, split_fold

SITES, PEOPLE, VISITS, WIDTH = 3, 24, 5, 6


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Sites whose patients' labels say nothing that their visits could tell; without a schema."""
    folder = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    head = ",".join(["patient", *(f"m{i}" for i in range(WIDTH)), "relapse"])
    for site in range(SITES):
        lines = [head]
        for patient in range(PEOPLE):
            own, label = draw.normal(0, 1.5, WIDTH), draw.choice(["no", "yes"])
            for _ in range(VISITS):
                cells = [f"{value:.2f}" for value in own + draw.normal(0, 0.1, WIDTH)]
                lines.append(",".join([f"p{site}-{patient}", *cells, label]))
        (folder / f"site-{site}.csv").write_text("\n".join(lines) + "\n")
    return folder


def schema(rows, **keys):
    columns = {f"m{i}": {"kind": "numeric", "low": -9, "high": 9} for i in range(WIDTH)}
    target = {"name": "relapse", "classes": ["no", "yes"]}
    (rows / "schema.yaml").write_text(str({"target": target, "columns": columns} | keys))
    return rows


def planned(rows, *overrides):
    small = ["task=csv", f"task.data_dir={rows}", "privacy=none", "rounds=1", "baselines=false"]
    return plan(settle(compose([*small, *overrides]), single=True))


def looked_up(parts):
    """The accuracy of who answers each test row with the label of the nearest training row."""
    nearest = KNeighborsClassifier(1).fit(parts["train"].x, parts["train"].y)
    return nearest.score(parts["test"].x, parts["test"].y)


def test_with_a_group_no_answer_can_be_looked_up(rows):
    """Oracle: scikit-learn's nearest neighbour, which knows nothing but the rows it was given."""
    found = {}
    for keys in ({}, {"group": "patient"}):
        section = planned(schema(rows, **keys)).config["task"]
        task = Csv({k: v for k, v in section.items() if k not in ("data_dir", "faults")})
        scores = []
        for name in task.clients:
            table = task.load(name, rows, 1)
            dealt = [
                split(table, 1, name),
                *(split_fold(table, 1, name, Fold(i, 5)) for i in range(5)),
            ]
            scores.append([looked_up(parts) for parts in dealt])
        found[bool(keys)] = np.mean(scores, axis=0)
    assert found[False].min() > 0.9
    assert 0.3 < found[True].mean() < 0.7


def test_before_the_start_it_is_said_that_a_column_repeats(rows):
    repeats, near = planned(schema(rows)).warnings
    assert repeats.startswith("3 of 3 clients, such as site-0: patient repeats, 5 rows a word")
    assert "say `group: patient` in the schema" in repeats
    assert near.startswith("3 of 3 clients, such as site-0: 48 of 48 validation and test rows are")
    assert planned(schema(rows, group="patient")).warnings == ()


@pytest.mark.parametrize("key", ["split", "time"])
def test_folds_of_rows_that_bring_their_split_are_refused_at_load(rows, key):
    with pytest.raises(
        ConfigError, match=rf"cv\.k=5 deals .* and the schema's `{key}` says already"
    ):
        planned(schema(rows, **{key: "patient"}), "cv.k=5")


def test_folds_of_a_benchmarks_folders_are_refused_and_leaving_out_clients_is_not(rows, tmp_path):
    for path in schema(rows).glob("*"):
        place = tmp_path if path.name == "schema.yaml" else tmp_path / "train"
        place.mkdir(exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match=r"cv\.k=5 deals .* the rows' own split says already"):
        planned(tmp_path, "cv.k=5")
    planned(tmp_path, "cv.k=clients")
