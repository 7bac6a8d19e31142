"""Drift: which columns of an audit are no longer as they were, and whether that is worth an alert.

A column is an alert when an effect is large AND significant by the same measure, with Holm's
correction over both tests of all columns of the audit: an unchanged population alarms in at most
`Limits.alpha` of windows, however many columns there are. One window is one comparison of all
columns. `python -m benchmarks.drift` measures both error rates.

Shapes: C columns, B cells, … windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.findings.distances import Values, chi_square, fill_hidden, ks, psi

DriftRole = Literal["column", "image", "target", "label"]  # "label": a classification's classes
Severity = Literal["none", "warning", "alert", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("none", "warning", "alert")


@dataclass(frozen=True)
class Limits:
    """From which effect on a drift is told, and how sure that must be.

    A shift of the mean by d standard deviations of a normal column has a PSI of d² and a KS of
    about 0.4 d. The limits are Cohen's small and medium effects, d = 0.2 and d = 0.5 (Cohen 1988,
    Statistical Power Analysis, 2.2); the second is PSI's customary 0.25 of a major change (Siddiqi
    2006). The customary 0.1 of a minor one would miss a category of 1/16 that doubles.
    """

    psi: tuple[float, float] = (0.04, 0.25)  # of a warning, of an alert
    ks: tuple[float, float] = (0.08, 0.2)
    alpha: float = 0.005  # share of unchanged windows with an alarm; half of what is promised


LIMITS = Limits()


@dataclass(frozen=True)
class Counts:
    """One column in one audit: sums over all clients."""

    cells: NDArray[np.int64]  # [B] rows in each bin or category
    missing: int  # rows without a value: a cell of its own for PSI and chi-square
    unseen: int = 0  # rows that are in one of the cells, or missing: of which is not known
    most: NDArray[np.int64] | None = None  # [B] cells if all that are unsure lay on one side


@dataclass(frozen=True)
class Pair:
    """One column in two audits, on the same cells."""

    name: str
    expected: Counts  # the baseline's
    observed: Counts
    is_ordered: bool = True  # bins of a number; False: categories, which have no KS
    role: DriftRole = "column"


@dataclass(frozen=True)
class Drift:
    """What became of one column. Figures are None where they cannot be told, for the reason in `absent`.

    `unknown`: what is hidden could be a drift that would be told, or there are no rows to compare.
    """

    name: str
    psi: float | None  # ≥ 0, nats: as small as hidden rows let it be
    ks: float | None  # 0 … 1, likewise; None without a reason: the column is not ordered
    ks_p: float | None
    chi2_p: float | None
    severity: Severity
    psi_most: float | None = None  # as large as hidden rows let it be (of a number: if all that are
    # unsure lie on one side); None where none are hidden
    psi_chance: float | None = None  # about what an unchanged population has, by chance
    absent: Mapping[str, str] = field(default_factory=dict)
    role: DriftRole = "column"


def unknown(name: str, reason: str, role: DriftRole = "column") -> Drift:
    """A column of which nothing can be compared."""
    absent = dict.fromkeys(("psi", "chi2_p"), reason)
    return Drift(name, None, None, None, None, "unknown", absent=absent, role=role)


@dataclass(frozen=True)
class Measures:
    """Effects and p-values [… C] of all columns of a window; KS's are 0 and 1 where not ordered."""

    psi: Values
    ks: Values
    ks_p: Values
    chi2_p: Values


def compare(pairs: Sequence[Pair], limits: Limits = LIMITS) -> list[Drift]:
    """All columns of one audit against a baseline, in their order.

    Raises ValueError where a column has other cells than in the baseline, or a negative count.
    """
    for pair in pairs:
        _check(pair)
    if not pairs:
        return []
    ordered = np.array([pair.is_ordered for pair in pairs])
    least, most = [_measure_one(pair) for pair in pairs], [_most(pair) for pair in pairs]
    levels = judge(_stack(least), ordered, limits).tolist()
    drifts = []
    for i, (pair, level) in enumerate(zip(pairs, levels, strict=True)):
        worst = [judge(_stack([*least[:i], m, *least[i + 1 :]]), ordered, limits) for m in most[i]]
        highest = max((int(judged[i]) for judged in worst), default=0)
        is_open = level == 0 and _could_be_told(pair, most[i], highest, limits)
        severity: Severity = "unknown" if is_open else SEVERITIES[level]
        drifts.append(_drift(pair, least[i], most[i], severity))
    return drifts


def _could_be_told(pair: Pair, most: list[Measures], level: int, limits: Limits) -> bool:
    """Whether what is hidden could be a drift: of a number an alert, since of each bin some rows are."""
    if pair.expected.most is None:
        return level > 0
    return any(float(one.ks) >= limits.ks[1] for one in most)


def _stack(measures: Sequence[Measures]) -> Measures:
    names = Measures.__annotations__
    return Measures(*(np.array([getattr(m, name) for m in measures]) for name in names))


def measure(
    expected: Values, observed: Values, unseen_before: int = 0, unseen_now: int = 0
) -> Measures:
    """Effects and p-values of ordered columns [… B + 1], of which the last cell is "missing".

    The unseen rows of a side are where they make both as like each other as they can.
    """
    e, o = fill_hidden(expected, observed, unseen_before, unseen_now)
    statistic, ks_p = ks(e[..., :-1], o[..., :-1])
    return Measures(psi(e, o), statistic, ks_p, chi_square(e, o)[1])


def judge(
    measures: Measures, is_ordered: NDArray[np.bool_], limits: Limits = LIMITS
) -> NDArray[np.int64]:
    """Places [… C] in SEVERITIES: 0 none, 1 warning, 2 alert; `is_ordered` [C]."""
    tests = np.stack([measures.chi2_p, np.where(is_ordered, measures.ks_p, 1.0)], axis=-1)
    flat = tests.reshape(*tests.shape[:-2], -1)
    count = is_ordered.size + int(is_ordered.sum())
    is_sure = holm(flat, limits.alpha, count).reshape(tests.shape)
    levels = np.zeros(measures.psi.shape, dtype=np.int64)
    for small, large in zip(limits.psi, limits.ks, strict=True):
        by_psi = is_sure[..., 0] & (measures.psi >= small)
        by_ks = is_sure[..., 1] & (measures.ks >= large)
        levels += by_psi | by_ks
    return levels


def holm(p: Values, alpha: float, tests: int) -> NDArray[np.bool_]:
    """Which of the p-values [… T] are significant together; `tests` ≤ T of them are real tests.

    The chance of any false one is at most `alpha`, whatever depends on what. Source: Holm 1979, A
    simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p, axis=-1, kind="stable")
    left = np.maximum(tests - np.arange(p.shape[-1]), 1)
    passes = np.take_along_axis(p, order, -1) * left <= alpha
    passes = np.logical_and.accumulate(passes, axis=-1)
    is_significant = np.zeros(p.shape, dtype=np.bool_)
    np.put_along_axis(is_significant, order, passes, -1)
    return is_significant


def _check(pair: Pair) -> None:
    expected, observed = pair.expected, pair.observed
    if expected.cells.ndim != 1 or expected.cells.shape != observed.cells.shape:
        raise ValueError(
            f"the column {pair.name} has cells of shape {observed.cells.shape}, and the baseline "
            f"{expected.cells.shape}"
        )
    least = min(
        int(side.cells.min(initial=0)) + min(side.missing, side.unseen, 0)
        for side in (expected, observed)
    )
    if least < 0:
        raise ValueError(f"the column {pair.name} has a negative count")


def _measure_one(pair: Pair) -> Measures:
    expected, observed = (
        np.append(side.cells, side.missing).astype(np.float64)
        for side in (pair.expected, pair.observed)
    )
    return measure(expected, observed, pair.expected.unseen, pair.observed.unseen)


def _most(pair: Pair) -> list[Measures]:
    """The unseen rows of both sides where they differ most; none where there are no such rows.

    In cells of their own: two distributions only come closer where cells are put together, so that no
    other place of these rows has a larger PSI. And in the cells that already differ most, where a
    test may be surer.
    """
    first, second = pair.expected.most, pair.observed.most
    if first is not None and second is not None:
        ends = ((first, pair.expected.missing), (second, pair.observed.missing))
        most = [np.append(cells, missing).astype(np.float64) for cells, missing in ends]
        return [measure(most[0], most[1])]
    before, now = pair.expected.unseen, pair.observed.unseen
    if not before and not now:
        return []
    e, o = (np.append(s.cells, s.missing).astype(float) for s in (pair.expected, pair.observed))
    own = measure(np.append([before, 0.0], e), np.append([0.0, now], o))
    gap = o / max(1.0, o.sum()) - e / max(1.0, e.sum())
    more_e, more_o = e.copy(), o.copy()
    more_e[gap.argmin()] += before
    more_o[gap.argmax()] += now
    return [own, measure(more_e, more_o)]


def _describe_hidden(pair: Pair, rows: list[int]) -> str:
    before, now = pair.expected.unseen, pair.observed.unseen
    if not before and not now:
        return "sites do not tell of some rows on which side of a bin's edge they lie"
    return f"{now} of {rows[1] + now} rows are hidden, and {before} of {rows[0] + before} in the baseline"


def _drift(pair: Pair, least: Measures, most: list[Measures], severity: Severity) -> Drift:
    sides = (pair.expected, pair.observed)
    rows = [int(side.cells.sum()) + side.missing for side in sides]
    if not all(rows):
        return unknown(pair.name, "one of the two audits shows no rows", pair.role)
    used = [np.append(side.cells, side.missing) for side in sides]
    cells = int((used[0] + used[1] > 0).sum())
    chance = (cells - 1) * (1 / rows[0] + 1 / rows[1])
    psi_most = max((float(m.psi) for m in most), default=None)
    if severity == "unknown":
        reason = f"{_describe_hidden(pair, rows)}: PSI {float(least.psi):.2f} to {psi_most:.2f}"
        absent = dict.fromkeys(("psi", "chi2_p"), reason)
        return Drift(
            pair.name, None, None, None, None, severity, psi_most, chance, absent, pair.role
        )
    return Drift(
        name=pair.name,
        psi=float(least.psi),
        ks=float(least.ks) if pair.is_ordered else None,
        ks_p=float(least.ks_p) if pair.is_ordered else None,
        chi2_p=float(least.chi2_p),
        severity=severity,
        psi_most=psi_most,
        psi_chance=chance,
        role=pair.role,
    )
