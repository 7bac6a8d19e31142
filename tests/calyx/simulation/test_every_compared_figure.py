"""Every figure of a comparison, over wild little federations: pandas on the runs' summaries."""

import html
import re

import pandas as pd
import pytest
from support.oracles import is_printed, read
from support.wild import make

from calyx.cli.sweep.leaderboard import print_leaderboard
from calyx.cli.sweep.outcomes import Outcome
from calyx.composing.compose import compose, settle
from calyx.pages.comparison import write_comparison
from calyx.run.folder import RunFolder
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate

RATES, SEEDS = (0.01, 0.5), (1, 2)
# Of rounds' curves and of time: tests/calyx/pages/test_comparison.py.
ELSEWHERE = {"", "Setting", "Seeds", "Rounds to target", "Bytes to target", "Time"}


def tables_of(page):
    """Rows of a page's tables, each a text by its column's head."""
    found = []
    for table in re.findall(r"<table.*?</table>", page, flags=re.S):
        rows = [
            [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells]
            for cells in (
                re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S)
                for row in re.findall(r"<tr.*?</tr>", table, flags=re.S)
            )
        ]
        found.append([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
    return found


def key_of(head):
    """The summary's name of what a column is headed by. Raises KeyError for an unknown one."""
    own, what = head.removeprefix("Own models' "), "personal_" if head.startswith("Own") else ""
    kind, _, name = own.lower().rpartition(" ")
    name = name.replace("²", "2")
    if not kind:
        return {"bytes": "bytes", "rounds": "rounds"}[name]
    return {"test": what or "test_", "best validation": f"best_val_{what}"}[kind] + name


def is_error(key):
    """Whether less of a figure is better."""
    return key.rpartition("_")[2] in ("loss", "rmse", "mae")


@pytest.fixture(scope="module", params=[12, 13])  # classes, and numbers
def finished(request, tmp_path_factory):
    """A federation, and the summaries of its runs: each setting with each seed."""
    home = tmp_path_factory.mktemp("compared")
    made, summaries = make(home / "data", request.param), []
    for rate in RATES:
        for seed in SEEDS:
            folder = home / f"{rate}-{seed}"
            words = [*made.overrides, "baselines=false", f"seed={seed}", f"training.lr={rate}"]
            checked = plan(settle(compose(words), single=True))
            simulate(checked, folder, resume=False, progress=lambda *_: None)
            summaries.append(read(folder / "summary.json") | {"rate": rate, "folder": folder})
    return made, summaries


def test_a_leaderboard_has_the_mean_and_the_deviation_of_each_settings_seeds(
    finished, capsys, monkeypatch
):
    _, summaries = finished
    monkeypatch.setenv("COLUMNS", "250")
    objective = summaries[0]["objective"]
    jobs = [
        Outcome(
            i,
            one["folder"],
            (f"training.lr={one['rate']}", f"seed={one['seed']}"),
            "finished",
            "",
            RunFolder(one["folder"]).read_summary(),
        )
        for i, one in enumerate(summaries)
    ]
    print_leaderboard(jobs, objective)
    lines = [re.split(r" {2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[0] == "place")
    head, rows = (
        lines[start],
        [line for line in lines[start + 1 :] if len(line) == len(lines[start])],
    )
    assert len(rows) == len(RATES)
    frame = pd.DataFrame(summaries)
    compared = head[3]
    order = frame.groupby("rate")[compared].mean().rank(ascending=is_error(compared), method="min")
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        of = frame[frame["rate"] == float(cells["training.lr"])]
        assert is_printed(cells["place"].rstrip("="), [order[of["rate"].iloc[0]]])
        for key in head[3:]:
            mean, deviation = of[key].mean(), of[key].std()
            values = [mean, deviation] if "±" in cells[key] else [mean]
            assert key == "seconds" or is_printed(cells[key], values), (key, cells[key], values)


def test_a_setting_is_the_mean_and_the_deviation_of_its_seeds(finished):
    made, summaries = finished
    home = summaries[0]["folder"].parent
    page = write_comparison([s["folder"] for s in summaries], home / "compare.html")
    settings, runs = tables_of(page.read_text())
    frame = pd.DataFrame(summaries).assign(bytes=lambda f: f["bytes_up"] + f["bytes_down"])
    figures = {head: key_of(head) for head in settings[0] if head not in ELSEWHERE | {"Place"}}
    groups = frame.groupby("rate")[list(figures.values())].agg(["mean", "std"])
    name = "accuracy" if made.classes else "r2"
    # Where clients have models of their own, these are what is tuned and ranked.
    first = f"personal_{name}" if f"personal_{name}" in figures.values() else f"test_{name}"
    order = groups[(first, "mean")].rank(ascending=is_error(first), method="min")
    assert len(settings) == len(RATES)
    for row in settings:
        rate = float(row["Setting"].partition("=")[2])
        assert is_printed(row["Place"], [order[rate]])
        for head, key in figures.items():
            mean, deviation = groups.loc[rate, key]
            values = [mean, deviation] if "±" in row[head] else [mean]
            assert is_printed(row[head], values), (head, row[head], values)
            assert "±" in row[head] or deviation == 0
    for row in runs:
        (own,) = [s for s in summaries if s["folder"].name == row["Folder"]]
        assert is_printed(row["Seed"], [own["seed"]])
        (head,) = set(row) - {"", "Folder", "Seed", "Rounds", "State"}
        is_own = "own models" in row[head]
        assert is_own == first.startswith("personal_")
        assert is_printed(row[head].partition(" (")[0], [own[first]])
