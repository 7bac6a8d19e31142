"""A user's mistake: exit code 2, one clear sentence, nothing left on disk."""

import json
import shutil

import pytest

pytestmark = pytest.mark.e2e

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
    (["strategy=median"], "must see more than one update"),
    (["cohort_size=50"], "more than the roster's 10 clients"),
    (["task.data_dir=somewhere"], "leave task.data_dir out"),
    (["task.alpha=-1"], "task.alpha is -1"),
    (["task=heart", "task.data_dir=nowhere"], "nowhere is no folder"),
    (["rounds=[1"], "no viable alternative"),
    (["task=null"], "cannot be composed"),
    (["privacy.clip=1e300"], "privacy.clip is 1e+300"),
    (["--nope"], "no option --nope"),
    (["seed=1,2"], "Ambiguous value"),
    (["-m", "rounds=3,-1"], "rounds is -1"),
    (["training.optimizer=adam", "training.momentum=0.9"], "momentum=0.9 needs optimizer=sgd"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_wrong_config_is_one_sentence(calyx, tmp_path, arguments, words):
    ended = calyx("simulate", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.startswith("calyx: ")
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
    assert config["strategy"] == {"name": "fedprox", "server": {}, "local": {"mu": 0.01}}
    names = {
        group: config[group]["name"] for group in ("task", "training", "preprocessing", "privacy")
    }
    assert names == {
        "task": "digits",
        "training": "default",
        "preprocessing": "local",
        "privacy": "secagg",
    }
    assert json.dumps(config)
    assert list(tmp_path.iterdir()) == []
