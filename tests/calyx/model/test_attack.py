"""Rows that are moved against a model: as foolbox moves them, and never to where no row can be."""

import foolbox
import numpy as np
import pytest
import torch
from torch import nn

from calyx.data.schema import Column, Schema, Table
from calyx.errors import ConfigError
from calyx.model.attack import Attack
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import apply, fit
from calyx.preprocessing.room import Room, check_room, room_of

EPSILON = 0.15


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


def batch():
    torch.manual_seed(4)
    return torch.rand(40, 6), torch.arange(40) % 3


def attack(steps, step_size, *, is_random=False, epsilon=EPSILON, low=0.0, high=1.0):
    ends = torch.full((6,), low), torch.full((6,), high), torch.full((6, 2), 6)
    return Attack(epsilon, steps, step_size, is_random, *ends)


def draw():
    return np.random.default_rng(0)


def theirs(kind, x, y):
    model = foolbox.PyTorchModel(network(), bounds=(0, 1), device="cpu")
    moved, _, _ = kind(model, x, foolbox.criteria.Misclassification(y), epsilons=EPSILON)
    return moved


def test_one_step_is_foolboxs_fast_gradient_attack():
    x, y = batch()
    moved = attack(1, EPSILON).move(network(), x, y, draw())
    kind = foolbox.attacks.LinfFastGradientAttack()
    assert torch.allclose(moved, theirs(kind, x, y), rtol=0, atol=1e-7)


def test_steps_from_the_row_itself_are_foolboxs_projected_descent():
    x, y = batch()
    moved = attack(12, 0.04).move(network(), x, y, draw())
    kind = foolbox.attacks.LinfPGD(abs_stepsize=0.04, steps=12, random_start=False)
    assert torch.allclose(moved, theirs(kind, x, y), rtol=0, atol=1e-6)


def test_an_epsilon_of_nothing_moves_nothing():
    x, y = batch()
    assert torch.equal(attack(1, 0.0, epsilon=0.0).move(network(), x, y, draw()), x)


def test_a_random_start_follows_from_the_draw_and_stays_in_ball_and_range():
    x, y = batch()
    one, same = (attack(4, 0.05, is_random=True).move(network(), x, y, draw()) for _ in range(2))
    assert torch.equal(one, same)
    other = attack(4, 0.05, is_random=True).move(network(), x, y, np.random.default_rng(1))
    assert not torch.equal(one, other)
    assert float((one - x).abs().max()) <= EPSILON + 1e-6
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_a_row_outside_its_range_is_not_moved_further_out_nor_torn_in():
    x, y = batch()
    moved = attack(5, 0.1, low=0.4, high=0.6).move(network(), x, y, draw())
    outside = (x < 0.4) | (x > 0.6)
    assert bool((moved >= torch.minimum(x, torch.tensor(0.4))).all())
    assert bool((moved <= torch.maximum(x, torch.tensor(0.6))).all())
    assert float((moved - x)[outside].abs().max()) <= EPSILON + 1e-6


def test_a_model_whose_outputs_have_no_gradient_by_its_inputs_is_refused():
    class Rounds(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x.detach()[:, :2] * self.weight

    x, y = batch()
    with pytest.raises(ConfigError, match="no gradient by its inputs"):
        attack(1, EPSILON).move(Rounds(), x, y.clamp(max=1), draw())


def test_where_the_loss_is_not_finite_an_input_stays():
    x, y = batch()
    moved = attack(3, 0.1).move(lambda rows: network()(rows) * torch.inf, x, y, draw())
    assert torch.equal(moved, x)


SCHEMA = Schema(
    (
        Column("age", "numeric", low=0, high=100, may_be_missing=True),
        Column("sex", "categorical", categories=(0.0, 1.0)),
        Column("grade", "ordinal", categories=(1.0, 2.0, 3.0)),
        Column("ink", "image", low=0, high=16),
    ),
    ("no", "yes"),
)


def preprocessing(**other):
    values = {
        "name": "local",
        "numeric_imputation": "median",
        "categorical_imputation": "mode",
        "fill_value": 0.0,
        "scaling": "standard",
        "outliers": "keep",
        "iqr_factor": 1.5,
    }
    return PreprocessingConfig(**(values | other))


def table():
    ages = [20.0, 30.0, 40.0, 50.0, 60.0, np.nan]
    cells = [[age, i % 2, 1 + i % 3, float(i)] for i, age in enumerate(ages)]
    return Table(np.array(cells), np.array([0, 1, 0, 1, 0, 1]))


def test_the_room_is_the_schemas_range_in_units_of_the_inputs():
    fitted = fit(table(), SCHEMA, preprocessing())
    room = room_of(fitted)
    # age, age is missing, sex=0, sex=1, grade, ink: the order of `feature_names`, marks behind values.
    age = fitted.columns[0]
    assert room.low.tolist() == pytest.approx([-age.mean / age.scale, 0, 0, 0, 0, 0])
    assert room.high.tolist() == pytest.approx([(100 - age.mean) / age.scale, 0, 0, 0, 0, 16])
    assert room.marks[0].tolist() == [6, 1]


def test_codes_ranks_marks_and_what_is_missing_stay():
    fitted = fit(table(), SCHEMA, preprocessing())
    x = torch.from_numpy(apply(fitted, table()))
    y = torch.from_numpy(table().y)
    ends = [torch.from_numpy(one) for one in vars(room_of(fitted)).values()]
    moved = Attack(0.25, 1, 0.25, False, *ends).move(network(), x, y, draw())
    assert torch.equal(moved[:, 1:5], x[:, 1:5])
    assert bool((moved[:5, 0] != x[:5, 0]).all())
    assert moved[5, 0] == x[5, 0]  # the age is missing: the fill is all that such a row can have
    assert bool((moved[:, 5] != x[:, 5])[1:].all())


@pytest.mark.parametrize(("outliers", "marks"), [("clip", [6, 1]), ("flag", [1, 2])])
def test_bounds_of_outliers_bound_what_is_moved(outliers, marks):
    fitted = fit(table(), SCHEMA, preprocessing(outliers=outliers, iqr_factor=0.1))
    age, room = fitted.columns[0], room_of(fitted)
    assert room.low[0] == pytest.approx((age.low - age.mean) / age.scale)
    assert room.high[0] == pytest.approx((age.high - age.mean) / age.scale)
    assert room.marks[0].tolist() == marks


def test_a_task_without_pixels_or_scaled_numbers_is_refused_with_the_key():
    words = Schema((Column("word", "text"),), ("no", "yes"))
    with pytest.raises(ConfigError, match=r"robust\.every moves pixels and scaled numbers"):
        check_room(words, preprocessing(), "robust.every")
    numbers = Schema((Column("age", "numeric", low=0, high=9),), ("no", "yes"))
    with pytest.raises(ConfigError, match=r"Set preprocessing\.scaling=standard"):
        check_room(numbers, preprocessing(scaling="none"), "robust.every")


def test_a_column_without_a_range_is_refused_by_name():
    schema = Schema((Column("age", "numeric", low=0),), ("no", "yes"))
    with pytest.raises(ConfigError, match="the column age has no high"):
        check_room(schema, preprocessing(), "strategy.local.adversarial")


def test_an_empty_room_holds_no_row_back():
    room = Room(np.zeros(6, np.float32), np.zeros(6, np.float32), np.full((6, 2), 6))
    x, y = batch()
    ends = [torch.from_numpy(one) for one in vars(room).values()]
    assert torch.equal(Attack(EPSILON, 1, EPSILON, False, *ends).move(network(), x, y, draw()), x)
