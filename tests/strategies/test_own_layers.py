"""Whose model a client evaluates, and whether it has all that belongs to it: by the interface."""

import numpy as np
import pytest
from torch import nn

from calyx.model.makeup import makeup_of
from calyx.questions.segments import Contents
from strategies.ditto import DittoLocal
from strategies.fedbn import FedBNLocal
from strategies.local import LocalObjective
from strategies.scaffold import ScaffoldLocal

NET = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
MAKEUP = makeup_of(NET, 3)
NORM = {k: v for k, v in MAKEUP.weights.items() if k.startswith("1.")}


class Mixed(LocalObjective):
    """Somebody's own: all is sent, and what is evaluated is the half of both models."""

    has_state = True

    def localised(self, model, own):
        return {k: (v + own.get(k, v)) / 2 for k, v in model.items()}


@pytest.mark.parametrize(
    ("objective", "own", "is_complete"),
    [
        (LocalObjective(), {}, True),  # there is one model
        (ScaffoldLocal(), {}, True),  # what it keeps is no model
        (DittoLocal(lam=1.0), {}, True),  # its common model is whole; the personal one is beside it
        (FedBNLocal(keep="norm"), {}, False),
        (FedBNLocal(keep="norm"), NORM, True),
        (
            FedBNLocal(keep="norm"),
            {k: NORM[k] for k in ("1.weight", "1.bias")},
            False,
        ),  # no statistics
        (FedBNLocal(keep="last"), NORM, False),
        (FedBNLocal(keep=("*.bias",)), {"0.bias": np.zeros(4, np.float32)}, False),
        (Mixed(), {}, False),
        (Mixed(), {"0.bias": np.zeros(4, np.float32)}, True),
    ],
)
def test_layers_that_are_missing_make_no_model(objective, own, is_complete):
    assert objective.has_layers(MAKEUP, own) is is_complete


@pytest.mark.parametrize(
    ("objective", "models"),
    [
        (LocalObjective(), "common"),
        (ScaffoldLocal(), "common"),
        (DittoLocal(lam=0.0), "both"),
        (FedBNLocal(keep="norm"), "own"),
        (Mixed(), "own"),
    ],
)
def test_whose_figures_are_told_follows_from_the_interface(objective, models):
    contents = Contents(
        task=None,
        tensors=(),
        has_personal=objective.personal() is not None,
        is_localised=objective.is_localised(MAKEUP),
    )
    assert contents.models == models
