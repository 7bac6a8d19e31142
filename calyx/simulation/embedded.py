"""The embedded engine: a Flower grid whose nodes are clients in worker processes. No server, no Ray.

The same `server.app:app` and `client.app:app` run on it as on separate machines. It knows no
algorithm and no round: messages go in, replies come out.
"""

import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flwr.app import Context, Message, Metadata, RecordDict
from flwr.serverapp import Grid
from typing_extensions import override

from calyx.config.section import Section
from calyx.flower.messages import (
    Run,
    as_task,
    empty_run,
    label_message,
    rebuild_message,
)
from calyx.flower.nodes import NumberedNodes
from calyx.simulation.identities import Identities
from calyx.simulation.workers import Done, Job, Result, WorkerPool
from calyx.wire import messages as wire
from client import journal
from client.app import app
from client.config import node_config

RUN_ID = 1


@dataclass(frozen=True)
class Answer:
    """What comes back from a client: its reply, its state, and what an onlooker may see."""

    reply: Message
    state: RecordDict
    notes: list[journal.Note]
    seconds: float


class Onlooker(Protocol):
    """Who looks on from outside; it influences nothing."""

    def on_answer(self, client: str, answer: Answer) -> None:
        """A client has answered."""
        ...

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """So many of a stage's clients have answered or failed."""
        ...


class Contexts(dict[int, Context]):
    """Flower's context of each client that was asked, by its node: begun when it is first asked."""

    def __init__(self, begin: Callable[[int], Context]) -> None:
        self._begin = begin

    def __missing__(self, node: int) -> Context:
        """Begin."""
        context = self[node] = self._begin(node)
        return context


class EmbeddedGrid(Grid):
    """A grid over the clients of a simulation, which share the section `client` of the config.

    It knows which node each client is, so that nobody asks all of them for their names.
    """

    def __init__(
        self,
        pool: WorkerPool,
        identities: Identities,
        section: Section,
        onlooker: Onlooker,
        store: Path | None = None,
    ) -> None:
        self._pool, self._onlooker = pool, onlooker
        self.client_nodes = NumberedNodes(identities.clients)

        def begin(node: int) -> Context:
            name = self.client_nodes.name_of(node)
            config = node_config(name, section, identities.keys_of(name), store)
            return Context(RUN_ID, node, dict(config), RecordDict(), {})

        self._contexts = Contexts(begin)
        self._sent: dict[str, Message] = {}
        self._count = 0
        self._run = empty_run(RUN_ID)
        as_task(RUN_ID)

    @override
    def get_node_ids(self) -> Iterable[int]:
        return self.client_nodes.ids

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Take messages for their clients, which run when the replies are pulled."""
        ids = []
        for message in messages:
            self._count += 1
            label_message(message.metadata, f"message-{self._count}")
            self._sent[message.metadata.message_id] = message
            ids.append(message.metadata.message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Run the clients of these messages to their end; each reply is delivered once."""
        return self._deliver([self._sent.pop(i) for i in message_ids if i in self._sent], None)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Run the messages' clients; after `timeout` seconds the rest fail with a reason."""
        ids = self.push_messages(messages)
        return self._deliver([self._sent.pop(i) for i in ids], timeout)

    def _deliver(self, messages: list[Message], timeout: float | None) -> list[Message]:
        replies: list[Message] = []

        def on_result(index: int, result: Result) -> None:
            message = messages[index]
            replies.append(self._reply(message, result))
            self._onlooker.on_progress(message.metadata.message_type, len(replies), len(messages))

        self._pool.run(self._jobs(messages), timeout, on_result)
        as_task(RUN_ID)  # without workers the clients have run in this process
        return replies

    def _jobs(self, messages: list[Message]) -> list[Job]:
        packed: dict[int, bytes] = {}  # a cohort shares one content: pickle it once
        jobs = []
        for message in messages:
            key = id(message.content)
            if key not in packed:
                packed[key] = pickle.dumps(message.content)
            node = message.metadata.dst_node_id
            jobs.append(
                Job(node, run_client, (packed[key], message.metadata, self._contexts[node]))
            )
        return jobs

    def _reply(self, message: Message, result: Result) -> Message:
        if not isinstance(result, Done):
            return wire.engine_failure(result.reason, message)
        answer: Answer = result.value
        node = message.metadata.dst_node_id
        # The state that counts is here, so that a client outlives its worker.
        self._contexts[node].state = answer.state
        self._onlooker.on_answer(self.client_nodes.name_of(node), answer)
        return answer.reply

    @property
    def run(self) -> Run:
        """A run that no SuperLink knows."""
        return self._run

    @override
    def set_run(self, run: Run) -> None:
        self._run = run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message, as Flower's own grids make it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)


def run_client(content: bytes, metadata: Metadata, context: Context) -> Answer:
    """In a worker: run the client app on one message."""
    as_task(RUN_ID, metadata.dst_node_id)
    started = time.monotonic()
    # Packed by the engine itself a moment ago.
    message = rebuild_message(metadata, pickle.loads(content))  # noqa: S301
    with journal.collect_notes() as notes:
        reply = app(message, context)
    return Answer(reply, context.state, list(notes), time.monotonic() - started)
