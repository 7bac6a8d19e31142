"""Warnings of what a member may have done: right at the edges that docs/secagg.md §13 names."""

import numpy as np
import pytest

from calyx.vector.contribution import Aggregate
from server.exchange.watch import Watch

NAMES = ("a", "b", "c")


def training(mean, weight=30):
    return Aggregate(weight, {"w": np.array(mean)}, {"loss": 1.0}, {})


def evaluation(rows, labels, untrained=0):
    return Aggregate(3, {}, {}, {"rows": [rows], "labels": labels, "untrained": [untrained]})


def test_a_mean_of_which_more_than_a_hundredth_is_near_the_clip_is_said():
    honest = np.zeros(200)
    honest[:2] = 0.19  # 1 % beyond 0.9 · 0.2
    assert Watch().of_training(NAMES, training(honest), clip=0.2) == []
    honest[2] = -0.181
    (said,) = Watch().of_training(NAMES, training(honest), clip=0.2)
    assert said.startswith("3 of 200 coordinates")


def test_half_of_the_coordinates_that_move_one_way_are_said():
    """One of ten at −0.2 everywhere moves each mean coordinate by −0.02 (H1, H2)."""
    honest = np.random.default_rng(7).normal(0, 0.05, 1001)
    assert Watch().of_training(NAMES, training(honest), clip=0.2) == []
    (said,) = Watch().of_training(NAMES, training(0.9 * honest - 0.02), clip=0.2)
    assert said.startswith("half of the 1001 coordinates of its mean update move by -0.02")
    assert (
        Watch().of_training(NAMES, training(np.full(99, -0.02)), clip=0.2) == []
    )  # too few to tell


def test_rows_and_labels_of_the_same_clients_do_not_change():
    watch = Watch()
    assert watch.of_training(NAMES, training([0.0]), 1.0) == []
    assert watch.of_training(NAMES[:2], training([0.0], weight=20), 1.0) == []
    assert watch.of_training(NAMES, training([0.0], weight=31), 1.0) != []
    assert watch.of_evaluation("validation", NAMES, evaluation(10, [4, 6])) == []
    assert watch.of_evaluation("test", NAMES, evaluation(12, [6, 6])) == []
    assert watch.of_evaluation("validation", NAMES, evaluation(10, [4, 6])) == []
    assert watch.of_evaluation("validation", NAMES, evaluation(10, [5, 5])) != []
    assert watch.of_evaluation("validation", NAMES, evaluation(3, [1, 2], untrained=2)) == []


def test_far_more_rows_than_are_trained_on_are_said():
    """A member may count 2^20 rows of a loss of 64, in every round alike (H7)."""
    watch, capped = Watch(), Aggregate(30, {}, {}, {"capped": [1]})
    watch.of_training(NAMES, Aggregate(30, {}, {}, {"capped": [0]}), 1.0)
    watch.of_training(NAMES[:2], capped, 1.0)
    assert watch.of_evaluation("test", NAMES, evaluation(300, [300])) == []
    (said,) = watch.of_evaluation("validation", NAMES, evaluation(301, [301]))
    assert said == "301 validation rows are counted, and the same clients train on 30"
    assert watch.of_evaluation("validation", NAMES[:2], evaluation(2**20, [2**20])) == []


def test_a_step_of_more_than_four_times_the_usual_is_said():
    watch, at = Watch(), 0.0
    for length in (1.0, 1.0, 2.0, 1.0, 1.0):
        assert watch.of_step({"w": np.array([at])}, {"w": np.array([at + length])}) == []
        at += length
    assert watch.of_step({"w": np.array([at])}, {"w": np.array([at + 4.0])}) == []
    (said,) = watch.of_step({"w": np.array([at])}, {"w": np.array([at + 4.1])})
    assert said == "the model moved by 4.1, and by 1 in the rounds before"


@pytest.mark.parametrize(
    ("losses", "number"),
    [([0.4, 0.95], 1), ([0.4, 0.9], 0), ([2.0, 3.9], 0), ([2.0, 4.1], 1), ([0.1, None, 0.7], 1)],
)
def test_a_loss_that_doubles_and_rises_by_half_is_said(losses, number):
    watch = Watch()
    assert sum(len(watch.of_loss(loss)) for loss in losses) == number
