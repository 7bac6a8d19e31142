"""Inputs that give the answer away: copies of it, parts of it, what is known only afterwards.

They are looked for in a sample of the rows; chance is no reason: each must be far beyond it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calyx.data.drafting.columns import numbers_of
from calyx.data.drafting.survey import Survey
from calyx.data.drafting.targets import Answer
from calyx.data.drafting.telling import EVENTS, TIMES, tokens
from calyx.words.sentences import join_names

CHANCE = math.log(1e-9)  # a coincidence less likely than this is none
ENOUGH = 100  # rows by which numbers may tell classes apart
DISTINCT = 20  # numbers of a target that another column may be a copy of
MOST_COLUMNS = 200  # of which sums are looked at
EXACT = 1e-3  # of the target's spread: what rounding leaves of a sum

Cells = Sequence[str | None]


def find_giveaways(survey: Survey, answer: Answer, names: Sequence[str]) -> dict[str, str]:
    """The columns that tell the answer, each with the reason why it is thought so."""
    rows = survey.sample.cells
    same = dict(answer.categories.same)
    labels = [None if cell is None else same.get(cell, cell) for cell in rows[answer.name]]
    if not answer.is_number:
        reasons = {name: _of_classes(survey, rows[name], labels, answer.name) for name in names}
    else:
        y = numbers_of(labels, survey.dialect)
        values = {
            name: numbers_of(rows[name], survey.dialect)
            for name in names
            if survey.columns[name].is_number
        }
        reasons = {name: _of_number(x, y, answer.name) for name, x in values.items()}
        rest = {name: x for name, x in values.items() if not reasons[name]}
        reasons |= _sums(rest, y, answer.name)
    times = {name: _by_name(name, answer.name) for name in names if not reasons.get(name)}
    return {name: reason for name, reason in (reasons | times).items() if reason}


def _by_name(name: str, target: str) -> str:
    if set(tokens(name)) & TIMES and set(tokens(target)) & EVENTS:
        return f"by its name the time until {target}, which is known only afterwards"
    return ""


def _of_classes(survey: Survey, cells: Cells, labels: Cells, target: str) -> str:
    pairs = [(cell, label) for cell, label in zip(cells, labels, strict=True) if label is not None]
    shares = Counter(label for _, label in pairs)
    filled = Counter(label for cell, label in pairs if cell is not None)
    for state, of in (("filled in", filled), ("empty", shares - filled)):
        if len(of) == 1 and _chance(of, set(of), shares) < CHANCE:
            return f"{state} only where {target} is {join_names(sorted(map(str, of)))}: known afterwards?"
    by_word = defaultdict[str, Counter[str]](Counter)
    for cell, label in pairs:
        if cell is not None:
            by_word[cell][label] += 1
    if _is_copy(by_word, shares):
        return f"says the same as {target} in other words"
    x = numbers_of([cell for cell, _ in pairs], survey.dialect)
    if len(pairs) >= ENOUGH and _tells_apart(x, [label for _, label in pairs], shares):
        return f"its numbers alone tell the classes of {target} apart: made from it?"
    return ""


def _is_copy(by_word: Mapping[str, Counter[str]], shares: Counter[str]) -> bool:
    """Whether each word stands beside one label only, and all labels have few words."""
    if any(len(of) > 1 for of in by_word.values()) or not 1 < len(by_word) <= 2 * len(shares):
        return False
    # A word's first row says which label it is; the others could have said otherwise.
    of_words = [(of.total() - 1, shares[next(iter(of))]) for of in by_word.values()]
    chance = sum(again * math.log(share / shares.total()) for again, share in of_words)
    return len({next(iter(of)) for of in by_word.values()}) == len(shares) and chance < CHANCE


def _chance(of: Counter[str], labels: set[str], shares: Counter[str]) -> float:
    """The logarithm of the chance that so many rows have only these labels."""
    share = sum(shares[label] for label in labels) / shares.total()
    return of.total() * math.log(share) if share < 1 else 0.0


def _tells_apart(x: NDArray[np.float64], labels: Sequence[str], shares: Counter[str]) -> bool:
    """Whether each class has numbers of its own range."""
    if np.isnan(x).any() or min(shares.values()) < ENOUGH / 10 or len(shares) < 2:
        return False
    of = np.array(labels)
    ranges = sorted((x[of == label].min(), x[of == label].max()) for label in shares)
    return all(before[1] < after[0] for before, after in pairwise(ranges))


def _of_number(x: NDArray[np.float64], y: NDArray[np.float64], target: str) -> str:
    """Whether `x` [N] is `y` in another unit or on another scale, such as its logarithm."""
    both = np.isfinite(x) & np.isfinite(y)
    pairs = np.unique(np.stack([x[both], y[both]], axis=1), axis=0)
    if len(pairs) < DISTINCT or both.sum() < 2 * DISTINCT:
        return ""
    steps = np.diff(pairs, axis=0)
    one_to_one = (steps[:, 0] > 0).all()
    if one_to_one and ((steps[:, 1] > 0).all() or (steps[:, 1] < 0).all()):
        return f"the same as {target} on another scale"
    return ""


def _sums(
    values: Mapping[str, NDArray[np.float64]], y: NDArray[np.float64], target: str
) -> dict[str, str]:
    """Columns that add up to the target, each times a number."""
    kept = {name: x for name, x in values.items() if np.isfinite(x).mean() > 0.5}
    if not 0 < len(kept) <= MOST_COLUMNS:
        return {}
    matrix = np.stack(list(kept.values()), axis=1)
    rows = np.isfinite(matrix).all(axis=1) & np.isfinite(y)
    names = list(kept)
    if not _is_sum(matrix[rows], y[rows]):
        return {}
    for name in list(kept):
        fewer = [other for other in names if other != name]
        if fewer and _is_sum(matrix[rows][:, [list(kept).index(n) for n in fewer]], y[rows]):
            names = fewer
    reason = f"{target} can be reckoned from {join_names(names)}"
    rest = {name: x for name, x in kept.items() if name not in names}
    return dict.fromkeys(names, reason) | _sums(rest, y, target)


def _is_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    if len(y) < 3 * x.shape[1] + DISTINCT or len(np.unique(y)) < DISTINCT:
        return False
    spread = np.std(x, axis=0)
    design = np.column_stack(
        [(x - x.mean(axis=0)) / np.where(spread > 0, spread, 1), np.ones(len(y))]
    )
    reached, *_ = np.linalg.lstsq(design, y, rcond=None)
    rest = np.abs(design @ reached - y)
    return bool(np.isfinite(rest).all() and rest.max() <= EXACT * np.std(y))
