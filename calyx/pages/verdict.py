"""Answers "was federating worth it?" from the comparison of models. Pure; draws nothing.

All figures of one answer are of the same rows: the common model beside models of single clients on
everybody's test rows, or, where clients have models of their own, these beside what each client
gets alone, each on its own test rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from calyx.run.rows import Models
from calyx.run.summary import BaselineScores
from calyx.words import digits
from calyx.words.digits import THIN, percent_text


@dataclass(frozen=True)
class Remark:
    """`head` is one word of eight letters at most, which stands before it on a terminal."""

    head: str
    seen: str  # a sentence of what was seen
    cure: str  # a sentence with the key to change; empty where none is known
    brief: str  # both in a line for a terminal, without a full stop
    resume: str = ""  # the override of a `calyx resume RUN` that ends that line


CLOSE_R2 = 0.02  # a difference below this is called too close
SIGMAS = 2.0  # a difference below this many standard errors is called too close
# How far a model must be behind for its causes to be looked for: no less than a standard error.
FAR, FAR_R2 = 0.03, 0.05
_SAME = 1e-11  # a difference below this is one of rounding


@dataclass(frozen=True)
class Verdict:
    """One word or few, its tone for the colour, and the sentences that justify it."""

    answer: str
    tone: Literal["yes", "no", "open"]
    reason: str
    brief: str = ""  # the same in one line; empty where nothing is compared
    is_behind: bool = False  # whether it is far behind pooled rows, or behind a client alone


@dataclass(frozen=True)
class Contest:
    """What is compared on the same rows, and how it is called in a sentence."""

    ours: float | None
    alone: float | None
    pooled: float | None
    we: str  # subject and verb
    they: str  # those that train alone
    reasons: Mapping[str, str] | None = None  # why a figure is absent, by its name in JSON
    names: tuple[str, str] = ("federated", "local_mean")  # of `ours` and `alone`, there


_NAMES = {
    "federated": "the federated model",
    "local_mean": "the average client that trains alone",
    "personal": "the clients' federated models",
    "local_own": "what each client trains alone",
}
_NOT_MEASURED = Verdict(
    "Not measured",
    "open",
    "There is nothing to compare with: this run trained no model of a client alone and no pooled "
    "one. Run it with baselines=true to find out.",
)


def contest_of(baselines: BaselineScores, models: Models) -> Contest:
    """The comparison that fits the run's models, in words without a metric."""
    absent = baselines.absent
    if models == "common":
        we, they = "The federated model is", "the average client that trains alone"
        figures = (baselines.federated, baselines.local_mean, baselines.pooled)
        return Contest(*figures, we, they, reasons=absent)
    figures = (baselines.personal, baselines.local_own, baselines.pooled_own)
    we = "Each on its own rows, the clients' federated models are"
    names = ("personal", "local_own")
    return Contest(*figures, we, "what each client trains alone", reasons=absent, names=names)


def judge(
    baselines: BaselineScores | None, num_test_rows: int | None, models: Models = "common"
) -> Verdict:
    """Compare accuracies on the same test rows: ours with clients' alone, and with pooled rows.

    The margin is that of two independent shares; for two models on the same rows it is wider than
    needed, so "yes" and "no" are said with care. Without `num_test_rows` there is no margin.
    """
    if baselines is None:
        return _NOT_MEASURED
    contest = contest_of(baselines, models)
    if contest.ours is None or contest.alone is None:
        return _untold(contest)
    ours, alone = contest.ours, contest.alone
    margin = max(_margin(ours, alone, num_test_rows), _SAME)
    points = 100 * (ours - alone)
    more = _worst(baselines, models) + _describe_pooled(contest, num_test_rows)
    more += _at_home(baselines, models, num_test_rows)
    if abs(ours - alone) <= margin:
        reason = _close(contest, points, num_test_rows) + more
    else:
        reason = (
            f"{contest.we} {_points(points)} {_word(points)} accurate than {contest.they}.{more}"
        )
    missing, doubt = _missing(contest), _margin(ours, contest.pooled or 0.0, num_test_rows)
    is_far = missing >= FAR and missing > doubt / SIGMAS
    sides = _Sides(ours - alone, margin, is_far and missing > doubt, is_far)
    return _answer(sides, reason, _brief(contest, _in_points))


def judge_values(baselines: BaselineScores | None, models: Models = "common") -> Verdict:
    """As `judge`, of a regression's R², for which one split of rows gives no margin."""
    if baselines is None:
        return _NOT_MEASURED
    contest = contest_of(baselines, models)
    if contest.ours is None or contest.alone is None:
        return _untold(contest)
    ours, alone = contest.ours, contest.alone
    decimals = digits.apart([ours, alone])
    reason = (
        f"R² is {ours:.{decimals}f} for "
        f"{'the federated model' if models == 'common' else 'the federated models of the clients'} "
        f"and {alone:.{decimals}f} for {contest.they}"
        f"{'' if models == 'common' else ', each on its own rows'}.{_describe_pooled_values(contest)}"
        f"{_at_home_values(baselines, models)}"
    )
    is_far, brief = _missing(contest) >= FAR_R2, f"R² {_brief(contest, _in_r2)}"
    if max(ours, alone) <= 0:
        reason += " Neither predicts better than the mean of all targets would."
        return Verdict("No", "no", reason, f"No: {brief}", is_behind=True)
    margin = math.nextafter(CLOSE_R2, 0.0)
    return _answer(_Sides(ours - alone, margin, is_far, is_far), reason, brief)


@dataclass(frozen=True)
class _Sides:
    """How far the model is from those on both sides of it."""

    gained: float  # on clients alone
    margin: float  # at which that is too close to call
    lacks: bool  # measurably, and much, of what pooled rows give
    is_far: bool  # from pooled rows, though chance may be a part of that


def _answer(sides: _Sides, reason: str, brief: str) -> Verdict:
    """The answer: what a model lacks of pooled rows is never hidden behind a close call."""
    if abs(sides.gained) <= sides.margin:
        answer = "Not yet" if sides.lacks else "Too close to call"
        return Verdict(answer, "open", reason, f"{answer}: {brief}", sides.is_far)
    if sides.gained > 0:
        return Verdict("Yes", "yes", reason, f"Yes: {brief}", sides.is_far)
    return Verdict("No", "no", reason, f"No: {brief}", is_behind=True)


def _untold(contest: Contest) -> Verdict:
    figures = zip(contest.names, (contest.ours, contest.alone), strict=True)
    missing = [name for name, value in figures if value is None]
    reasons = [(contest.reasons or {}).get(name) for name in missing]
    if not any(reasons):
        return _NOT_MEASURED
    whose = [_NAMES[name] for name in missing]
    words = "; ".join(f"{n}: {w}" for n, w in zip(whose, reasons, strict=True) if w)
    return Verdict("It cannot be told", "open", f"A figure to compare is absent ({words}).")


def _margin(one: float, other: float, num_test_rows: int | None) -> float:
    if not num_test_rows:
        return 0.0
    return SIGMAS * math.sqrt((one * (1 - one) + other * (1 - other)) / num_test_rows)


def _word(difference: float) -> str:
    return "more" if difference > 0 else "less"


def _missing(contest: Contest) -> float:
    """How far the model is behind pooled rows; 0 where these are not measured."""
    if contest.pooled is None or contest.ours is None:
        return 0.0
    return contest.pooled - contest.ours


def _brief(contest: Contest, said: Callable[[float], str]) -> str:
    """Both comparisons in one line; `said` words a difference of scores."""
    ours, alone, pooled = contest.ours or 0.0, contest.alone or 0.0, contest.pooled
    brief = f"{said(ours - alone)} a client alone"
    return brief if pooled is None else f"{brief}, {said(ours - pooled)} one model of all rows"


def _in_points(difference: float) -> str:
    return _beside(difference, _points(100 * difference))


def _in_r2(difference: float) -> str:
    return _beside(difference, digits.share(abs(difference)))


def _beside(difference: float, text: str) -> str:
    if abs(difference) < _SAME:
        return "level with"
    return f"{text} {'above' if difference > 0 else 'below'}"


def _points(points: float) -> str:
    """A difference in percent points; never 0.0 where there is one."""
    decimals = max(1, digits.decimals_of(points, 1)) if abs(points) < 0.1 else 1
    return f"{abs(points):.{decimals}f} points"


def _close(contest: Contest, points: float, num_test_rows: int | None) -> str:
    if abs(points) < 100 * _SAME:
        return f"{contest.we} as accurate as {contest.they}: federating gained nothing."
    return (
        f"{contest.we} {_points(points)} {_word(points)} accurate than {contest.they}; on "
        f"{num_test_rows} test rows chance alone can do that."
    )


def _worst(baselines: BaselineScores, models: Models) -> str:
    if baselines.local_worst is None or models != "common":
        return ""
    return f" The worst client alone reaches {percent_text(baselines.local_worst)}."


def _describe_pooled(contest: Contest, num_test_rows: int | None) -> str:
    """How far one model of all rows is from ours, whatever the answer."""
    if contest.pooled is None or contest.ours is None or contest.alone is None:
        return ""
    missing = contest.pooled - contest.ours
    margin = _margin(contest.pooled, contest.ours, num_test_rows)
    if missing <= 0 or (missing <= margin and missing < FAR):
        return " Pooling all data in one place would not do measurably better."
    pooled = f"model of all data in one place is {_points(100 * missing)} more accurate"
    if missing <= margin:
        return f" One {pooled}; on {num_test_rows} test rows chance alone can do that."
    gained, whole = contest.ours - contest.alone, contest.pooled - contest.alone
    if gained > 0:
        part = f"{100 * gained / whole:.0f}{THIN}%"
        return f" That is {part} of what pooling all data would gain: one {pooled}."
    return f" One {pooled}."


def _describe_pooled_values(contest: Contest) -> str:
    if contest.pooled is None or contest.ours is None:
        return ""
    text, missing = digits.share(contest.pooled), contest.pooled - contest.ours
    if missing < CLOSE_R2:
        return f" Pooling all data in one place would not do measurably better ({text})."
    return f" One model of all data in one place has {text}, {digits.share(missing)} more."


def _at_home(baselines: BaselineScores, models: Models, num_test_rows: int | None) -> str:
    """A sentence where clients do better alone on their own rows than with the common model."""
    own, ours = baselines.local_own, baselines.federated
    if models != "common" or own is None or ours is None:
        return ""
    if own - ours <= _margin(own, ours, num_test_rows):
        return ""
    return (
        f" On its own rows alone each client's own model is {_points(100 * (own - ours))} more "
        "accurate than the federated one: clients differ, see strategy=ditto and fedbn."
    )


def _at_home_values(baselines: BaselineScores, models: Models) -> str:
    own, ours = baselines.local_own, baselines.federated
    if models != "common" or own is None or ours is None or own - ours < CLOSE_R2:
        return ""
    return (
        f" On its own rows alone each client's own model has an R² {digits.share(own - ours)} above "
        "that of the federated one: clients differ, see strategy=ditto and fedbn."
    )
