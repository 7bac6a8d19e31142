"""One message each to many clients, and what they answer, whatever becomes of their workers.

A client lives in one worker (its home), which gets the messages of all its clients as one job. Where
a worker dies, the client that it was at is asked once more; and so is who had answered by then and
kept something in that process. Where one client takes all the time that there is, those of its home are
asked again without it: on a machine of their own they would not have waited. See docs/decisions/0073.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from flwr.app import Message, RecordDict

from calyx.simulation.clients import ORDER, Account, Asked, Attempt, Content, answer_messages
from calyx.simulation.jobs import LATE, Died, Done, Expired, Failed, Job, Parcel, Result
from calyx.simulation.workers import WorkerPool

MOST_DEATHS = 2  # of workers at one client's work; after the first it is done again
_HANGS = 0.5  # of the time for a message, of which a client that took more held the others up


class Onlooker(Protocol):
    """Who looks on from outside; it influences nothing."""

    def on_answer(self, client: str, account: Account) -> None:
        """A client has answered."""
        ...

    def on_death(self, client: str, reason: str) -> None:
        """A worker has died at a client's work, which is done again; `reason` is a clause."""
        ...

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """So many of a stage's clients have answered or failed."""
        ...


class Clock:
    """The time for a message, which begins anew for the others where one client has taken it all."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self.deadline = None if self._timeout is None else time.monotonic() + self._timeout

    @property
    def left(self) -> float | None:
        """Seconds; None without an end."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def is_taken_by_one(self, expired: Expired) -> bool:
        """Whether the client that an expired job was at has held up all behind it."""
        is_begun = expired.at >= 0 and self._timeout is not None
        return is_begun and expired.seconds > _HANGS * (self._timeout or 0.0)


class Delivery:
    """The messages of one call, and what is known of their answers; a position is that of a message."""

    def __init__(self, pool: WorkerPool, clients: Parcel, onlooker: Onlooker) -> None:
        self._pool, self._clients, self._onlooker = pool, clients, onlooker
        self._messages: Sequence[Message] = ()
        self._attempts: dict[int, Attempt] = {}  # by position
        self._deaths = Counter[int]()  # by position
        self._stillborn = Counter[int]()  # by home: deaths before the first client was begun

    def run(
        self, messages: Sequence[Message], states: dict[int, RecordDict], timeout: float | None
    ) -> list[Attempt]:
        """What became of each message, in their order; who is not done after `timeout` seconds fails.

        `states` are those that clients have written, by node; one that has died begins with it.
        """
        self._messages = messages
        clock = Clock(timeout)
        asked, parcels = _pack(messages, states)
        while waiting := [i for i in range(len(messages)) if i not in self._attempts]:
            if clock.left == 0.0:
                self._attempts |= dict.fromkeys(waiting, Failed(LATE))
            else:
                self._ask(waiting, asked, (self._clients, *parcels), clock)
        return [self._attempts[i] for i in range(len(messages))]

    def _ask(
        self,
        waiting: list[int],
        asked: Sequence[Asked],
        parcels: tuple[Parcel, ...],
        clock: Clock,
    ) -> None:
        by_home: dict[int, list[int]] = {}
        for i in sorted(waiting, key=lambda i: self._deaths[i]):  # who may kill a worker, last
            by_home.setdefault(self._home(i), []).append(i)
        positions, is_taken = list(by_home.values()), False
        jobs = [
            Job(home, answer_messages, ([asked[i] for i in own], clock.deadline), parcels)
            for home, own in by_home.items()
        ]

        def on_told(index: int, came: list[tuple[int, Attempt]]) -> None:
            self._attempts |= {positions[index][at]: attempt for at, attempt in came}
            done, total = len(self._attempts), len(self._messages)
            if done < total:
                kind = self._messages[0].metadata.message_type
                self._onlooker.on_progress(kind, done, total)

        def on_result(index: int, result: Result) -> None:
            nonlocal is_taken
            own = positions[index]
            if isinstance(result, Done):
                on_told(index, result.value)
                result = Failed(LATE)  # it stops at the deadline
            if isinstance(result, Died):
                self._bury(own, result)
            elif isinstance(result, Expired) and clock.is_taken_by_one(result):
                is_taken = True
                self._attempts[own[result.at]] = Failed(LATE)
                self._uproot(self._home(own[0]))
            else:
                left = [i for i in own if i not in self._attempts]
                self._attempts |= dict.fromkeys(left, result)

        self._pool.run(jobs, clock.left, on_result, on_told)
        if is_taken:
            clock.restart()

    def _bury(self, own: list[int], died: Died) -> None:
        """Decide who of a dead worker's clients is asked again."""
        home, left = self._home(own[0]), [i for i in own if i not in self._attempts]
        if died.at < 0:
            self._stillborn[home] += 1
            if self._stillborn[home] >= MOST_DEATHS:
                self._attempts |= dict.fromkeys(left, died)
            elif left:
                self._say(left[0], died)
        elif left:
            culprit = own[died.at] if own[died.at] in left else left[0]
            self._deaths[culprit] += 1
            if self._deaths[culprit] >= MOST_DEATHS:
                self._attempts[culprit] = died
            else:
                self._say(culprit, died)
        self._uproot(home)

    def _say(self, position: int, died: Died) -> None:
        names = self._clients.value.nodes
        self._onlooker.on_death(names.name_of(self._node(position)), died.reason)

    def _uproot(self, home: int) -> None:
        """Ask those again who have answered and kept something in a process that is gone."""
        for i in [i for i in self._attempts if self._home(i) == home]:
            if isinstance(attempt := self._attempts[i], Done) and attempt.value.is_rooted:
                del self._attempts[i]

    def _node(self, position: int) -> int:
        return self._messages[position].metadata.dst_node_id

    def _home(self, position: int) -> int:
        return self._node(position) % self._pool.size


def _pack(
    messages: Sequence[Message], states: dict[int, RecordDict]
) -> tuple[list[Asked], list[Parcel]]:
    """What each client gets; a content that all of them get is a parcel, and packed once."""
    contents = {id(message.content): message.content for message in messages}
    packed = {key: Content.pack(content) for key, content in contents.items()}
    is_shared = len(packed) == 1
    asked = [
        Asked(
            message.metadata,
            states.get(message.metadata.dst_node_id),
            None if is_shared else packed[id(message.content)],
        )
        for message in messages
    ]
    return asked, [Parcel(ORDER, one) for one in packed.values()] if is_shared else []
