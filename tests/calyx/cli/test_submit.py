"""`calyx submit` before it asks a site: whose run it is, and what only separate machines refuse."""

import pytest
from support.csv_files import write_folder

from calyx.cli import submit
from calyx.cli.following import _why
from calyx.errors import UserError
from calyx.run.folder import RunFolder

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
