"""The clients of a simulation as one process knows them, and what each answers to a message.

Of a worker's clients nothing comes from its parent but messages: a client is made where it is first
asked, and stays there. The engine knows no algorithm: what answers is a Flower ClientApp.
"""

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Message, Metadata, RecordDict
from flwr.clientapp import ClientApp

from calyx.config.section import Section
from calyx.flower.messages import as_task, rebuild_message
from calyx.flower.nodes import NumberedNodes
from calyx.questions.registry import questions
from calyx.simulation.identities import Identities
from calyx.simulation.jobs import Done, Failed, attempt, find_parcel, mark, tell
from calyx.vector.quantise import FixedPoint, Residues
from calyx.wire import messages as wire
from client import journal
from client.config import node_config
from client.context import LivingContext
from client.reply import bare_vector

RUN_ID = 1
CLIENTS, ORDER = "clients", "order"  # places of a worker's parcels
_SHOW_S = 0.05  # between two times that a display hears how far a sum is
_TELL_S = 0.02  # between two times that answers are handed over, which costs both processes


@dataclass(frozen=True)
class App:
    """What answers for the clients: a Flower ClientApp, ours or another."""

    reference: str = "client.app:app"  # module:attribute, as Flower's own configs name one

    @property
    def is_ours(self) -> bool:
        """Whether its clients are those of `client/`, which are known to leave an order as it is."""
        return self.reference == App.reference

    def load(self) -> ClientApp:
        """The app itself, in the process that is to run it."""
        module, _, attribute = self.reference.partition(":")
        app: ClientApp = getattr(import_module(module), attribute)
        return app


OURS = App()


@dataclass(frozen=True)
class Account:
    """What an onlooker may see of a client's work on one message."""

    notes: Sequence[journal.Note]
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What comes back from a client."""

    reply: Message
    account: Account
    state: RecordDict | None  # what it wrote into its Flower state, which outlives its process
    is_rooted: bool  # whether it keeps something beside that, which dies with its process


@dataclass(frozen=True)
class Content:
    """What a message holds, packed by the engine itself."""

    packed: bytes

    @classmethod
    def pack(cls, records: RecordDict) -> "Content":
        """The content of a message that is to be sent."""
        return cls(pickle.dumps(records))

    def unpack(self) -> RecordDict:
        """These records, made anew: an app may do with its own what it likes."""
        records: RecordDict = pickle.loads(self.packed)  # noqa: S301 - of the process beside this one
        return records

    @cached_property
    def shared(self) -> RecordDict:
        """These records as one object for all who only read them, as our own app does."""
        return self.unpack()


Attempt = Done | Failed  # what became of one client's message; of a Done the value is an Answer


@dataclass(frozen=True)
class Asked:
    """One client's message."""

    metadata: Metadata
    state: RecordDict | None  # as the client's last answer had it, for one that is made anew
    content: Content | None  # None is that of the parcel ORDER, which many clients get


class Clients:
    """Who they are, and the contexts of those that have been asked in this process."""

    def __init__(
        self, identities: Identities, section: Section, store: Path | None, app: App = OURS
    ) -> None:
        self.app = app
        self.nodes = NumberedNodes(identities.clients)
        self._identities, self._section, self._store = identities, section, store
        self._contexts: dict[int, LivingContext] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Who they are; contexts stay where they are."""
        return vars(self) | {"_contexts": {}}

    def context_of(self, node: int, state: RecordDict | None) -> LivingContext:
        """The context of one client, which this process keeps; a new one begins with `state`."""
        if node not in self._contexts:
            name = self.nodes.name_of(node)
            keys = self._identities.keys_of(name)
            values = node_config(name, self._section, keys, self._store)
            self._contexts[node] = LivingContext(RUN_ID, node, values)
            self._contexts[node].state = RecordDict() if state is None else state
        return self._contexts[node]


def answer_messages(asked: Sequence[Asked], deadline: float | None) -> list[tuple[int, Attempt]]:
    """In a worker: run clients on their messages; (position, attempt) of those not told before.

    It stops at the `deadline`, by the monotonic clock; who is left then is not among them.
    """
    clients: Clients = find_parcel(CLIENTS)
    attempts: list[tuple[int, Attempt]] = []
    told = time.monotonic()
    for position, one in enumerate(asked):
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            break
        if attempts and now - told > _TELL_S:
            tell(attempts)
            attempts, told = [], now
        mark(position)
        attempts.append((position, attempt(_answer, clients, one)))
    return attempts


def _answer(clients: Clients, asked: Asked) -> Answer:
    started = time.monotonic()
    content: Content = find_parcel(ORDER) if asked.content is None else asked.content
    records = content.shared if clients.app.is_ours else content.unpack()
    node = asked.metadata.dst_node_id
    as_task(RUN_ID, node)
    message, context = (
        rebuild_message(asked.metadata, records),
        clients.context_of(node, asked.state),
    )
    with journal.collect_notes() as notes:
        reply = clients.app.load()(message, context)
    account = Account(tuple(notes), time.monotonic() - started)
    return Answer(reply, account, context.state or None, bool(context.kept))


@dataclass(frozen=True)
class Part:
    """The sum of some clients' vectors, and what became of each client."""

    mask: int  # 2^M − 1
    total: Residues | None = None  # [D] modulo 2^M; None where nobody gave one
    accounts: dict[int, Account] = field(default_factory=dict)  # by node, of all who were asked
    failures: dict[int, str] = field(default_factory=dict)  # by node: who is not in the sum


def add_vectors(
    nodes: Sequence[int], message_type: str, fixed: FixedPoint, deadline: float | None
) -> Part:
    """In a worker: the sum of the vectors of clients, of ours, that get the parcel ORDER as their order.

    It stops at the `deadline`, by the monotonic clock; nothing is said of who is left then.
    """
    clients: Clients = find_parcel(CLIENTS)
    content: RecordDict = find_parcel(ORDER)
    question = next(q for q in questions().values() if q.message_type == message_type)
    part, told = Part(fixed.mask), time.monotonic()
    for position, node in enumerate(nodes):
        started = time.monotonic()
        if deadline is not None and started >= deadline:
            break
        if started - told > _SHOW_S:
            tell(position)
            told = started
        mark(position)
        as_task(RUN_ID, node)
        message, context = Message(content, node, message_type), clients.context_of(node, None)
        with journal.collect_notes() as notes:
            came = attempt(bare_vector, message, context, question)
        part.accounts[node] = Account(tuple(notes), time.monotonic() - started)
        part = _add(part, node, came)
    if part.total is not None:
        np.bitwise_and(part.total, np.uint32(part.mask), out=part.total)
    return part


def _add(part: Part, node: int, came: Done | Failed) -> Part:
    """The part with what came of one more client."""
    if isinstance(came, Failed):
        part.failures[node] = came.reason
    elif isinstance(came.value, Message):
        part.failures[node] = wire.failure_reason(came.value)
    elif part.total is None:
        return replace(part, total=came.value.copy())  # its client may use the memory again
    else:
        # In place: uint32 wraps by itself, and the mask at the end does the rest.
        np.add(part.total, came.value, out=part.total)
    return part
