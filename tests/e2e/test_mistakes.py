"""A user's mistake: exit code 2, one clear sentence, nothing left on disk."""

import json
import shutil

import pytest
from support.csv_files import write_folder, write_schema
from support.program import BROKEN

pytestmark = pytest.mark.e2e

ALL = ["privacy=none", "privacy.groups=all"]


def stock(name):
    return ["strategy=flower", f"strategy.server._target_=flwr.serverapp.strategy.{name}"]


MISTAKES = [
    (["foo=1"], "There is no config key foo"),
    (["+foo=1"], "config key foo does not exist"),
    (["strategy=nope"], "strategy/nope"),
    (["task=nope"], "task/nope"),
    (["rounds=-1"], "rounds is -1, but must be greater than or equal to 1"),
    (["rounds=many"], 'rounds is "many", but must be integer'),
    (["privacy.groups=0"], "privacy.groups is 0"),
    (["privacy.groups=99"], "needs at least as many clients"),
    (["strategy.local.muu=1"], "no config key strategy.local.muu"),
    (["+strategy.local.muu=1"], "strategy.local.muu does not exist"),
    (["cohort_size=50"], "more than the roster's 10 clients"),
    (["audit.baseline=old", "phases=[preprocess,train,validate,release]"], "needs the phase audit"),
    (["task.alpha=-1"], "task.alpha is -1"),
    (["task=heart", "task.data_dir=nowhere"], "nowhere is no folder"),
    (["rounds=[1"], "rounds=[1 cannot be read; if its value is text, write 'rounds=\"[1\"'"),
    (["rounds"], "'rounds' is no KEY=VALUE"),
    (["task=csv", "task.data_dir=$HOME/rows"], "the shell has not put in what $HOME stands for"),
    (["task.data_dir=~nobody-9/rows"], "there is no home folder ~nobody-9 here"),
    (["task=null"], "cannot be composed"),
    (["privacy.clip=1e300"], "privacy.clip is 1e+300"),
    (["--nope"], "no option --nope"),
    (["seed=1,2"], "seed=1,2 has several values: add -m for a sweep"),
    (["-m", "rounds=3,-1"], "rounds is -1"),
    ([*stock("FedAdam"), "+strategy.server.eta=abc"], 'eta is "abc", but FedAdam takes'),
    ([*stock("FedAvg"), "+strategy.server.train_metrics_aggr_fn=foo"], "is a function"),
    (
        [*stock("Bulyan"), "+strategy.server.num_malicious_nodes=2", *ALL],
        "needs at least 11 groups",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_wrong_config_is_one_sentence(calyx, tmp_path, arguments, words):
    ended = calyx("simulate", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.startswith("calyx: ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["simulate", "foo=1"], ["report"], ["--version"]], ids=" ".join
)
def test_a_process_of_its_own_ends_as_the_program_does_here(calyx, program, arguments):
    """What all tests with the fixture `calyx` lean on."""
    here, apart = calyx(*arguments), program(*arguments)
    for part in ("returncode", "stdout", "stderr"):
        assert getattr(here, part) == getattr(apart, part)


def test_a_model_of_which_a_part_would_stay_behind_is_one_sentence(calyx, tmp_path):
    ended = calyx("simulate", *BROKEN, "task.fault=count", "engine.workers=0")
    assert ended.returncode == 2
    assert "count (int64) does not travel, and training moves it" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_refused(calyx, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    ended = calyx("simulate", "hardware=gpu")
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "hardware=gpu needs a CUDA device" in ended.stderr


@pytest.mark.parametrize("damage", ["empty", "missing", "changed"])
def test_a_data_folder_that_is_not_the_tasks_is_refused(calyx, tmp_path, heart_dir, damage):
    folder = tmp_path / "heart"
    if damage == "empty":
        folder.mkdir()
    else:
        shutil.copytree(heart_dir, folder)
        file = folder / "processed.va.data"
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes().replace(b"63", b"64", 1))
    ended = calyx("simulate", "task=heart", "task.data_dir=heart")
    assert ended.returncode == 2
    assert "processed." in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["heart"]


def one_file(folder, header, row):
    """All rows in one file, each with a cell before it, in a column before the others."""
    paths = sorted(folder.glob("*.csv"))
    head = paths[0].read_text().splitlines()[0]
    rows = [line for path in paths for line in path.read_text().splitlines()[1:]]
    for path in paths:
        path.unlink()
    lines = [f"{header}{head}", *(f"{row}{line}" for line in rows)]
    (folder / "all.csv").write_text("\n".join(lines))
    write_schema(folder, client=header.rstrip(","))


def mend(folder, old, new, encoding="utf-8"):
    """The first `old` in a client's file replaced."""
    path = folder / "site-2.csv"
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode(encoding))


BAD_FILES = {
    "other columns than its neighbours": (
        lambda f: mend(f, "pressure", "druck"),
        "site-2.csv has no column pressure",
    ),
    "a date in a column of numbers": (
        lambda f: mend(f, "\n0,", "\n0,2024-01-03x"),
        "site-2.csv, line 2, column age: '2024-01-03x",
    ),
    "numbers and words in one column": (
        lambda f: mend(f, "\n7,", "\n7,about "),
        "site-2.csv, line 9, column age: 'about",
    ),
    "another encoding": (
        lambda f: mend(f, "id,", "größe,", "latin-1"),
        "site-2.csv, line 1 is not utf-8 (byte 0xf6); save it so, or name the encoding",
    ),
    "a column named twice": (
        lambda f: mend(f, "id,", "age,"),
        "site-2.csv names the column 'age' twice in its first line",
    ),
    "a client column with one value": (
        lambda f: one_file(f, "who,", "north,"),
        "all.csv names 1 clients in its column who",
    ),
}


@pytest.mark.parametrize(("damage", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_csv_folder_that_cannot_be_used_is_one_sentence(calyx, tmp_path, damage, words):
    damage(write_folder(tmp_path / "rows"))
    ended = calyx("simulate", "task=csv", "task.data_dir=rows")
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert ended.stderr.startswith("calyx: ")
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_a_folder_that_holds_a_run_is_refused_untouched(calyx, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 1\n")
    ended = calyx("simulate", "hydra.run.dir=old")
    assert ended.returncode == 2
    assert "already holds a run" in ended.stderr
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("config.yaml", "seed: 1\n")]
    (tmp_path / "file").write_text("")
    assert calyx("simulate", "hydra.run.dir=file").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage"),
        (["nope"], "no command 'nope'"),
        (["resume"], "Give the folder of one run"),
        (["resume", "nowhere"], "no folder nowhere"),
        (["report"], "the following arguments are required: run"),
        (["report", "nowhere"], "nowhere"),
        (["report", "a", "./a", "--out", "x.html"], "The run a is named 2 times"),
        (["doctor", "me"], "takes server, site, privacy or nothing"),
    ],
)
def test_a_wrong_command_is_exit_code_2(calyx, arguments, words):
    ended = calyx(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr + ended.stdout


def test_the_resolved_config_is_printed_and_composes_again(calyx, tmp_path):
    ended = calyx("simulate", "--cfg", "job", "--resolve", "strategy=fedprox")
    assert ended.returncode == 0
    import yaml

    config = yaml.safe_load(ended.stdout)
    local = {"mu": 0.01, "adversarial": None}
    assert config["strategy"] == {"name": "fedprox", "server": {}, "local": local}
    names = {
        group: config[group]["name"] for group in ("task", "training", "preprocessing", "privacy")
    }
    assert names == {
        "task": "digits",
        "training": "default",
        "preprocessing": "auto",
        "privacy": "secagg",
    }
    assert json.dumps(config)
    assert list(tmp_path.iterdir()) == []
