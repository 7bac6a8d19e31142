"""Several models that answer as one. Oracles: scikit-learn's VotingClassifier, and arithmetic by hand."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder
from support.releases import CONSTANTS, PREPROCESSING, SCHEMA, SECTION, model_bytes

from calyx.errors import UserError
from calyx.model.combining import combine_outputs
from calyx.model.ensemble import ensemble_bytes, load_models
from calyx.model.released import describe, load_bytes
from calyx.preprocessing.constants import fit_by_config
from calyx.releases.predictor import MODEL, load_predictor

PATH = Path(MODEL)


def member(seed):
    model = load_bytes(model_bytes(seed), PATH)
    return model, describe(model.task, SECTION, PREPROCESSING)


def rows(count=200):
    """Rows [N, C] in the heart task's ranges."""
    draw = np.random.default_rng(5)
    columns = [
        draw.uniform(c.low, c.high, count)
        if c.kind == "numeric"
        else draw.choice(c.categories, count)
        for c in SCHEMA.columns
    ]
    return np.stack(columns, axis=1)


class Known(ClassifierMixin, BaseEstimator):
    """A classifier of rows that are numbers of rows, whose probabilities [N, K] are known."""

    def __init__(self, outputs):
        self.outputs = outputs

    def predict_proba(self, numbers):
        return self.outputs[numbers[:, 0]]

    def predict(self, numbers):
        return self.predict_proba(numbers).argmax(axis=1)


def sklearns(outputs, voting):
    names = [(str(i), Known(one)) for i, one in enumerate(outputs)]
    vote = VotingClassifier(names, voting=voting)
    vote.estimators_ = [one for _, one in names]
    vote.le_ = LabelEncoder().fit(range(outputs.shape[2]))
    vote.classes_ = vote.le_.classes_
    return vote


def test_mean_and_vote_are_those_of_scikit_learn():
    outputs = np.random.default_rng(3).dirichlet(np.ones(2), size=(5, 300))  # odd: no vote ties
    numbers = np.arange(300)[:, None]
    soft, hard = sklearns(outputs, "soft"), sklearns(outputs, "hard")
    mean = combine_outputs(outputs, "mean")
    np.testing.assert_allclose(mean, soft.predict_proba(numbers))
    assert (combine_outputs(outputs, "vote").argmax(axis=1) == hard.predict(numbers)).all()


def test_a_tied_vote_is_the_likelier_class_and_then_the_first():
    one, other = [0.9, 0.1, 0.0], [0.2, 0.8, 0.0]
    combined = combine_outputs(np.array([[one, [0.7, 0.3, 0]], [other, [0.3, 0.7, 0]]]), "vote")
    # One vote each, and their mean (0.55, 0.45, 0) or (0.5, 0.5, 0) as a third.
    np.testing.assert_allclose(combined, [[1.55 / 3, 1.45 / 3, 0], [0.5, 0.5, 0]])
    assert combined.argmax(axis=1).tolist() == [0, 0]


def test_a_member_without_a_finite_number_is_not_passed_over():
    outputs = np.array([[[0.5, 0.5], [0.1, 0.9]], [[np.nan, 0.5], [0.3, 0.7]]])
    for how in ("mean", "vote"):
        assert np.isnan(combine_outputs(outputs, how)).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("combine", ["mean", "vote"])
def test_one_file_answers_as_its_members_together(combine):
    halved = tuple((*r[:4], r[4] / (1 if r[4] == 1 else 2)) for r in CONSTANTS)  # another scale
    other, said = member(2)
    other = replace(other, fitted=fit_by_config(SCHEMA, replace(PREPROCESSING, fitted=(halved,))))
    data = ensemble_bytes([member(0), member(1), (other, said)], combine)
    alone = [load_bytes(model_bytes(0), PATH), load_bytes(model_bytes(1), PATH), other]
    wanted = combine_outputs(np.stack([one.predict(rows()) for one in alone]), combine)
    predictor = load_predictor(SimpleNamespace(files={MODEL: data}))
    np.testing.assert_allclose(predictor.predict(rows()), wanted, atol=1e-6)
    assert predictor.predict(rows(0)).shape == (0, 2)
    together = load_models(data, PATH)  # as `calyx predict` asks it
    outputs = together.compute(together.prepare(rows()))
    np.testing.assert_allclose(outputs, wanted, atol=1e-6)


def edited(data, edit):
    """The file with its description changed by `edit`."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    said = json.loads(header["__metadata__"]["calyx"])
    edit(said)
    header["__metadata__"]["calyx"] = json.dumps(said)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda said: said["members"].pop(), "damaged"),
        (lambda said: said["members"].append(said["members"][0]), "damaged"),
        (lambda said: said.update(combine="median"), "damaged"),
        (lambda said: said.update(format="calyx-ensemble/2"), "damaged"),
        (lambda said: said["members"][1].update(schema={}), "its schema differs"),
        (lambda said: said["members"][1]["task"].update(name="digits"), "cannot be used|differs"),
        (lambda said: said["members"].clear(), "damaged"),
    ],
)
def test_a_file_that_no_release_has_written_is_refused_in_a_sentence(edit, sentence):
    data = ensemble_bytes([member(0), member(1)], "mean")
    with pytest.raises(UserError, match=sentence):
        load_models(edited(data, edit), PATH)
