"""A study that somebody else has made cannot call anything by what it says of CMA-ES."""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("optuna")

from optuna.samplers import CmaEsSampler

from calyx.cli.sweep.careful_cmaes import CarefulCmaEs, read_state
from calyx.errors import UserError


class Planted:
    def __reduce__(self):
        return os.mkdir, ("planted",)


def restored(data):
    """As Optuna keeps it: in hex, cut into attributes of a trial."""
    text = data.hex()
    attrs = {"cma:optimizer:0": text[:7], "cma:optimizer:1": text[7:], "cma:generation": 3}
    trials = [SimpleNamespace(system_attrs=attrs, number=4), SimpleNamespace(system_attrs={})]
    return CarefulCmaEs._restore_optimizer(None, trials)


def test_what_such_a_state_is_made_of_comes_back():
    rng = np.random.RandomState(3)
    state = {"mean": np.arange(3.0), "rng": rng, "step": np.float64(0.5), "order": "C"}
    found = restored(pickle.dumps(state))
    assert (found["mean"].tolist(), found["step"]) == ([0.0, 1.0, 2.0], 0.5)
    assert found["rng"].random_sample() == np.random.RandomState(3).random_sample()


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Planted()),
        b"cnumpy\nndarray.tofile\n.",
        b"cbuiltins\neval\n(V1\ntR.",
        b"",
        b"\x80\x05cut",
    ],
)
def test_anything_else_is_refused_and_not_called(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="CMA-ES in trial 4 of the study is none"):
        restored(data)
    assert list(tmp_path.iterdir()) == []


def test_optuna_reads_it_where_we_do():
    assert CarefulCmaEs._restore_optimizer is not CmaEsSampler._restore_optimizer
    assert read_state(pickle.dumps(None), 0) is None
