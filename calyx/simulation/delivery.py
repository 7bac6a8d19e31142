"""One message each to many clients, and what they answer, whatever becomes of their workers.

A client lives in one worker (its home), which gets the messages of all its clients as one job. Where
a worker dies, the client that it was at is asked once more; and so is who had answered by then and
kept something in that process. See docs/decisions/0073.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from flwr.app import Message, RecordDict

from calyx.simulation.clients import ORDER, Account, Asked, Attempt, Content, answer_messages
from calyx.simulation.workers import Died, Done, Failed, Job, Parcel, Result, WorkerPool

MOST_DEATHS = 2  # of workers at one client's work; after the first it is done again
LATE = "no reply before the deadline"


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
        deadline = None if timeout is None else time.monotonic() + timeout
        asked, parcels = _pack(messages, states)
        while waiting := [i for i in range(len(messages)) if i not in self._attempts]:
            if deadline is not None and time.monotonic() >= deadline:
                self._attempts |= dict.fromkeys(waiting, Failed(LATE))
            else:
                self._ask(waiting, asked, (self._clients, *parcels), deadline)
        return [self._attempts[i] for i in range(len(messages))]

    def _ask(
        self,
        waiting: list[int],
        asked: Sequence[Asked],
        parcels: tuple[Parcel, ...],
        deadline: float | None,
    ) -> None:
        by_home: dict[int, list[int]] = {}
        for i in sorted(waiting, key=lambda i: self._deaths[i]):  # who may kill a worker, last
            by_home.setdefault(self._home(i), []).append(i)
        positions = list(by_home.values())
        jobs = [
            Job(home, answer_messages, ([asked[i] for i in own], deadline), parcels)
            for home, own in by_home.items()
        ]

        def on_told(index: int, came: list[tuple[int, Attempt]]) -> None:
            self._attempts |= {positions[index][at]: attempt for at, attempt in came}
            done, total = len(self._attempts), len(self._messages)
            if done < total:
                kind = self._messages[0].metadata.message_type
                self._onlooker.on_progress(kind, done, total)

        def on_result(index: int, result: Result) -> None:
            own = positions[index]
            if isinstance(result, Done):
                on_told(index, result.value)
                result = Failed(LATE)  # it stops at the deadline
            if isinstance(result, Died):
                self._bury(own, result)
            else:
                left = [i for i in own if i not in self._attempts]
                self._attempts |= dict.fromkeys(left, result)

        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._pool.run(jobs, left, on_result, on_told)

    def _bury(self, own: list[int], died: Died) -> None:
        """Decide who of a dead worker's clients is asked again."""
        home, left = self._home(own[0]), [i for i in own if i not in self._attempts]
        if died.at < 0:
            self._stillborn[home] += 1
            if self._stillborn[home] >= MOST_DEATHS:
                self._attempts |= dict.fromkeys(left, died)
        elif left:
            culprit = own[died.at] if own[died.at] in left else left[0]
            self._deaths[culprit] += 1
            if self._deaths[culprit] >= MOST_DEATHS:
                self._attempts[culprit] = died
            else:
                clients = self._clients.value
                self._onlooker.on_death(clients.nodes.name_of(self._node(culprit)), died.reason)
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
