"""The policy that a site begins with: its values, and that honest orders of every task are within."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.csv_files import write_folder
from support.orders import order

from calyx.cli import keys
from calyx.cli.main import run as program
from calyx.cli.overrides import quote_overrides
from calyx.cli.site_file import task_template
from calyx.cli.template_check import outside_template
from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError, UserError
from calyx.fleet.site import read_site_config
from calyx.preprocessing.choice import choose
from calyx.run.order import Cv, terms_of
from calyx.simulation.planning import asked_of
from calyx.tasks.registry import load_task
from client.gate.admission import closed
from client.gate.policy import all_beyond, check_policy
from client.gate.templates import around
from server.config import read_run

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
TASKS = ("csv", "digits", "heart", "mnist", "shakespeare", "vowel")
# Each task's bounds where its own defaults lie outside those of csv, by hand from conf/task/*.yaml.
OWN = {
    "digits": {
        "training.lr": {"min": 0.001, "max": 0.5},
        "preprocessing.scaling": ["none"],
        "preprocessing.outliers": ["keep"],
    },
    "heart": {},
    "mnist": {"preprocessing.scaling": ["none"], "preprocessing.outliers": ["keep"]},
    "shakespeare": {
        "training.lr": {"min": 0.001, "max": 0.5},
        "privacy.clip": {"min": 0.01, "max": 2.0},
        "cohort_size": "any",
    },
    "vowel": {"training.lr": {"min": 0.001, "max": 0.3}},
}


def default_run(overrides):
    """A run as the server would have it before anything was counted: its config, terms and task."""
    config = resolve(compose(quote_overrides(overrides)))
    run, terms = read_run(config), terms_of(config)
    task = load_task(run.task)
    name = choose(run.preprocessing, task.schema, run.phases).cfg.name
    return run, replace(terms, preprocessing=terms.preprocessing | {"name": name}), task


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("rows"), clients=6)


def test_the_bounds_are_those_of_the_review():
    """Value by value: docs/decisions/0056, and the policy that docs/deploy.md prints."""
    bounds = task_template("csv").bounds
    wanted = {
        "task.name": ["csv"],
        "task.hidden": {"max": 32},
        "training.lr": {"min": 0.001, "max": 0.2},
        "training.batch_size": {"min": 8, "max": 64},
        "training.momentum": {"max": 0.95},
        "training.weight_decay": {"max": 0.1},
        "training.optimizer": ["sgd", "adam"],
        "training.epochs": {"min": 1, "max": 10},
        "privacy.clip": {"min": 0.01, "max": 1.0},
        "privacy.n_max": {"min": 64},
        "preprocessing.scaling": ["standard"],
        "preprocessing.outliers": ["clip"],
        "cv.k": [5, 10],
        "rounds": {"max": 100},
    }
    assert {key: bounds[key] for key in wanted} == wanted


@pytest.mark.parametrize("task", OWN)
def test_a_tasks_template_is_that_of_csv_around_its_own_defaults(task):
    common, own = task_template("csv").bounds, task_template(task).bounds
    changed = {k: v for k, v in own.items() if v != common[k] and k != "task.name"}
    assert changed == OWN[task]
    policy = task_template(task).policy
    is_sampled = task == "shakespeare"
    assert policy.n_min == (4 if task == "heart" else 5)  # there are four hospitals
    assert (policy.joins_a_day, policy.sums_a_day) == ((12, 1300) if is_sampled else (2, 1000))
    drawn = task_template(task, True)
    for one in (task_template(task), drawn):
        assert list(closed(one.policy, one, policy.n_min)) == []
    assert (drawn.policy.joins_a_day, drawn.policy.sums_a_day) == (12, 1300)
    assert drawn.bounds == own | {"cohort_size": "any"}


@pytest.mark.parametrize("strategy", ["fedavg", "fedprox"])
@pytest.mark.parametrize("task", TASKS)
def test_every_order_of_a_tasks_default_run_is_within_its_template(task, strategy, rows):
    place = [f"task.data_dir={rows}"] if task == "csv" else []
    run, terms, own = default_run([f"task={task}", f"strategy={strategy}", *place])
    policy, terms = task_template(task).policy, replace(terms, w_max=1024)  # as a survey found it
    constants = [[[0.0, None, None, 0.0, 1.0]]]
    federated = terms.preprocessing | {"name": "federated", "fitted": constants}
    lasting = {"rounds": run.rounds, "deadline_s": run.deadline_s}
    for kind, cv in [
        *((kind, None) for kind in ("train", "evaluate", "test", "statistics")),
        *((kind, Cv(k=k, fold=0)) for kind in ("train", "test") for k in (5, 10)),
        *((kind, Cv(k=5, fold=None)) for kind in ("statistics", "cv")),
    ]:
        for preprocessing in (terms.preprocessing, federated):
            of = replace(terms, preprocessing=preprocessing, cv=cv)
            check_policy(order(kind, terms=of, **lasting), run.privacy, policy, is_site=True)
    assert outside_template(run, terms, own) == []


def test_what_the_pages_start_is_within_the_template_of_its_task(monkeypatch, rows):
    """But what they show of other strategies, drawn cohorts and privacy=none, which a site may not want."""
    monkeypatch.chdir(rows.parent)
    found = set()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in re.findall(r"^calyx (?:simulate|submit) .*$", page.read_text(), re.MULTILINE):
            words = [w for w in shlex.split(line, comments=True)[2:] if not w.startswith("--")]
            # Of the others no order says anything; a task alone is looked at above.
            told = ("task=", "task.", "cohort_size", "rounds=", "seed=", "cv.", "strategy", "-m")
            places = ("task.data_dir", "task.schema")
            words = [w for w in words if w.startswith((*told, "privacy"))]
            words = [w for w in words if not w.startswith(places)]
            odd = ("task=fleet", "-m", "strategy=", "privacy=none", "cv.k=clients", "cohort_size")
            if not any(word.startswith(odd) for word in words if word != "strategy=fedprox"):
                found |= {tuple(words)} - {(f"task={task}",) for task in TASKS} - {()}
    assert len(found) >= 8
    assert ("task=csv", "seed=7", "rounds=20") in found  # deploy.md's own submit
    for words in found:
        place = [f"task.data_dir={rows}"] if "task=csv" in words else []
        assert outside_template(*default_run([*words, *place])) == [], words


def test_the_pages_lines_let_in_what_the_templates_refuse_by_name():
    """security.md's recommendation, the shipped experiments, and other strategies of one group."""
    pages = [(ROOT / "docs" / f"{name}.md").read_text() for name in ("security", "strategies")]
    lines = [yaml.safe_load(x) for x in re.findall(r"`(strategy\.[.a-z]+: [^`]+)`", "".join(pages))]
    names = {name for line in lines for name in line.get("strategy.name", ())}
    assert names == {"fedavg", "fedprox", "median", "scaffold"}
    others = [f"strategy={s}" for s in ("ditto", "fedavgm", "fedbn", "fednova", "fedopt")]
    recommended = ["task.num_clients=30", "privacy.groups=5", "strategy=median"]
    experiments = [f"experiment={p.stem}" for p in (ROOT / "conf" / "experiment").glob("*.yaml")]
    refused = set()
    for words in (recommended, *([word] for word in (*others, *experiments))):
        run, terms, task = default_run(words)
        template = task_template(task.name)
        bounds = template.bounds | {k: v for line in lines for k, v in line.items()}
        bounds["strategy.name"] = [*names, run.strategy.name] if words[0] in others else [*names]
        policy = replace(template.policy, bounds=bounds)
        assert all_beyond(asked_of(run, terms), (run.rounds, run.deadline_s), policy) == [], words
        refused |= {words[-1]} if outside_template(run, terms, task) else set()
    named = {"experiment=digits-scaffold", "experiment=robust-median", "strategy=median"}
    assert refused == named | set(others)


def test_a_run_outside_the_template_is_told_key_by_key():
    run = default_run(["task=heart", "training.lr=0.3", "rounds=200", "privacy.n_min=3", "cv.k=3"])
    (said,) = outside_template(*run)
    for words in (
        "calyx keys site NAME --task heart",
        "training.lr is 0.3, outside the bound of {min: 0.001, max: 0.2}",
        "rounds is 200, outside the bound of {max: 100}",
        "privacy.n_min is 3, below the policy's 4",
        "cv.k is 3, outside the bound of [5, 10]",
    ):
        assert words in said
    assert "--drawn" not in said
    (said,) = outside_template(*default_run(["task=heart", "cohort_size=4"]))
    assert "cohort_size is 4, outside the bound of [null]" in said
    assert "With --drawn, that command writes one that allows cohort_size." in said
    assert "refuse privacy=none" in outside_template(*default_run(["privacy=none"]))[0]


@pytest.mark.parametrize(
    ("bound", "value", "wanted"),
    [
        ("any", 3, "any"),
        ({"min": 1, "max": 2}, 2, {"min": 1, "max": 2}),
        ({"min": 1, "max": 2}, 5, {"min": 1, "max": 5}),
        ({"min": 1, "max": 2}, 0.5, {"min": 0.5, "max": 2}),
        ({"max": 2}, 3, {"max": 3}),
        (["clip"], "keep", ["keep"]),
        ({"max": 2}, "auto", ["auto"]),
    ],
)
def test_a_bound_reaches_to_a_tasks_default(bound, value, wanted):
    assert around(bound, value) == wanted


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_prints_what_the_command_writes(here):
    (command,) = re.findall(r"^calyx (keys site north .*--task.*)$", PAGE, re.MULTILINE)
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "policy:" in b]
    assert program(shlex.split(command)) == 0
    assert (here / "north.yaml").read_text() == block
    (here / "north.yaml").unlink()
    for file in (here / "keys").iterdir():
        file.unlink()
    assert program([*shlex.split(command), "--drawn"]) == 0
    old, new = (text.splitlines() for text in (block, (here / "north.yaml").read_text()))
    changed = [line.partition(" #")[0].strip() for line in new if line not in old]
    assert changed == ["sums_a_day: 1300", "joins_a_day: 12", "cohort_size: any"]
    assert all(f"`{line}`" in PAGE for line in changed)


@pytest.mark.parametrize("name", ["north", "no", "12", "sé #d: 'x'", "true"])
def test_the_file_is_read_as_it_was_meant(here, name):
    given = ["--folder", "of keys", "--task", "digits", "--server", "gate.example:9443"]
    assert keys.main(["site", name, *given]) == 0
    cfg = read_site_config(Path(f"{name}.yaml"))
    assert (cfg.client["name"], cfg.server) == (name, "gate.example:9443")
    assert Path(cfg.node_key).exists()
    assert Path(cfg.client["identity"]).exists()
    assert cfg.client["policy"]["bounds"] == task_template("digits").bounds


def test_a_file_that_is_there_is_never_replaced_and_one_that_is_not_comes_to_old_keys(here, capsys):
    assert keys.main(["site", "north"]) == 0
    assert keys.main(["site", "north", "--task", "heart"]) == 0
    text = (here / "north.yaml").read_text()
    with pytest.raises(ConfigError, match="no HOST:PORT; ask the operator"):
        read_site_config(Path("north.yaml"))
    (here / "north.yaml").write_text(text.replace("n_min: 4", "n_min: 6"))
    with pytest.raises(UserError, match=r"north\.key exists"):
        keys.main(["site", "north", "--task", "heart"])
    (here / "north.node.key").rename("old.key")
    (here / "north.node.pub").rename("old.pub")
    assert keys.main(["site", "north", "--task", "heart"]) == 0  # a node key that is replaced
    assert "The site's file stays: north.yaml" in capsys.readouterr().out
    assert yaml.safe_load((here / "north.yaml").read_text())["client"]["policy"]["n_min"] == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "nope"], "There is no task 'nope'"),
        (["--task", "csv", "--server", "gate"], "no HOST:PORT"),
        (["--task", "csv", "--server", "http://gate:1"], "no HOST:PORT"),
        (["--server", "gate:1"], "--task TASK writes"),
    ],
)
def test_a_file_that_cannot_be_written_leaves_no_key(here, arguments, words):
    with pytest.raises(UserError, match=re.escape(words)):
        keys.main(["site", "north", *arguments])
    assert list(here.iterdir()) == []
