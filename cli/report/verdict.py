"""Answers "was federating worth it?" from the comparison of models. Pure; draws nothing.

All figures of one answer are of the same rows: the common model beside models of single clients on
everybody's test rows, or, where clients have models of their own, these beside what each client
gets alone, each on its own test rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from calyx import digits
from calyx.digits import THIN, percent_text
from cli.report.rows import Baselines, Models

CLOSE_R2 = 0.02  # a difference below this is called too close
SIGMAS = 2.0  # a difference below this many standard errors is called too close


@dataclass(frozen=True)
class Verdict:
    """One word or few, its tone for the colour, and the sentences that justify it."""

    answer: str
    tone: Literal["yes", "no", "open"]
    reason: str


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


def contest_of(baselines: Baselines, models: Models) -> Contest:
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
    baselines: Baselines | None, num_test_rows: int | None, models: Models = "common"
) -> Verdict:
    """Compare accuracies: the federated model's with clients' alone, on the same test rows.

    The margin is that of two independent shares; for two models on the same rows it is wider than
    needed, so "yes" and "no" are said with care. Without `num_test_rows` there is no margin.
    """
    if baselines is None:
        return _NOT_MEASURED
    contest = contest_of(baselines, models)
    if contest.ours is None or contest.alone is None:
        return _untold(contest)
    ours, alone = contest.ours, contest.alone
    margin = _margin(ours, alone, num_test_rows)
    points = 100 * (ours - alone)
    more = _worst(baselines, models) + _pooled(contest, num_test_rows)
    more += _at_home(baselines, models, num_test_rows)
    if abs(ours - alone) <= max(margin, 1e-11):
        return Verdict("Too close to call", "open", _close(contest, points, num_test_rows) + more)
    word = "more" if points > 0 else "less"
    reason = f"{contest.we} {_points(points)} {word} accurate than {contest.they}.{more}"
    return Verdict("Yes", "yes", reason) if points > 0 else Verdict("No", "no", reason)


def judge_values(baselines: Baselines | None, models: Models = "common") -> Verdict:
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
        f"{'' if models == 'common' else ', each on its own rows'}.{_pooled_values(contest)}"
    )
    if max(ours, alone) <= 0:
        useless = " Neither predicts better than the mean of all targets would."
        return Verdict("No", "no", reason + useless)
    if abs(ours - alone) < CLOSE_R2:
        return Verdict("Too close to call", "open", reason)
    if ours < alone:
        return Verdict("No", "no", reason)
    return Verdict("Yes", "yes", reason)


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


def _points(points: float) -> str:
    """A difference in percent points; never 0.0 where there is one."""
    decimals = max(1, digits.decimals_of(points, 1)) if abs(points) < 0.1 else 1
    return f"{abs(points):.{decimals}f} points"


def _close(contest: Contest, points: float, num_test_rows: int | None) -> str:
    if abs(points) < 1e-9:
        return f"{contest.we} as accurate as {contest.they}: federating gained nothing."
    direction = "more" if points > 0 else "less"
    return (
        f"{contest.we} {_points(points)} {direction} accurate than {contest.they}; on "
        f"{num_test_rows} test rows chance alone can do that."
    )


def _worst(baselines: Baselines, models: Models) -> str:
    if baselines.local_worst is None or models != "common":
        return ""
    return f" The worst client alone reaches {percent_text(baselines.local_worst)}."


def _pooled(contest: Contest, num_test_rows: int | None) -> str:
    """How far one model of all rows is from ours, whatever the answer."""
    if contest.pooled is None or contest.ours is None or contest.alone is None:
        return ""
    missing = contest.pooled - contest.ours
    if missing <= 0 or missing <= _margin(contest.pooled, contest.ours, num_test_rows):
        return " Pooling all data in one place would not do measurably better."
    gained, whole = contest.ours - contest.alone, contest.pooled - contest.alone
    if gained > 0:
        return (
            f" That is {100 * gained / whole:.0f}{THIN}% of what pooling all data would gain: one "
            f"model of all data in one place is {_points(100 * missing)} more accurate."
        )
    return f" One model of all data in one place is {_points(100 * missing)} more accurate."


def _pooled_values(contest: Contest) -> str:
    if contest.pooled is None or contest.ours is None:
        return ""
    text = digits.share(contest.pooled)
    if contest.pooled - contest.ours < CLOSE_R2:
        return f" Pooling all data in one place would not do measurably better ({text})."
    return f" One model of all data in one place has {text}."


def _at_home(baselines: Baselines, models: Models, num_test_rows: int | None) -> str:
    """Of a common model: whether clients do better alone where they need it, on their own rows."""
    own, ours = baselines.local_own, baselines.federated
    if models != "common" or own is None or ours is None:
        return ""
    if own - ours <= _margin(own, ours, num_test_rows):
        return ""
    return (
        f" On its own rows alone each client's own model is {_points(100 * (own - ours))} more "
        "accurate than the federated one: clients differ, see strategy=ditto and fedbn."
    )
