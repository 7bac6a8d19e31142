"""From answers to vectors: what is cut is counted, and a list of clients is each client alone."""

from dataclasses import replace

import numpy as np
import pytest
from support.federation import config_of

from calyx.config.section import parse
from calyx.model.metrics import CAPPED, CLIPPED
from calyx.privacy.section import PrivacyConfig
from calyx.vector.contribution import Contribution, Layout
from client.failures import ClientFailure
from client.learning.contribution import bound, contribute
from client.learning.judgement import judge
from client.learning.preparation import prepare
from client.learning.update import learn

PRIVACY = parse(PrivacyConfig, config_of("privacy=none")["privacy"], "privacy")


def segment(*counts, w_max=8):
    return Layout(PRIVACY.fixed_point(), w_max, (("w", (3,)),), (), counts)


def test_what_an_update_is_cut_by_is_counted_beside_what_the_strategy_cut():
    clip = PRIVACY.clip
    update = {"w": np.array([2 * clip, -clip, -1.5 * clip], np.float32)}
    part = Contribution(9, update, {}, {CLIPPED.name: np.array([4])})
    counts = bound(part, segment(CLIPPED, CAPPED), PRIVACY).counts
    assert {name: cells.tolist() for name, cells in counts.items()} == {
        "clipped": [4 + 2],  # −clip itself is within
        "capped": [1],  # nine rows, of which eight count
    }
    assert bound(replace(part, num_examples=8), segment(CLIPPED, CAPPED), PRIVACY).counts[
        "capped"
    ].tolist() == [0]


def test_what_cuts_nothing_is_left_alone():
    part = Contribution(9, {}, {}, {"rows": np.array([9])})
    assert bound(part, segment(), PRIVACY) is part


def test_clients_of_one_list_answer_as_each_would_alone(assignments):
    together = contribute(assignments, learn(prepare(assignments)))
    alone = [contribute([one], learn(prepare([one])))[0] for one in assignments]
    assert [vector.tobytes() for vector in together] == [vector.tobytes() for vector in alone]
    assert len({vector.tobytes() for vector in alone}) == 3


def test_a_training_validates_what_an_evaluation_of_the_round_before_judges(assignments):
    (_, validation), *_ = learn(prepare(assignments))
    first = prepare(assignments)[0]
    order = replace(first.assignment.order, kind="evaluate", round=0)
    ((evaluation,),) = judge([replace(first, assignment=replace(first.assignment, order=order))])
    assert {k: v.tolist() for k, v in validation.counts.items()} == {
        k: v.tolist() for k, v in evaluation.counts.items()
    }


def test_an_update_that_is_not_finite_is_the_clients_failure(assignments):
    answers = learn(prepare(assignments[:1]))
    (update, validation), *_ = answers
    broken = replace(update, update={k: v * np.nan for k, v in update.update.items()})
    with pytest.raises(ClientFailure) as caught:
        contribute(assignments[:1], [(broken, validation)])
    assert caught.value.code.value == "non-finite-update"
