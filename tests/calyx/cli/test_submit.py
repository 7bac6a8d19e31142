"""`calyx submit` before it asks a site: whose run it is, and what only separate machines refuse."""

from pathlib import Path

import numpy as np
import pytest
from support.csv_files import write_folder

from calyx.cli import resume, submit
from calyx.cli.following import _why
from calyx.errors import UserError
from calyx.run.folder import RunFolder
from calyx.run.order import run_digest
from server.checkpoints import RunState, save

ROSTER = "--roster=roster.json"
CSV = [ROSTER, "task=csv", "task.schema=schema.yaml", "rounds=2"]
NAMES = ["centre", "east", "north", "south", "west"]


@pytest.fixture
def started(federation, monkeypatch):
    """What would be started on the server, were it there: configs."""
    write_folder(federation / "rows", clients=0)
    (federation / "rows" / "schema.yaml").rename("schema.yaml")
    configs = []
    monkeypatch.setattr(submit, "drive", lambda config, *_, **__: configs.append(config))
    return configs


def test_the_rosters_sites_are_the_clients_and_the_operator_has_no_rows(started):
    assert submit.main(CSV) == 0
    (config,) = started
    assert config["task"]["clients"] == NAMES
    assert config["task"]["data_dir"] is None
    assert config["task"]["schema"]["target"]["name"] == "sick"
    assert config["privacy"]["n_max"] == 128
    assert submit.main([*CSV, f"task.clients=[{','.join(reversed(NAMES))}]"]) == 0


def test_what_sites_with_their_tasks_template_refuse_is_said_key_by_key(started, capsys):
    assert submit.main([*CSV, "training.lr=0.3", "task.hidden=1500", "privacy.clip=5"]) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    for key in ("training.lr is 0.3", "task.hidden is 1500", "privacy.clip is 5"):
        assert key in said
    assert submit.main(CSV) == 0
    assert "warning" not in capsys.readouterr().out
    assert len(started) == 2  # sites decide


def _planned(*_):
    raise UserError("planned")


def test_more_rounds_than_the_template_allows_are_said_when_a_run_goes_on(
    started, monkeypatch, capsys
):
    assert submit.main(CSV) == 0
    (config,) = started
    folder = RunFolder(Path("run"))
    folder.path.mkdir()
    folder.write_config(config)
    digest = run_digest(config)
    weights = {"w": np.zeros(1, np.float32)}
    save(folder.checkpoints, RunState("id", digest, 2, weights, {}, None), keep=1)
    driven = []
    monkeypatch.setattr("calyx.cli.following.drive", lambda config, *_, **__: driven.append(config))
    assert resume.main(["run", "rounds=101"]) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert "rounds is 101, outside the bound of {max: 100}" in said
    assert resume.main(["run", "rounds=100"]) == 0
    assert [config["rounds"] for config in driven] == [101, 100]
    folder.write_config(config | {"engine": {"name": "embedded", "workers": 0, "cohort": False}})
    monkeypatch.setattr(resume, "plan", _planned)
    with pytest.raises(UserError, match="planned"):  # a simulation, of which no site is asked
        resume.main(["run", "rounds=101", "task.data_dir=rows"])
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(("k", "warned"), [(5, ""), (10, "cv.k=10 is 12 runs of a site")])
def test_a_cross_validation_that_takes_all_runs_of_a_day_is_said(started, capsys, k, warned):
    """One run, one a fold and one of all scores: docs/secagg.md §11. Of cv.k=5 that is seven of twelve."""
    assert submit.main([*CSV, f"cv.k={k}"]) == 0
    said = capsys.readouterr().out
    assert warned in said
    assert ("warning" in said) == bool(warned)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (CSV[1:], "needs the consortium's roster: --roster=roster.json"),
        ([ROSTER, "task=csv"], "task.schema, the file that lies beside each site's rows"),
        ([*CSV, "task.schema=gone.yaml"], "gone.yaml"),
        (
            [*CSV, "task.clients=[north,south,east,west,coast]"],
            "names other clients than the roster",
        ),
        ([*CSV, "privacy.n_min=6"], "needs at least 6 clients"),
        ([ROSTER, "task=digits"], "task=digits has no client centre; it has client-00 … client-09"),
        ([ROSTER, "task=heart"], "task=heart has no client centre; it has cleveland … va"),
        ([ROSTER, "task=vowel"], "and the roster names such a site: sites have rows of their own"),
    ],
)
def test_what_no_site_could_answer_is_refused_before_one_is_asked(started, arguments, words):
    with pytest.raises(UserError) as caught:
        submit.main(arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert started == []


def test_another_seed_is_advised_where_it_helps(tmp_path):
    """It begins with another model; the statistics of the same rows stay given."""
    folder = RunFolder(tmp_path)
    assert "another seed" in _why("north (second-vector (stage 0)) was lost.", folder, rounds=0)
    said = "north (second-vector (stage 0)) gave no statistics."
    assert _why(said, folder, rounds=0) == said
