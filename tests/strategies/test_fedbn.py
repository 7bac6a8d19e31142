"""FedBN, Li et al. 2021: what stays at home is trained there and never sent."""

import numpy as np
import pytest
from torch import nn

from calyx.config import parse
from calyx.errors import ConfigError
from calyx.weights import weights_of
from strategies.fedbn import FedBNLocal

NET = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
NAMES = [k for k, v in weights_of(NET).items() if v.dtype.kind == "f"]


@pytest.mark.parametrize(
    ("keep", "shared"),
    [
        ("norm", ["0.weight", "0.bias", "3.weight", "3.bias"]),
        ("last", [name for name in NAMES if not name.startswith("3")]),
        (["*.bias"], [name for name in NAMES if not name.endswith("bias")]),
    ],
)
def test_what_matches_is_not_shared(keep, shared):
    assert list(parse(FedBNLocal, {"keep": keep}, "").shared(NAMES)) == shared


@pytest.mark.parametrize(("keep", "words"), [(["x*"], "no tensor"), (["*"], "every tensor")])
def test_to_keep_nothing_or_all_is_refused(keep, words):
    with pytest.raises(ValueError, match=words):
        parse(FedBNLocal, {"keep": keep}, "").shared(NAMES)


def test_a_word_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"strategy\.local\.keep"):
        parse(FedBNLocal, {"keep": "first"}, "strategy.local")


def test_a_client_trains_its_own_layers_in_the_global_model():
    local = FedBNLocal(keep="norm")
    model = weights_of(NET)
    own = {"1.weight": np.full(4, 7, np.float32)}
    localised = local.localised(model, own)
    assert (localised["1.weight"] == 7).all()
    assert localised["0.weight"] is model["0.weight"]
    assert list(localised) == list(model)
