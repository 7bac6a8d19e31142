"""What a detector of model stealing keeps of one caller's queries, and the two signs that it reads there.

Near: the share of rows that lie close to an earlier one and yet differ from it in many columns, as steps
along a gradient do and patients do not. Source: Zhang, Chen and Wagner 2021, SEAT: Similarity Encoder by
Adversarial Training for Detecting Model Extraction Attack Queries, which counts such pairs. Away: how much
more the rows surprise than the training's did, where 0 is like the training and 1 like values drawn evenly
from the declared ranges; the idea of out-of-distribution queries is that of Kesarwani et al. 2018, Model
Extraction Warning in MLaaS Paradigm, and Zhang et al. 2023, feature distortion.

Left out are repeated rows and variants: rows that differ from the one before, from their request's first,
or from the caller's last new row in at most two columns, as a person's what-ifs do. So the rows that are
judged are about independent, and a bound by three standard errors means something.

Shapes: N rows of a request, M of them judged, C columns, F inputs, V variables with counts, A anchors.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calyx.serving.population import Cells, Population, Values

Inputs = NDArray[np.float32]
Flags = NDArray[np.bool_]
MOST_ANCHORS = 256  # earlier rows that later ones are compared with
MOST_ANCHOR_BYTES = 2**21
KEPT = 1024  # judged rows, of which the signs are read
MOST_SEEN = 4096  # rows that are known again when they are repeated
VARIED = 2  # columns in which a variant may differ; fewer where there are fewer than eight
SIGMAS = 3.0  # standard errors by which a sign must be beyond its limit
_CHUNK = 128  # rows that are compared at once
_HOLE = 1e300  # stands for a missing value, so that two of them are equal


@dataclass(frozen=True, eq=False)
class Queries:
    """The rows of one request, in the three forms that a gateway has of them anyway."""

    rows: Values  # [N, C] in the columns' own units, NaN for missing
    inputs: Inputs  # [N, F] as the model takes them
    cells: Cells  # [N, V] of `Population.find_cells`

    def __len__(self) -> int:
        """N."""
        return len(self.rows)

    def take(self, part: slice) -> "Queries":
        """Some of the rows."""
        return Queries(self.rows[part], self.inputs[part], self.cells[part])


@dataclass(frozen=True)
class Signs:
    """What a caller's judged rows look like."""

    judged: int  # rows that the signs are of
    near: float  # 0 … 1: share that lies close to an earlier row
    near_least: float  # the same less three standard errors
    away: float  # 0 like the training, 1 like even draws; NaN where that cannot be told
    away_least: float  # the same less three standard errors; -infinity where it cannot be told


@dataclass(eq=False)
class Trace:
    """One caller's anchors, and a ring of what was found of the rows judged last; no answer is in it."""

    radius: float  # in units of inputs, within which two rows are near
    anchors: Inputs = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))  # [A, F]
    judged: int = 0  # rows in all
    _seen: dict[int, None] = field(default_factory=dict)  # hashes of rows, the oldest first
    _last: Values | None = None  # [C]
    _new: Values | None = None  # [C] the last row that was no variant
    # [KEPT, 3] of judged rows, the oldest are written over: near, excess, reach
    _ring: Values = field(default_factory=lambda: np.zeros((KEPT, 3)))

    @property
    def num_bytes(self) -> int:
        """About how much memory it takes."""
        return self.anchors.nbytes + self._ring.nbytes + 100 * len(self._seen)

    def watch(self, queries: Queries, population: Population) -> None:
        """Judge the rows of a request in their order."""
        for begin in range(0, len(queries), _CHUNK):
            with np.errstate(over="ignore", invalid="ignore"):  # what is that large is near nothing
                self._watch(queries.take(slice(begin, begin + _CHUNK)), population)

    def _watch(self, of: Queries, population: Population) -> None:
        rows = np.where(np.isnan(of.rows), _HOLE, of.rows)
        new = ~self._find_variants(rows)
        new[new] = self._find_unseen(rows[new])
        inputs, cells = of.inputs[new], of.cells[new]
        near, same = self._find_near(inputs)
        excess, reach = population.excess[cells].sum(axis=1), population.reach[cells].sum(axis=1)
        found = np.stack([near, excess, reach], axis=1)[~same]
        slots = (self.judged + np.arange(len(found))) % KEPT
        self._ring[slots] = found
        self.judged += len(found)
        self._keep(inputs[~(near | same)])

    def _find_variants(self, rows: Values) -> Flags:
        """Which rows [N] are repeated, or differ from one that they may be a variant of in few columns."""
        most = min(VARIED, rows.shape[1] // 4)
        before = rows[:1] if self._last is None else self._last[None]
        previous = np.concatenate([before, rows[:-1]])
        least = np.minimum((rows != previous).sum(axis=1), (rows != rows[0]).sum(axis=1))
        if self._new is None:
            least[0] = rows.shape[1]
        else:
            least[0] = (rows[0] != previous[0]).sum()
            least = np.minimum(least, (rows != self._new).sum(axis=1))
        is_variant = np.asarray(least <= most)
        self._last = rows[-1]
        if not is_variant.all():
            self._new = rows[np.flatnonzero(~is_variant)[-1]]
        return is_variant

    def _find_unseen(self, rows: Values) -> Flags:
        """Which rows [M] are not among those that came last; they are from now on."""
        flags = []
        for row in rows:
            key = hash(row.tobytes())
            flags.append(key not in self._seen)
            self._seen[key] = None
        while len(self._seen) > MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return np.array(flags, dtype=bool)

    def _find_near(self, inputs: Inputs) -> tuple[Flags, Flags]:
        """Which inputs [M] are near an anchor or an earlier one of them, and which are equal to one."""
        count = len(inputs)
        if not count:
            return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
        others = np.concatenate([self.anchors, inputs]) if self.anchors.size else inputs
        squares = np.einsum("ij,ij->i", others, others)
        likeness = inputs @ others.T  # becomes x·a − |a|² / 2, which is greatest where a is closest
        likeness -= squares / 2
        likeness[:, len(others) - count :][np.triu_indices(count)] = -np.inf
        closest = likeness.argmax(axis=1)
        distances = squares[-count:] - 2 * likeness[np.arange(count), closest]
        near = distances <= self.radius**2
        same = np.zeros(count, dtype=bool)
        candidates = np.flatnonzero(near)
        equal = (inputs[candidates] == others[closest[candidates]]).all(axis=1)
        same[candidates] = equal
        return near & ~same, same

    def _keep(self, inputs: Inputs) -> None:
        """Add anchors, and drop the oldest beyond as many as may be kept."""
        if not len(inputs):
            return
        most = min(MOST_ANCHORS, max(1, MOST_ANCHOR_BYTES // inputs[0].nbytes))
        own = np.concatenate([self.anchors, inputs]) if self.anchors.size else inputs
        self.anchors = own[-most:].copy()

    def read_signs(self, limit: float) -> Signs:
        """The signs of the judged rows that are kept; `limit` is that of `away` (0 … 1)."""
        count = min(self.judged, KEPT)
        if not count:
            return Signs(0, 0.0, 0.0, np.nan, -np.inf)
        near, excess, reach = self._ring[:count].T
        share = float(near.mean())
        error = (share * (1 - share) / count) ** 0.5
        fresh = near == 0
        away, least = _read_away(excess[fresh], reach[fresh], limit)
        return Signs(count, share, share - SIGMAS * error, away, least)


def _read_away(excess: Values, reach: Values, limit: float) -> tuple[float, float]:
    """The ratio of sums of rows [M], and `limit` plus how surely it is beyond that, in the ratio's unit."""
    if len(excess) < 2 or reach.mean() < 0.1:  # nats: even draws would look like the training
        return np.nan, -np.inf
    beyond = excess - limit * reach
    error = float(beyond.std(ddof=1)) / len(beyond) ** 0.5
    mean = float(reach.mean())
    return float(excess.mean()) / mean, limit + (float(beyond.mean()) - SIGMAS * error) / mean
