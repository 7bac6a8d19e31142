"""Which questions there are, and which ones no client could answer."""

import dataclasses
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from support.site_files import POLICY

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.questions import registry
from calyx.questions.evaluate import QUESTION as EVALUATE
from calyx.questions.registry import question_of, questions, recall
from calyx.wire import messages as wire
from client.gate.policy import ANSWERED, PolicyConfig

TAKEN = (wire.NAME_QUERY, wire.ABANDON_TYPE, *wire.STAGE_TYPES.values())
FORGOTTEN = (registry.question_of, registry.questions, registry.recall)


@pytest.fixture
def install(monkeypatch):
    """Have this alone installed: kind → what its entry point names."""

    def only(**values):
        points = EntryPoints(
            EntryPoint(kind, value, "calyx.questions") for kind, value in values.items()
        )
        for module in ("calyx.questions.registry", "calyx.tasks.registry"):
            monkeypatch.setattr(f"{module}.entry_points", lambda **_: points)

    for cached in FORGOTTEN:
        cached.cache_clear()
    yield only
    for cached in FORGOTTEN:
        cached.cache_clear()


def test_without_a_list_a_site_answers_what_calyx_asks():
    assert {*questions()} >= {*ANSWERED}
    assert parse(PolicyConfig, POLICY, "client.policy").answered == ANSWERED


@pytest.mark.parametrize(
    ("listed", "said"),
    [([], "questions is empty"), (["train", "sing"], "'sing', which is none of")],
)
def test_a_list_that_answers_nothing_or_names_nothing_is_refused(listed, said):
    with pytest.raises(ConfigError, match=said):
        parse(PolicyConfig, POLICY | {"questions": listed}, "client.policy")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Sing!"},
        {"message_type": "sing"},
        {"message_type": "query.Sing"},
        {"model": "none"},
        {"counted": "versions"},
        {"answer": "learn"},
        {"counted": "trainings"},
        {"model": "folds"},
        {"part": "all"},
        {"answer": len, "model": "folds", "counted": "scores"},
        {"message_type": "evaluate.default"},  # Flower's name of the door `evaluate`
        *[{"message_type": taken} for taken in TAKEN],
        {"model": "later"},
        {"part": "tset"},
        {"counted": "score"},
        {"answer": "count"},
        {"segments": 3},
        {"say": "figures"},
    ],
)
def test_a_question_that_no_rule_covers_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        dataclasses.replace(EVALUATE, **change)


def test_what_is_no_question_or_of_another_kind_is_refused(install):
    install(train="calyx.questions.evaluate:QUESTION", test="calyx.questions.test:segments")
    for kind in ("train", "test"):
        with pytest.raises(ConfigError, match="is no calyx"):
            question_of(kind)
    assert questions() == {}


@pytest.mark.parametrize("code", ["1 / 0", "raise SystemExit(3)", "(", "import nobodys_package"])
def test_a_package_that_cannot_be_imported_is_a_warning_that_names_it(
    install, monkeypatch, tmp_path, caplog, code
):
    """Every client looks at every question, though nobody asks it."""
    (tmp_path / "broken_singing.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    install(evaluate="calyx.questions.evaluate:QUESTION", sing="broken_singing:QUESTION")
    assert [*questions()] == ["evaluate"]
    assert "of the kind sing are not answered" in caplog.text
    assert "mend broken_singing" in caplog.text


def test_two_questions_of_one_type_of_message_are_refused(install, monkeypatch):
    again = dataclasses.replace(EVALUATE, kind="again")
    monkeypatch.setattr("calyx.questions.evaluate.AGAIN", again, raising=False)
    install(evaluate="calyx.questions.evaluate:QUESTION", again="calyx.questions.evaluate:AGAIN")
    with pytest.raises(ConfigError, match="have the same type of message, evaluate;"):
        questions()


def test_a_kind_of_a_ledger_whose_package_is_gone_counts_as_begun_and_once_a_round():
    gone = recall("hits")
    assert (gone.kind, gone.model != "none", gone.counted) == ("hits", True, "scores")
