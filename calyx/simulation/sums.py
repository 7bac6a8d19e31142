"""The sums of many clients' vectors, made where the vectors are: a worker sends one for many clients.

Nothing is encrypted here, so that clients keep nothing and any worker can take any of them. Each has a
worker all the same, which has read its rows; there those that took longest last time come first, and
the parts get smaller towards the end, which an idle worker may take over. Of a part whose worker dies
all clients are asked again. See docs/decisions/0073.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from calyx.simulation.clients import ORDER, Account, Part, add_vectors
from calyx.simulation.delivery import MOST_DEATHS, Clock, Onlooker
from calyx.simulation.jobs import LATE, Died, Done, Expired, Job, Parcel, Result
from calyx.simulation.together import add_vectors_together
from calyx.simulation.workers import WorkerPool
from calyx.vector.quantise import Residues
from server.exchange.plain_sums import Added, Addends

_SHARE = 0.5  # of what is left for its worker, which a part is
_LEAST_S = 0.002  # of work in a part: handing one out and taking it back costs a tenth of that
Bunch = tuple[int, tuple[int, ...]]  # group, nodes


class Summation:
    """The sums of one order, as the parts of its clients come in."""

    def __init__(
        self, pool: WorkerPool, clients: Parcel, onlooker: Onlooker, *, is_together: bool = False
    ) -> None:
        self._pool, self._clients, self._onlooker = pool, clients, onlooker
        self._is_together = is_together
        self.accounts: dict[int, Account] = {}  # by node
        self._totals: dict[int, Residues] = {}  # by group
        self._failures: dict[int, str] = {}  # by node
        self._deaths = Counter[int]()  # by node

    def run(self, addends: Addends, costs: Mapping[int, float], timeout: float | None) -> Added:
        """Ask everybody once; `costs` are seconds of a client's last answer, by node."""
        clock = Clock(timeout)
        order = Parcel(ORDER, addends.content)
        deal_out = deal_evenly if self._is_together else deal
        bunches = list(deal_out(addends.groups, costs, self._pool.size))
        while bunches:
            bunches = self._ask(bunches, addends, order, clock)
        summed = frozenset(self.accounts.keys() - self._failures.keys())
        return Added(self._totals, summed, self._failures)

    def _ask(
        self, bunches: list[Bunch], addends: Addends, order: Parcel, clock: Clock
    ) -> list[Bunch]:
        """Ask the clients of these bunches; return those that must be asked again."""
        again: list[Bunch] = []
        late: list[Bunch] = []  # again, if one client is to blame
        under_way: dict[int, int] = {}  # bunch → clients that are done in it
        total = sum(map(len, addends.groups))
        jobs = [
            Job(
                None if self._is_together else nodes[0] % self._pool.size,
                add_vectors_together if self._is_together else add_vectors,
                (nodes, addends.message_type, addends.fixed, clock.deadline),
                (self._clients, order),
                is_movable=True,
            )
            for _, nodes in bunches
        ]

        def on_told(index: int, done: int) -> None:
            under_way[index] = done
            known = len(self.accounts.keys() | self._failures.keys()) + sum(under_way.values())
            if known < total:
                self._onlooker.on_progress(addends.message_type, known, total)

        def on_result(index: int, result: Result) -> None:
            group, nodes = bunches[index]
            if isinstance(result, Done):
                self._take(group, result.value)
            elif isinstance(result, Died):
                again.extend((group, some) for some in self._bury(nodes, result))
            elif isinstance(result, Expired) and clock.is_taken_by_one(result):
                clock.restart()
                culprit = nodes[result.at]
                self._failures[culprit] = LATE
                late.append((group, tuple(node for node in nodes if node != culprit)))
            elif result.reason == LATE:
                late.append((group, nodes))
            else:
                self._failures |= dict.fromkeys(nodes, result.reason)
            on_told(index, 0)

        self._pool.run(jobs, clock.left, on_result, on_told)
        return again if clock.left == 0.0 else again + [one for one in late if one[1]]

    def _take(self, group: int, part: Part) -> None:
        self.accounts |= part.accounts
        self._failures |= part.failures
        if part.total is None:
            return
        if group not in self._totals:
            self._totals[group] = part.total
            return
        total = self._totals[group]
        np.add(total, part.total, out=total)
        np.bitwise_and(total, np.uint32(part.mask), out=total)

    def _bury(self, nodes: tuple[int, ...], died: Died) -> Iterator[tuple[int, ...]]:
        """Of a part whose worker has died: who is asked again, beside whom."""
        culprits = nodes if died.at < 0 else (nodes[died.at],)
        for node in culprits:
            self._deaths[node] += 1
            if self._deaths[node] >= MOST_DEATHS:
                self._failures[node] = died.reason
        lasting = tuple(node for node in nodes if node not in self._failures)
        if not lasting:
            return
        names, said = self._clients.value.nodes, lasting[0]
        if culprits[0] in lasting:
            said = culprits[0]
            self._onlooker.on_death(names.name_of(said), died.reason)
        if died.at >= 0 and said == culprits[0]:
            yield (said,)  # alone: it may kill another worker
            lasting = tuple(node for node in lasting if node != said)
        if lasting:
            yield lasting


def deal_evenly(
    groups: tuple[tuple[int, ...], ...], costs: Mapping[int, float], workers: int
) -> Iterator[Bunch]:
    """One bunch of each group for each worker, of equally many clients; the costliest are spread."""
    for index, group in enumerate(groups):
        ranked = sorted(group, key=lambda node: (-costs.get(node, 0.0), node))
        shares = [tuple(ranked[first::workers]) for first in range(workers)]
        yield from ((index, share) for share in shares if share)


def deal(
    groups: tuple[tuple[int, ...], ...], costs: Mapping[int, float], workers: int
) -> Iterator[Bunch]:
    """Bunches of clients of one group and one worker (node modulo `workers`), for each in its order.

    `costs` are in seconds, by node; who has none counts as the mean of those that have.
    """
    known = [costs[node] for group in groups for node in group if node in costs]
    usual = sum(known) / len(known) if known else 1.0

    def cost_of(nodes: Iterable[int]) -> float:
        return sum(costs.get(node, usual) for node in nodes)

    for home in range(workers):
        own = {i: [n for n in group if n % workers == home] for i, group in enumerate(groups)}
        left = sum(map(cost_of, own.values()))
        for index, nodes in sorted(own.items(), key=lambda item: -cost_of(item[1])):
            bunch: list[int] = []
            for node in sorted(nodes, key=lambda node: (-cost_of((node,)), node)):
                bunch.append(node)
                if workers > 1 and cost_of(bunch) >= max(_LEAST_S, _SHARE * left):
                    yield index, tuple(bunch)
                    left -= cost_of(bunch)
                    bunch = []
            if bunch:
                yield index, tuple(bunch)
                left -= cost_of(bunch)
