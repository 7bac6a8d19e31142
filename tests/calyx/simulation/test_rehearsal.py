"""What is another each time though the seed is the same is said before a run, or refused."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from calyx.composing.compose import compose, resolve
from calyx.data.schema import Part, Table
from calyx.errors import ConfigError
from calyx.run.order import terms_of
from calyx.simulation import rehearsal
from calyx.simulation.planning import plan
from calyx.simulation.rehearsal import Found, look, rehearsal_of, rehearse
from calyx.simulation.trial import some
from calyx.simulation.workers import WorkerPool
from calyx.tasks.digits import Digits
from client.config import node_config, read_site
from client.rows.data import read_rows


@pytest.fixture(scope="module")
def checked():
    """A plan of three clients of digits."""
    return plan(resolve(compose(["task.num_clients=3", "privacy=none", "engine.workers=0"])))


@pytest.fixture
def asked(checked):
    return rehearsal_of(checked)


def test_a_regression_is_rehearsed_on_its_exact_targets():
    """Targets stand beside their float32 form in a part; both are cut to the batch."""
    part = Part(np.zeros((5, 1), np.float32), np.zeros(5, np.float32), 0, np.arange(5.0))
    assert some(part, 3).exact.tolist() == [0, 1, 2]


class Net(nn.Module):
    """It does what `kind` says."""

    def __init__(self, kind, width):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(width, 10, dtype=torch.float64 if kind == "double" else None)
        self.register_buffer("bright", torch.zeros((), dtype=torch.int64))
        if kind == "begin":
            nn.init.constant_(self.layer.bias, np.random.default_rng().random())

    def forward(self, x):
        noise = float(np.random.default_rng().random())
        if self.kind == ("train" if self.training else "judge"):
            x = x + noise
        if self.kind == "count" and self.training:
            self.bright += int(((x > 0) & (x < 1)).sum())  # no row of zeros and ones shows it
        return self.layer(x)


def test_what_repeats_is_not_spoken_of(asked):
    assert look(asked) == Found()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("train", "Training begins alike and ends differently each time: the same seed will not"),
        ("judge", "The same model on the same rows is judged differently each time"),
    ],
)
def test_unseeded_noise_is_said_with_where_it_is(asked, monkeypatch, kind, words):
    monkeypatch.setattr(Digits, "model", lambda self, width: Net(kind, width))
    (said,) = look(asked).said
    assert said.startswith(words)
    assert "numpy.random.default_rng()" in said


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("begin", "The model of task=digits begins with other weights each time that it is made"),
        ("count", "The model's bright (int64) does not travel, and training moves it"),
        (
            "double",
            "The model of task=digits cannot be trained on its clients' rows, with a batch of",
        ),
    ],
)
def test_what_would_fail_or_be_wrong_is_refused_before_the_run(
    asked, checked, monkeypatch, kind, words
):
    monkeypatch.setattr(Digits, "model", lambda self, width: Net(kind, width))
    assert look(asked).refused.startswith(words)
    with pytest.raises(ConfigError), WorkerPool(0) as pool:
        rehearse(pool, checked)


def test_a_buffer_that_moves_farther_than_is_sent_of_it_is_said(asked, monkeypatch):
    """A count that is cut no longer fits the sum beside it."""

    def model(self, width):
        net = nn.Linear(width, 10)
        net.register_buffer("count", torch.zeros(()))
        net.register_buffer("mean", torch.zeros(width))
        net.register_forward_hook(lambda net, x, y: net.count.add_(len(x[0])) and None)
        return net

    monkeypatch.setattr(Digits, "model", model)
    found = look(asked)
    assert found.refused == ""
    (said,) = found.cut
    assert found.said == ()
    rows = asked.terms.training["batch_size"]
    assert f"One batch moves the model's count by {rows}, and what is sent" in said
    assert "privacy.clip=0.2:" in said


def test_rows_that_are_others_each_time_are_said(asked, monkeypatch):
    def load(self, client, data_dir, seed):
        return Table(np.random.default_rng().random((20, 64)), np.arange(20) % 10)

    monkeypatch.setattr(Digits, "load", load)
    (said,) = look(replace(asked, is_trained=False)).said
    assert "are others each time they are loaded: the same seed will not give" in said


TASK = """
import numpy as np
from calyx.data.schema import Column, Schema, Table


class Worded:
    name, w_max, clients = "NAME", 64, ("a",)
    schema = Schema((Column("x", "numeric"),), ("no", "yes"))

    def __init__(self, section): ...

    def load(self, client, data_dir, seed):
        words = [w for w in WORDS]
        return Table(np.array([[float(len(w))] for w in words]), np.arange(len(words)) % 2)

    def model(self, num_inputs): ...
"""


@pytest.mark.parametrize(
    ("words", "repeats"), [("{'x' * i for i in range(40)}", False), ("sorted({'a', 'bb'})", True)]
)
def test_rows_in_the_order_of_a_set_are_others_in_another_process(
    tmp_path, monkeypatch, words, repeats
):
    name = f"worded_{repeats}".lower()
    (tmp_path / f"{name}.py").write_text(TASK.replace("WORDS", words).replace("NAME", name))
    info = tmp_path / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[calyx.tasks]\n{name} = {name}:Worded\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    config = resolve(compose(["task.num_clients=3"]))
    terms = replace(terms_of(config), task={"name": name})
    site = read_site(node_config("a", config["client"]))
    version = read_rows(terms, "a", None).version
    assert rehearsal._repeats_elsewhere(terms, site, version) is repeats
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert rehearsal._repeats_elsewhere(terms, site, "")  # whoever sets it knows
