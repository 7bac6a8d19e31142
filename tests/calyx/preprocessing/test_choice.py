"""What `preprocessing=auto` stands for, as far as a schema and the phases tell."""

import pytest

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.data.schema import Column, Schema
from calyx.preprocessing.choice import choose, fall_back
from calyx.preprocessing.config import PreprocessingConfig, WrittenPreprocessing
from calyx.tasks.registry import load_task

PHASES = ("audit", "preprocess", "train", "validate", "release")
AUTO = resolve(compose(["preprocessing=auto"]))["preprocessing"] | {
    "scaling": "standard",  # digits, which is composed here, has none
    "outliers": "clip",
}
AGE = Column("age", "numeric", low=0, high=120)
BARE = Column("mass", "numeric", low=0)
SEX = Column("sex", "categorical", categories=(0.0, 1.0), words=("f", "m"))
PIXEL = Column("p", "image", low=0, high=16)


def chosen(*columns, phases=PHASES, **changes):
    return choose(written(AUTO | changes), Schema(columns, ("no", "yes")), phases)


def written(section):
    return parse(WrittenPreprocessing, section, "preprocessing")


@pytest.mark.parametrize("columns", [(AGE,), (AGE, SEX), (SEX,), (AGE, PIXEL)])
def test_columns_of_declared_ranges_are_scaled_by_everybodys_sums(columns):
    choice = chosen(*columns)
    assert choice.cfg == parse(PreprocessingConfig, AUTO | {"name": "federated"}, "")
    assert (choice.is_default, choice.why_local) == (True, "")


@pytest.mark.parametrize(
    ("columns", "changes"),
    [
        ((PIXEL,), {}),
        ((AGE,), {"scaling": "none", "outliers": "keep", "numeric_imputation": "none"}),
        ((SEX,), {"categorical_imputation": "constant"}),
    ],
)
def test_where_nothing_is_learnt_each_clients_own_costs_nothing_and_is_not_said(columns, changes):
    choice = chosen(*columns, **changes)
    assert (choice.cfg.name, choice.why_local) == ("local", "")
    assert not choice.is_default


def test_a_column_without_a_range_is_named_with_the_cure():
    choice = chosen(AGE, BARE, SEX)
    assert choice.cfg.name == "local"
    assert "no range of the numeric column mass: with low and high" in choice.why_local


@pytest.mark.parametrize("phases", [PHASES[1:], ("preprocess", "audit", *PHASES[2:])])
def test_without_an_audit_before_it_there_are_no_sums(phases):
    choice = chosen(AGE, phases=phases)
    assert choice.cfg.name == "local"
    assert "put audit first in phases" in choice.why_local


def test_an_audit_alone_counts_what_a_run_would_fit_on():
    assert chosen(AGE, phases=("audit",)).cfg.name == "federated"


@pytest.mark.parametrize("name", ["local", "federated", "none"])
def test_what_is_written_by_hand_is_taken_as_it_is(name):
    choice = chosen(BARE, name=name)
    assert (choice.cfg.name, choice.is_default, choice.why_local) == (name, False, "")


@pytest.mark.parametrize(("task", "name"), [("digits", "local"), ("heart", "federated")])
def test_the_tasks_that_are_delivered_get_what_suits_them(task, name):
    config = resolve(compose([f"task={task}"]))
    section, schema = written(config["preprocessing"]), load_task(config["task"]).schema
    choice = choose(section, schema, config["phases"])
    assert (choice.cfg.name, choice.why_local) == (name, "")


def test_sums_that_lack_are_said_and_each_client_fits_its_own():
    choice = fall_back(chosen(AGE), "no site gives moments of age")
    assert choice.cfg == parse(PreprocessingConfig, AUTO | {"name": "local"}, "")
    assert choice.why_local.startswith(
        "No site gives moments of age. A site gives sums where it has"
    )
    assert choice.why_local in choice.warning
    least = compose([])["client"]["policy"]["min_cell"]
    assert f"client.policy.min_cell ({least}, unless" in choice.why_local
