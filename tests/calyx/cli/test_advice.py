"""What Calyx says to do, done: each sentence is provoked, and what stands in it is then started."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from calyx.cli.hydra_program import compose_config
from calyx.cli.idle import refuse_undone
from calyx.cli.main import run
from calyx.composing.compose import settle
from calyx.errors import UserError, quote_command
from calyx.simulation.planning import plan

GROUPS = "privacy=none privacy.groups=all"
SGD = "training.optimizer=sgd"
STILL = "training.momentum=0.0 and training.weight_decay=0.0"
STOCK = "strategy=flower strategy.server._target_=flwr.serverapp.strategy"

# What is started, the words that its sentence gives, and what is written then: if it is no more
# than these words, they stand for it.
SETTINGS = [
    ("strategy=median", GROUPS),
    ("strategy=median", "strategy=fedavg"),
    (
        "strategy=median",
        "privacy.groups=3 with 15 clients",
        "privacy.groups=3 task.num_clients=15",
    ),
    ("strategy=median privacy=none", "privacy.groups=5"),
    ("strategy=median task.num_clients=30", "privacy.groups=5"),
    ("strategy=krum", "privacy.groups=5 with 30 clients", "privacy.groups=5 task.num_clients=30"),
    ("strategy=krum strategy.server.f=3 task.num_clients=20", GROUPS),
    (f"{STOCK}.FedMedian", GROUPS),
    (f"{STOCK}.FedMedian task.num_clients=30", "privacy.groups=5"),
    ("privacy.groups=all", GROUPS),
    ("privacy.groups=5", "privacy=none"),
    ("task.num_clients=4", "privacy.n_min=4"),
    ("task.num_clients=4", "privacy=none"),
    ("privacy.n_min=20", "privacy.n_min=10"),
    ("privacy.max_colluders=9", "privacy.max_colluders=7"),
    ("privacy.n_max=8", "leave privacy.n_max out", "privacy.n_max=null"),
    ("min_replies=11", "min_replies=10"),
    ("stopping.mode=max", "stopping.mode=min"),
    (
        "stopping.monitor=val_r2",
        "they have val_loss, val_accuracy",
        "stopping.monitor=val_accuracy",
    ),
    ("training.optimizer=adam training.momentum=0.9", SGD),
    ("strategy=fednova training.optimizer=adam", SGD),
    (
        "strategy=scaffold training.momentum=0.5",
        f"{SGD}, {STILL}",
        f"{SGD} {STILL.replace(' and', '')}",
    ),
    ("task.data_dir=x", "leave task.data_dir out", "task.data_dir=null"),
    ("phases=[train]", "needs preprocess before it", "phases=[preprocess,train,validate,release]"),
    ("rounds=0", "greater than or equal to 1", "rounds=1"),
    ("task.data_dir=$HOME/x", "write it without quotes", "task.data_dir=null"),
]


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: " → ".join(row[:2]))
def test_a_setting_that_a_sentence_gives_can_be_started(row):
    given, said, written = row if len(row) == 3 else (*row, row[1])
    with pytest.raises(UserError) as caught:
        start(given.split())
    assert said in str(caught.value)
    named = {word.partition("=")[0] for word in written.split()}
    start([w for w in given.split() if w.partition("=")[0] not in named] + written.split())


def start(words):
    """Everything that `calyx simulate` checks before it trains."""
    config = settle(compose_config(words), single=True)
    refuse_undone(words, config)
    plan(config)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a blank and a quote in its name, as people have them."""
    folder = tmp_path / "it's mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def advised(capsys, *words, code):
    """The commands in what the program says when it is started so."""
    capsys.readouterr()
    assert run(words) == code
    ended = capsys.readouterr()
    said = " ".join((ended.out + ended.err).split())
    return re.findall(r"`(calyx [^`]*)`|→ (ch\w+ [^✓✗•]*[^✓✗•\s])", said)


def follow(commands, **places):
    """Start the one command that was said, with values for what it leaves to the reader."""
    [found] = {one or other for one, other in commands}
    words = [places.get(word, word) for word in shlex.split(found)]
    if words[0] == "calyx":
        try:
            code = run(words[1:])
        except SystemExit as ended:  # argparse's way to show its help
            code = ended.code
        assert code == 0, found
    else:
        subprocess.run(["bash", "-c", found], check=True)


def test_a_server_without_keys_is_told_the_command_that_makes_them(here, capsys):
    server = ("server", "--keys", "my keys", "--port", "0", "--control-port", "0")
    follow(advised(capsys, *server, code=2), HOST="localhost")
    assert {path.name for path in Path("my keys").iterdir()} >= {
        "ca.crt",
        "server.crt",
        "server.key",
    }
    assert run(server) == 2
    assert "no folder nodes with the sites' .node.pub" in capsys.readouterr().err


def test_what_others_may_read_is_closed_by_the_command_that_a_doctor_says(here, capsys):
    for words in (["init", "--host", "localhost", "--folder", "my keys"], ["site", "north"]):
        assert run(["keys", *words]) == 0
    Path("nodes").mkdir()
    Path("nodes", "north.node.pub").write_bytes(Path("north.node.pub").read_bytes())
    Path("my keys", "server.key").chmod(0o644)
    doctor = ("doctor", "server", "--keys", "my keys", "--port", "0", "--control-port", "0")
    follow(advised(capsys, *doctor, code=1)[:1])
    assert Path("my keys", "server.key").stat().st_mode & 0o777 == 0o600
    Path("server-state").mkdir(mode=0o755)
    follow(advised(capsys, *doctor, code=1)[:1])
    assert Path("server-state").stat().st_mode & 0o777 == 0o700
    assert run(doctor) == 0


@pytest.mark.parametrize(
    "words",
    [
        "simulate foo=1",  # `calyx simulate --cfg job` shows all
        "simulate --nope",
        "simulate privacy.groups=all",  # `calyx doctor privacy clients=10`
        "audit foo",
        "keys",
        "predict",
    ],
)
def test_a_command_that_a_sentence_names_does_what_it_is_named_for(here, capfd, words):
    commands = advised(capfd, *words.split(), code=2)
    follow(commands)
    assert len(capfd.readouterr().out) > 100


def test_words_of_a_command_can_be_pasted_into_a_shell():
    words = ["it's", "a b", "$HOME", "~/x", "größe", "a=b", "*", "`ls`", 'x"y', "plain"]
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {quote_command(*words)}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.splitlines() == words
