"""PRADA, to compare with: does the distribution of least distances look normal? Juuti et al. 2019, alg. 2.

Shapes: F inputs.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import shapiro

LEAST = 100  # distances, before which nothing is said
DELTA = 0.95  # of W, below which it alarms; the paper chooses it for each model


class Prada:
    """One caller's queries by the class that was answered."""

    def __init__(self, delta: float = DELTA) -> None:
        self._delta = delta
        self._growing: dict[int, list[NDArray[np.float32]]] = {}
        self._least: dict[int, list[float]] = {}  # of rows that joined their class
        self._distances: list[float] = []

    def observe(self, row: NDArray[np.float32], label: int) -> bool:
        """Take one row [F] and its class; whether it alarms."""
        growing = self._growing.setdefault(label, [])
        least = self._least.setdefault(label, [])
        if not growing:
            growing.append(row)
            least.append(0.0)
            return False
        distance = float(np.sqrt(((np.stack(growing) - row) ** 2).sum(axis=1).min()))
        self._distances.append(distance)
        if distance > np.mean(least) - np.std(least):
            growing.append(row)
            least.append(distance)
        if len(self._distances) < LEAST or len(self._distances) % 10:
            return False
        return self._find_alarm()

    def _find_alarm(self) -> bool:
        own = np.array(self._distances[-2000:])
        inside = own[np.abs(own - own.mean()) <= 3 * own.std()]
        return (
            len(inside) > 3
            and float(np.ptp(inside)) > 0
            and shapiro(inside).statistic < self._delta
        )
