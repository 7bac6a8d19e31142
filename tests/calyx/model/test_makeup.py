"""What a model's tensors are follows from the model, not from names or the order of registration."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from calyx.errors import ConfigError
from calyx.model.makeup import check_left, clip_variances, find_left_behind, makeup_of
from calyx.model.weights import initial_model


class Positioned(nn.Module):
    """With a constant, a frozen parameter, and normalisation under a name of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("code", torch.linspace(-1, 1, 3))
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.calm = nn.BatchNorm1d(3)
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.calm(x * self.frozen + self.code))


def test_parameters_are_what_a_gradient_moves_and_all_other_floats_are_still():
    makeup = makeup_of(Positioned(), 3)
    assert makeup.trained == {"calm.weight", "calm.bias", "out.weight", "out.bias"}
    assert makeup.still == {"code", "frozen", "calm.running_mean", "calm.running_var"}
    assert makeup.variances == {"calm.running_var"}
    assert makeup.left == makeup.plain == makeup.counted == ()


def test_a_look_leaves_the_model_as_it_is():
    model = Positioned().eval()
    makeup_of(model, 3)
    assert not model.training
    assert model.calm.num_batches_tracked == 0


class HeadFirst(nn.Module):
    """It registers its layers in the reverse order, and a scale that is no layer's."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(4))
        self.body = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.body(x) * self.scale)


class Tempered(HeadFirst):
    """What comes after the last layer goes with it."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return super().forward(x) * self.temperature


class Tied(nn.Module):
    """The last matrix is the first one, too."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.middle = nn.Linear(3, 3)
        self.last = nn.Linear(3, 3)
        self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(self.middle(self.first(x)))


@pytest.mark.parametrize(
    ("model", "head"),
    [
        (HeadFirst(), ["head.weight", "head.bias"]),
        (Tempered(), ["temperature", "head.weight", "head.bias"]),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), ["2.weight", "2.bias"]),
        (
            nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)),
            ["0.weight", "0.bias", "1.weight", "1.bias"],
        ),
        (nn.Linear(3, 2), ["weight", "bias"]),
        (
            nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.Linear(2, 2)),
            [],  # it takes no float32 rows
        ),
    ],
)
def test_the_last_layer_is_the_one_that_is_computed_last(model, head):
    assert list(makeup_of(model, 3).head) == head


def test_a_matrix_under_two_names_is_last_under_both():
    assert set(makeup_of(Tied(), 3).head) == {"first.weight", "first.bias"} | {
        "last.weight",
        "last.bias",
    }


class Counter(nn.Module):
    """`kind` says what it counts in; training moves it."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(3, 2)
        self.register_buffer("total", torch.zeros(3))
        match kind:
            case "integer":
                self.register_buffer("count", torch.zeros((), dtype=torch.int64))
            case "flag":
                self.register_buffer("count", torch.tensor(False))
            case "transient":
                self.register_buffer("count", torch.zeros(()), persistent=False)
            case "float":
                self.register_buffer("count", torch.zeros(()))
            case "attribute":
                self.count = 0

    def forward(self, x):
        if self.training:
            self.total += x.sum(0)
            if self.kind == "attribute":
                self.count += len(x)
            else:
                self.count.copy_(self.count + len(x))
        return self.layer(x - self.total / max(1, float(self.count)))


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("integer", "count (int64)"),
        ("flag", "count (bool)"),
        ("transient", "count (float32)"),
        ("float", None),
    ],
)
def test_what_training_moves_and_nobody_sends_is_named(kind, left):
    """Of two halves, a sum and a count, both must travel: their means have the same ratio."""
    makeup = makeup_of(Counter(kind), 3)
    assert makeup.left == ((left,) if left else ())
    if left:
        with pytest.raises(
            ConfigError, match=rf"{left[:5]}.* does not travel, and training moves it"
        ):
            check_left(makeup.left)
    check_left(())


def test_a_plain_number_that_training_moves_is_named_apart():
    makeup = makeup_of(Counter("attribute"), 3)
    assert (makeup.left, makeup.plain) == ((), ("count",))


@pytest.mark.parametrize(
    ("norm", "counted"),
    [
        (nn.BatchNorm1d(3), ()),
        (nn.SyncBatchNorm(3), ()),
        (nn.BatchNorm1d(3, momentum=None), ("0.num_batches_tracked",)),
        (nn.BatchNorm1d(3, track_running_stats=False), ()),
    ],
)
def test_a_count_of_batches_decides_no_prediction(norm, counted):
    makeup = makeup_of(nn.Sequential(norm, nn.Linear(3, 2)), 3)
    assert (makeup.left, makeup.counted) == ((), counted)


def test_a_buffer_that_only_real_rows_move_is_found_after_training():
    before, after = Counter("integer"), Counter("integer")
    assert find_left_behind(before, after) == []
    after.count = after.count + 0.5  # which makes it a float on the way
    assert find_left_behind(before, after) == ["count (int64)"]


def test_a_constant_of_nan_has_not_moved():
    before, after = Counter("transient"), Counter("transient")
    before.count.fill_(float("nan")), after.count.fill_(float("nan"))
    assert find_left_behind(before, after) == []


def test_a_variance_that_rounding_took_below_zero_is_zero():
    weights = {"v": np.float32([-1e-7, 2]), "w": np.float32([-1])}
    found = clip_variances(weights, frozenset({"v"}))
    assert found["v"].tolist() == [0, 2]
    assert found["w"] is weights["w"]


class Extra(nn.Linear):
    """With a state that is no tensor."""

    def get_extra_state(self):
        return {"steps": 3}


class Made:
    """A task as far as a model goes."""

    name = "made"

    def __init__(self, model):
        self.model = lambda num_inputs: model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.LazyLinear(2), "weight has no size yet"),
        (nn.Linear(3, 2).bfloat16(), "weight is dense bfloat16"),
        (nn.Linear(3, 2).half(), "weight is dense float16"),
        (nn.Linear(3, 2, dtype=torch.complex64), "weight is dense complex64"),
        (Extra(3, 2), "_extra_state is no tensor"),
    ],
)
def test_a_model_that_cannot_be_sent_is_refused_in_one_sentence(model, words):
    with pytest.raises(ConfigError, match=f"The model of task=made cannot be used: {words}"):
        initial_model(Made(model), 3, 1)


def test_what_the_layer_computes_is_what_counts_not_its_class():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.top = nn.Parameter(torch.ones(2, 3))
            self.bottom = nn.Parameter(torch.ones(3, 3))

        def forward(self, x):
            return functional.linear(functional.linear(x, self.bottom), self.top)

    assert makeup_of(Functional(), 3).head == ("top",)
