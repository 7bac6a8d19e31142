"""The questions that are installed, by kind: entry points of the group `calyx.questions`.

A site with a manifest loads those of packages that it covers, and no others.
"""

import logging
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import entry_points

from calyx.errors import ConfigError
from calyx.questions.cv import QUESTION as FOLDS
from calyx.questions.question import Question
from calyx.tasks.registry import GROUPS, load_point

log = logging.getLogger(__name__)


@lru_cache(maxsize=64)
def question_of(kind: str) -> Question:
    """The question of this kind. Raises ConfigError, which lists what is installed."""
    question = load_point("question", kind)
    if not isinstance(question, Question) or question.kind != kind:
        raise ConfigError(
            f"The entry point {kind!r} of a question is no calyx.questions.question.Question of that kind."
        )
    return question


@lru_cache(maxsize=64)
def recall(kind: str) -> Question:
    """The question of a kind that stands in a client's own ledger, where it may outlive its package.

    One that is not installed any more counts as the scores of folds do: as begun, and once a round.
    """
    try:
        return question_of(kind)
    except ConfigError:
        return replace(FOLDS, kind=kind)


def kinds() -> tuple[str, ...]:
    """The kinds of all questions that are installed, whether they can be loaded or not."""
    return tuple(sorted(entry_points(group=GROUPS["question"]).names))


@lru_cache(maxsize=1)
def questions() -> dict[str, Question]:
    """All questions that can be loaded, by kind; of each other one, a warning says why.

    Raises ConfigError where two have the same type of message, so that one would answer the other.
    """
    loaded: dict[str, Question] = {}
    for kind in kinds():
        try:
            loaded[kind] = question_of(kind)
        except ConfigError as error:
            log.warning("Orders of the kind %s are not answered: %s", kind, error)
    by_type = {question.message_type: kind for kind, question in loaded.items()}
    for kind, question in loaded.items():
        if by_type[question.message_type] != kind:
            raise ConfigError(
                f"The questions {kind} and {by_type[question.message_type]} have the same type of message, "
                f"{question.message_type}; uninstall one of them."
            )
    return loaded
