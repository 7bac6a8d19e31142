"""The tables of docs/tables.md: files as people have them, the same rows for all, who is as good."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.tables import __main__ as program
from benchmarks.tables import makers, page, sources
from benchmarks.tables.rows import Prepared
from benchmarks.tables.running import Outcome
from benchmarks.tables.scikit import Scores
from calyx.data.schema import Column, Schema

KNOWN = Outcome("wine", 1, "accuracy", 178, 6, "cultivar", is_right=True)
SCORES = Scores(linear=0.9, network=0.92, trees=0.95, commonest=0.4)


def test_files_of_a_german_practice_hold_the_numbers_that_scikit_learn_has(tmp_path, capsys):
    program.main(["--make", str(tmp_path), "--only", "diabetes"])
    assert "| diabetes | `progression` | 6 practices by chance |" in capsys.readouterr().out
    files = sorted((tmp_path / "diabetes").iterdir())
    assert [f.name for f in files] == [f"practice-{i}.csv" for i in range(6)]
    first = files[0].read_bytes()
    assert first.startswith(b"\xef\xbb\xbfage;sex;bmi")
    assert b"\r\n" in first
    read = pd.concat([pd.read_csv(f, sep=";", decimal=",", encoding="utf-8-sig") for f in files])
    wanted = load_diabetes(scaled=False)
    assert sorted(read["progression"]) == sorted(wanted.target)
    np.testing.assert_allclose(np.sort(read["s5"]), np.sort(wanted.data[:, 8]), rtol=1e-4)


def test_one_clinic_writes_its_labels_in_another_way_and_none_is_lost():
    table = makers.breast()
    found = {site: set() for site in table.sites}
    for row, site in zip(table.rows, table.sites, strict=True):
        found[site].add(row["diagnosis"])
    assert found.pop("clinic-5") == {"m", "b"}
    assert set.union(*found.values()) == {"M", "B"}
    labels = Counter(row["diagnosis"].upper() for row in table.rows)
    assert labels == {"M": (load_breast_cancer().target == 0).sum(), "B": 357}
    assert min(Counter(table.sites).values()) >= 10
    assert len({row["id"] for row in table.rows}) == 569


def test_a_table_is_the_same_each_time():
    assert makers.wine() == makers.wine()


# As their sources say: rows, and columns.
SHAPES = {
    "penguins": (344, 17), "auto": (397, 9), "wage": (3000, 11), "hdma": (2381, 14),
    "default": (10_000, 4), "seattle": (1461, 6), "gbsg2": (686, 10), "chile": (2700, 9),
    "flchain": (7874, 12), "bikeshare": (8645, 13), "males": (4360, 13), "diamonds": (53_940, 10),
    "vocab": (21_638, 5), "breast": (569, 32), "wine": (178, 14), "diabetes": (442, 11),
}  # fmt: skip


@pytest.mark.parametrize("name", makers.MAKERS)
def test_a_table_has_the_rows_of_its_source_and_its_target(name):
    try:
        table = makers.MAKERS[name]()
    except sources.SourceError as error:
        pytest.skip(str(error))
    assert (len(table.rows), len(table.rows[0])) == SHAPES[name]
    assert len(table.sites) == len(table.rows)
    assert {table.target, *table.answers} <= set(table.rows[0])


def test_a_package_that_is_not_there_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(sources.metadata, "distribution", _absent)
    with pytest.raises(SystemExit, match=r"package ISLP is not here: pip install .*ISLP=="):
        program.main(["--make", "nowhere", "--only", "wage"])


def _absent(name):
    raise sources.metadata.PackageNotFoundError(name)


def test_inputs_are_prepared_as_a_pipeline_of_scikit_learn_does():
    columns = (
        Column("age", "numeric", missing_codes=(99.0,)),
        Column("kind", "categorical", categories=(0.0, 1.0, 2.0)),
    )
    schema = Schema(columns, ("no", "yes"))
    x = np.array([[1.0, 0], [99, 1], [4, 2], [np.nan, 0], [9, 1]])
    numbers = ("n", SimpleImputer(strategy="median"), [0])
    wide = ColumnTransformer([numbers, ("c", OneHotEncoder(sparse_output=False), [1])])
    holes = np.where(x == 99, np.nan, x)  # 99 stands for missing
    wanted = make_pipeline(wide, StandardScaler()).fit_transform(holes)
    np.testing.assert_allclose(Prepared.of(x, schema).apply(x), wanted)


@pytest.mark.parametrize(
    ("default", "pooled", "judgement"),
    [(0.906, 0.9, "yes"), (0.904, 0.906, "**no**"), (0.904, 0.904, "no, nor is pooled")],
)
def test_as_good_is_within_a_point_and_a_half_of_the_better_one(default, pooled, judgement):
    one = replace(KNOWN, default=default, pooled=pooled, scikit=SCORES)
    assert page.judgement([one]) == judgement


def test_of_several_seeds_the_mean_counts():
    seeds = [replace(KNOWN, default=d, pooled=0.92, scikit=SCORES) for d in (0.88, 0.94)]
    assert page.judgement(seeds) == "yes"
    assert "**0.910**" in page.table(seeds).splitlines()[2]


def test_what_has_no_figures_is_a_dash_and_a_note():
    lines = page.table([replace(KNOWN, guess="hue", is_right=False, note="why")]).splitlines()
    assert lines[2].split(" | ")[-6:] == ["–", "–", "–", "–", "–", "hue |"]
    assert lines[-1] == "- wine: why"


@pytest.mark.e2e
def test_a_table_is_drafted_simulated_and_given_to_scikit_learn(started, tmp_path, capsys):
    kept = tmp_path / "kept.json"
    words = ["--short", "--only", "diabetes", "--work", str(tmp_path), "--out", str(kept)]
    program.main(words)
    (one,) = json.loads(kept.read_text())
    assert (one["table"], one["guess"], one["rows"], one["sites"]) == (
        "diabetes",
        "progression",
        442,
        6,
    )
    assert one["rounds"] == program.SHORT_ROUNDS
    assert capsys.readouterr().out.splitlines()[2].startswith("| diabetes | 442, 6 | R² |")
    # No key but the data, and what changes no byte of a model.
    simulated = next(words for words in started if words[0] == "simulate")
    assert simulated[1:] == [
        "task=csv",
        f"task.data_dir={tmp_path / 'diabetes' / 'rows'}",
        "seed=1",
        "privacy=none",
        "engine.workers=0",
        "rounds=3",
        f"hydra.run.dir={tmp_path / 'diabetes' / '1' / 'default'}",
    ]
    assert one["scikit"]["linear"] == pytest.approx(_ridge(tmp_path / "diabetes" / "rows"))
    program.main(["--from", str(kept)])
    assert "diabetes" in capsys.readouterr().out


def _ridge(folder):
    """R² on the test rows of the run, which are 60 %, 20 % and 20 % of each site's by its own draw."""
    from calyx.seeding import rng

    schema = yaml.safe_load((folder / "schema.yaml").read_text())
    train, test = [], []
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path, sep=";", decimal=",", encoding="utf-8-sig")
        order = rng(1, "split", client=path.stem).permutation(len(table))
        fifth = round(len(table) / 5)
        train.append(table.iloc[order[2 * fifth :]])
        test.append(table.iloc[order[fifth : 2 * fifth]])
    train, test = pd.concat(train), pd.concat(test)
    numbers = [n for n, c in schema["columns"].items() if c["kind"] != "categorical"]
    words = [n for n in schema["columns"] if n not in numbers]
    wide = ColumnTransformer([("n", "passthrough", numbers), ("c", OneHotEncoder(), words)])
    model = make_pipeline(wide, StandardScaler(), Ridge())
    center, scale = train["progression"].mean(), train["progression"].std(ddof=0)
    model.fit(train, (train["progression"] - center) / scale)
    return model.score(test, (test["progression"] - center) / scale)


def test_the_page_has_the_table_of_the_figures_that_were_kept(capsys):
    root = Path(__file__).parents[2]
    program.main(["--from", str(root / "benchmarks" / "tables" / "results.json")])
    assert capsys.readouterr().out in (root / "docs" / "tables.md").read_text()


def test_keys_and_seeds_of_a_command_reach_every_table_and_are_kept(monkeypatch, tmp_path, capsys):
    def compare(table, seeds, work, words):
        assert (work, words) == (tmp_path, ["rounds=20"])
        return [replace(KNOWN, table=table.name, seed=seed) for seed in seeds]

    monkeypatch.setattr(program, "compare", compare)
    kept = tmp_path / "kept.json"
    common = ["--work", str(tmp_path), "--out", str(kept), "--with", "rounds=20"]
    program.main(["--only", "diabetes", "--seeds", "3", *common])
    program.main(["--only", "wine", "--seeds", "1", "2", *common])
    found = [(one["table"], one["seed"]) for one in json.loads(kept.read_text())]
    # In the order of the tables, beside what was kept before.
    assert found == [("wine", 1), ("wine", 2), ("diabetes", 3)]
    assert [line[:7] for line in capsys.readouterr().err.splitlines()] == ["| diabe", "| wine "]
