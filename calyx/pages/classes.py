"""What a classifier's test says of each class: found, missed, taken for another. Pure.

The rows are those of the test's accuracy; the confusion matrix of `summary.json` counts them by
their true class (row) and the class that the model said (column). Shapes: K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from calyx.run.summary import Summary

COMMON = 2 / 3  # of the test rows: one class that has more makes an accuracy look good
RARE = 1 / 3  # of its even share 1/K of the rows: a class that has less hardly counts


@dataclass(frozen=True)
class ClassLine:
    """One class in the test."""

    name: str
    rows: int  # that are of this class
    said: int  # of which the model said so
    hits: int  # of which both is so

    @property
    def recall(self) -> float | None:
        """The share of its rows that the model finds; None where it has no rows."""
        return self.hits / self.rows if self.rows else None

    @property
    def precision(self) -> float | None:
        """The share of rows said to be of it that are; None where none is."""
        return self.hits / self.said if self.said else None


@dataclass(frozen=True)
class Classes:
    """All classes of a test with at least one row, in the schema's order."""

    lines: tuple[ClassLine, ...]
    matrix: tuple[tuple[int, ...], ...]  # [K, K]

    @property
    def rows(self) -> int:
        """How many rows the test has."""
        return sum(line.rows for line in self.lines)

    @property
    def filled(self) -> list[ClassLine]:
        """The classes that have test rows."""
        return [line for line in self.lines if line.rows]

    @property
    def commonest(self) -> ClassLine:
        """The class of most rows, the first of several."""
        return max(self.lines, key=lambda line: line.rows)

    @property
    def weakest(self) -> ClassLine:
        """The class with rows of which the smallest share is found; the largest of several such."""
        return min(self.filled, key=lambda line: (line.hits / line.rows, -line.rows))

    @property
    def only(self) -> ClassLine | None:
        """The class that the model says of every row, if there is one."""
        said = [line for line in self.lines if line.said]
        return said[0] if len(said) == 1 else None

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have rows (Brodersen et al. 2010)."""
        return mean(line.hits / line.rows for line in self.filled)

    @property
    def is_uneven(self) -> bool:
        """Whether sizes are so unequal that an accuracy says little by itself."""
        shares = [line.rows / self.rows for line in self.lines]
        return max(shares) > COMMON or min(shares) < RARE / len(shares)


def classes_of(summary: Summary | None) -> Classes | None:
    """The classes of a test whose confusion matrix is known, square, and not empty."""
    matrix = summary.test_confusion if summary else None
    return None if summary is None or not matrix else count_classes(summary.classes, matrix)


def count_classes(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Classes | None:
    """The classes `names` [K] of a confusion matrix [K, K]; None where it is not square, or empty."""
    if any(len(row) != len(matrix) for row in matrix) or not any(map(sum, matrix)):
        return None
    said = [sum(column) for column in zip(*matrix, strict=True)]
    lines = tuple(
        ClassLine(name, sum(row), said[k], row[k])
        for k, (name, row) in enumerate(zip(class_names(names, len(matrix)), matrix, strict=True))
    )
    return Classes(lines, tuple(map(tuple, matrix)))


def why_unknown(summary: Summary | None) -> str:
    """Why a finished classifier's classes are not told; empty where they are, or there are none."""
    if summary is None or summary.metric != "accuracy" or classes_of(summary) is not None:
        return ""
    known = summary.absent.get("test_confusion")
    return known or "the run's summary.json does not say which class was taken for which"


def class_names(names: Sequence[str], num: int) -> list[str]:
    """The names of `num` classes; a number stands for one that has none."""
    return [names[k] if k < len(names) else str(k) for k in range(num)]
