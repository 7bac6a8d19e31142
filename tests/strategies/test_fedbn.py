"""FedBN, Li et al. 2021: what stays at home is trained there and never sent."""

import numpy as np
import pytest
from torch import nn

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.model.makeup import Makeup, makeup_of
from calyx.model.weights import weights_of
from strategies.fedbn import FedBNLocal
from strategies.local import contents_of, select_unkept

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


class HeadFirst(nn.Module):
    """The head is registered before the body."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(4, 2), nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.body(x).relu())


def test_the_last_layer_follows_from_the_computation_and_not_from_the_order_of_names():
    makeup = makeup_of(HeadFirst(), 3)
    names = [name for name, _ in makeup.shapes]
    shared = FedBNLocal(keep="last").suited(makeup).shared(names)
    assert list(shared) == ["body.weight", "body.bias"]


def test_where_the_computation_cannot_be_seen_the_names_must_be_given():
    makeup = Makeup(weights_of(NET), frozenset(NAMES))
    with pytest.raises(ConfigError, match=r"keep=last needs a model .* name the tensors in a list"):
        contents_of(None, makeup, FedBNLocal(keep="last"), {})
    assert FedBNLocal(keep="norm").suited(makeup).keep == "norm"


def test_a_model_that_is_a_normalisation_is_one_at_its_root():
    kept = FedBNLocal(keep="norm")._kept(["weight", "bias", "running_mean", "running_var"])
    assert kept == {"weight", "bias", "running_mean", "running_var"}


def test_a_counter_stays_where_all_of_its_layer_stays():
    floats = {"a.total": (), "b.total": ()}
    left = ("a.count (int64)", "b.count (int64)", "count (int64)")
    assert select_unkept(left, floats, ["b.total"]) == ("b.count (int64)", "count (int64)")
