"""Answers "was federating worth it?" from the comparison of models. Pure; draws nothing."""

import math
from dataclasses import dataclass
from typing import Literal

from cli.report.rows import Baselines
from cli.report.scales import THIN, percent_text

CLOSE_R2 = 0.02  # a difference below this is called too close
SIGMAS = 2.0  # a difference below this many standard errors is called too close


@dataclass(frozen=True)
class Verdict:
    """One word or few, its tone for the colour, and the sentences that justify it."""

    answer: str
    tone: Literal["yes", "no", "open"]
    reason: str


_NOT_MEASURED = Verdict(
    "Not measured",
    "open",
    "There is nothing to compare with: this run trained no model of a client alone and no pooled "
    "one. Run it with baselines=true to find out.",
)


def judge_values(baselines: Baselines | None) -> Verdict:
    """As `judge`, of a regression's R², for which one split of rows gives no margin."""
    if baselines is None or baselines.federated is None or baselines.local_mean is None:
        return _NOT_MEASURED
    federated, alone = baselines.federated, baselines.local_mean
    if abs(federated - alone) < CLOSE_R2:
        return Verdict("Too close to call", "open", _both(federated, alone))
    if federated < alone:
        return Verdict("No", "no", _both(federated, alone))
    return Verdict("Yes", "yes", _both(federated, alone))


def _both(federated: float, alone: float) -> str:
    return (
        f"The federated model explains {percent_text(federated)} of the target's variance, the "
        f"average client that trains alone {percent_text(alone)}."
    )


def judge(baselines: Baselines | None, num_test_rows: int | None) -> Verdict:
    """Compare the federated model with clients alone, on the same `num_test_rows` test rows.

    The margin is that of two independent shares; for two models on the same rows it is wider than
    needed, so "yes" and "no" are said with care. Without `num_test_rows` there is no margin.
    """
    if baselines is None or baselines.federated is None or baselines.local_mean is None:
        return _NOT_MEASURED
    federated, alone = baselines.federated, baselines.local_mean
    points = 100 * (federated - alone)
    if abs(federated - alone) <= _margin(federated, alone, num_test_rows):
        return Verdict("Too close to call", "open", _close(points, num_test_rows))
    if points < 0:
        return Verdict(
            "No",
            "no",
            f"The federated model is {-points:.1f} points less accurate than the average client "
            f"that trains alone.{_worst(baselines)}",
        )
    return Verdict(
        "Yes",
        "yes",
        f"The federated model is {points:.1f} points more accurate than the average client that "
        f"trains alone.{_worst(baselines)}{_pooled(baselines, num_test_rows)}",
    )


def _margin(one: float, other: float, num_test_rows: int | None) -> float:
    if not num_test_rows:
        return 0.0
    return SIGMAS * math.sqrt((one * (1 - one) + other * (1 - other)) / num_test_rows)


def _close(points: float, num_test_rows: int | None) -> str:
    if not num_test_rows:
        return "The federated model and the average client that trains alone are equally accurate."
    direction = "more" if points >= 0 else "less"
    return (
        f"The federated model is {abs(points):.1f} points {direction} accurate than the average "
        f"client that trains alone; on {num_test_rows} test rows chance alone can do that."
    )


def _worst(baselines: Baselines) -> str:
    if baselines.local_worst is None:
        return ""
    return f" The worst client alone reaches {percent_text(baselines.local_worst)}."


def _pooled(baselines: Baselines, num_test_rows: int | None) -> str:
    if baselines.pooled is None or baselines.federated is None or baselines.local_mean is None:
        return ""
    missing = baselines.pooled - baselines.federated
    if missing <= _margin(baselines.pooled, baselines.federated, num_test_rows):
        return " Pooling all data in one place would not do measurably better."
    closed = (baselines.federated - baselines.local_mean) / (
        baselines.pooled - baselines.local_mean
    )
    return f" That is {100 * closed:.0f}{THIN}% of what pooling all data would gain."
