"""The embedded engine: a Flower grid whose nodes are clients in worker processes. No server, no Ray.

The same `server.app:app` and `client.app:app` run on it as on separate machines. It knows no
algorithm and no round: messages go in, replies come out.
"""

from collections.abc import Iterable
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from typing_extensions import override

from calyx.config.section import Section
from calyx.flower.messages import Run, as_task, empty_run, label_message
from calyx.simulation.clients import CLIENTS, OURS, RUN_ID, Answer, App, Attempt, Clients
from calyx.simulation.delivery import Delivery, Onlooker
from calyx.simulation.identities import Identities
from calyx.simulation.jobs import Failed, Parcel
from calyx.simulation.sums import Summation
from calyx.simulation.workers import WorkerPool
from calyx.wire import messages as wire
from server.exchange.plain_sums import Added, Addends


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
        *,
        app: App = OURS,
    ) -> None:
        self._pool, self._onlooker = pool, onlooker
        self.clients = Clients(identities, section, store, app)
        self.client_nodes = self.clients.nodes
        self._parcel = Parcel(CLIENTS, self.clients)
        self._states: dict[int, RecordDict] = {}  # that clients have written, by node
        self._costs: dict[int, float] = {}  # seconds of clients' last answers, by node
        self._is_together = False
        self._sent: dict[str, Message] = {}
        self._count = 0
        self._run = empty_run(RUN_ID)
        as_task(RUN_ID)

    def compute_together(self) -> None:
        """Let each worker compute the trainings of an order as one from now on, where it adds vectors up."""
        self._is_together = True

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

    @property
    def can_add(self) -> bool:
        """Whether the clients are ours, whose vectors can be added up where they are made."""
        return self.clients.app.is_ours

    def add_up(self, addends: Addends, timeout: float | None) -> Added:
        """The sum of each group; no message is made, and nothing else is different."""
        summation = Summation(
            self._pool, self._parcel, self._onlooker, is_together=self._is_together
        )
        added = summation.run(addends, self._costs, timeout)
        as_task(RUN_ID)  # without workers the clients have run in this process
        nodes = [node for group in addends.groups for node in group]
        for node in nodes:
            if (account := summation.accounts.get(node)) is not None:
                self._costs[node] = account.seconds
                self._onlooker.on_answer(self.client_nodes.name_of(node), account)
        if nodes:
            self._onlooker.on_progress(addends.message_type, len(nodes), len(nodes))
        return added

    def _deliver(self, messages: list[Message], timeout: float | None) -> list[Message]:
        delivery = Delivery(self._pool, self._parcel, self._onlooker)
        attempts = delivery.run(messages, self._states, timeout)
        as_task(RUN_ID)  # without workers the clients have run in this process
        replies = [
            self._reply(message, attempt)
            for message, attempt in zip(messages, attempts, strict=True)
        ]
        if messages:
            kind = messages[0].metadata.message_type
            self._onlooker.on_progress(kind, len(messages), len(messages))
        return replies

    def _reply(self, message: Message, attempt: Attempt) -> Message:
        if isinstance(attempt, Failed):
            return wire.engine_failure(attempt.reason, message)
        answer: Answer = attempt.value
        node = message.metadata.dst_node_id
        if answer.state is not None:
            self._states[node] = answer.state
        self._onlooker.on_answer(self.client_nodes.name_of(node), answer.account)
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
