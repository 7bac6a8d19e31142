"""Encrypted sums: the stages of `calyx-secagg/1` over Flower's messages, all groups in step.

A thin adapter: what may be opened, and when, is decided in `calyx.secagg`, and by every client for
itself. It adds who is silent, how many clients the run wants in its sums, and what to say of it.
"""

import hashlib
from collections.abc import Callable, Mapping

from flwr.app import Message, RecordDict

from calyx.errors import WireError
from calyx.machine.spans import span
from calyx.questions.segments import Segments, rules_of
from calyx.run.order import Abandoned, Link
from calyx.secagg.aggregator import STAGES, Aggregator, Bodies, GroupFailed, named_liars
from calyx.secagg.rules import Subject, context
from calyx.wire import messages as wire
from server.exchange.exchange import LOST_GROUP, Exchange, GroupSum, GroupSums, required_of
from server.exchange.giving_up import abandon
from server.exchange.sending import Delivery
from server.exchange.underway import Record, Underway, masked_sum
from server.federation import Federation

Take = Callable[[Aggregator, Bodies], dict[int, bytes]]


class SecureSums:
    """The sums of one attempt: an aggregator a group, and what became of each client.

    Raises ValueError for a federation without a roster.
    """

    def __init__(
        self, federation: Federation, exchange: Exchange, order: str, segments: Segments
    ) -> None:
        clients = federation.clients
        if clients.roster is None:
            raise ValueError("encrypted sums need a roster")
        self._federation, self._exchange = federation, exchange
        self._channel, self._roster = clients.channel, clients.roster
        self._required = required_of(federation.run, exchange)
        self._index = {name: i for i, group in enumerate(exchange.groups) for name in group}
        digest = hashlib.sha256(order.encode()).digest()
        self._groups = {
            i: self._aggregator(i, digest, segments) for i in range(len(exchange.groups))
        }
        self._sums: dict[int, GroupSum] = {}
        self._failed: dict[int, str] = {}  # group → why it has no sum
        self._missing: dict[str, str] = {}  # client → why it gave nothing
        self._silent: set[str] = set()
        self._accusers: dict[str, set[str]] = {}  # accused → by whom
        self._abandoned: tuple[Abandoned, ...] = ()
        self._bytes_up = self._bytes_down = 0
        self._is_repeatable = True

    def collect(self, content: RecordDict) -> GroupSums:
        """Send the order in `content`, and bring the protocol to its end or give its sums up."""
        exchange, underway = self._exchange, self._federation.underway
        if underway is not None:
            record = underway.find(exchange)
            if record and record.reveals and record.attempt == exchange.attempt:
                return self._reopen(underway, record)
            underway.note_order(exchange)
        orders = dict.fromkeys(exchange.cohort, content)
        delivery = self._channel.send(orders, exchange.question.message_type)
        absent = (name for name in exchange.cohort if name not in delivery.asked)
        self._missing = dict.fromkeys(absent, "not connected")
        requests = self._advance(self._read(0, delivery), Aggregator.take_advertisements)
        takes = (Aggregator.take_shares, Aggregator.take_vectors, Aggregator.take_consents)
        for stage, take in enumerate(takes, start=1):
            if stage == 2 and underway is not None:
                underway.note_masking(exchange, self._living)
            requests = self._advance(self._ask(stage, requests), take)
            alive = len(requests) if stage < 2 else self._num_summed()
            if alive < self._required:
                if stage >= 2:
                    self._abandon()
                return self._finish()
        if underway is not None:
            by_group = {self._index[name]: request for name, request in requests.items()}
            underway.note_opening(exchange, self._living, by_group)
        return self._open(requests)

    def _open(self, requests: Mapping[str, bytes]) -> GroupSums:
        """Stage 4: take the masks off. From here on no other attempt may follow."""
        self._is_repeatable = False
        bodies = self._ask(4, requests)
        for i, aggregator in self._living.items():
            try:
                with span("aggregate"):
                    total = aggregator.take_reveals(self._of_group(aggregator, bodies))
            except GroupFailed as error:
                self._failed[i] = str(error)
            else:
                names = tuple(sorted(self._roster.name(u) for u in aggregator.summed))
                self._sums[i] = GroupSum(total, names)
        return self._finish()

    def _reopen(self, underway: Underway, record: Record) -> GroupSums:
        """Stage 4 once more, of sums that an earlier server had begun to open."""
        requests: dict[str, bytes] = {}
        for i, reveal in record.reveals.items():
            self._groups[i] = underway.restore(record, i, self._groups[i].rules)
            names = [self._roster.name(u) for u in self._groups[i].summed]
            requests |= {n: reveal.request for n in names if n in self._channel.nodes}
        lost = self._groups.keys() - record.reveals.keys()
        self._failed = dict.fromkeys(lost, "it had failed before the server was started again")
        return self._open(requests)

    def _abandon(self) -> None:
        """Have every client erase its shares, so that the same model may be asked for again.

        Without enough signatures for a sum that holds vectors, no attempt may follow.
        """
        masked = {i: masked_sum(a) for i, a in self._groups.items() if a.root}
        answer = abandon(self._channel, self._roster, masked.values(), self._silent)
        self._bytes_up += answer.bytes_up
        self._bytes_down += answer.bytes_down
        proofs = []
        for i, one in masked.items():
            proof = answer.proofs[one.ctx]
            signed = len(proof.signatures)
            if self._groups[i].summed and signed < one.needed:
                self._is_repeatable = False
                self._failed[i] = (
                    f"{signed} of {one.needed} clients gave the old sum up, too few to ask again"
                )
            elif signed:
                proofs.append(proof)
        self._abandoned = tuple(proofs)

    def _ask(self, stage: int, requests: Mapping[str, bytes]) -> dict[str, bytes]:
        """Send a stage's requests; the bodies of the replies by name."""
        contents = {
            name: wire.stage_content(self._group_of(name).ctx, body)
            for name, body in requests.items()
        }
        delivery = self._channel.send(contents, wire.STAGE_TYPES[stage])
        return self._read(stage, delivery)

    def _read(self, stage: int, delivery: Delivery) -> dict[str, bytes]:
        """Bodies by name; who refused, failed or stayed silent is missing from now on."""
        self._bytes_down += delivery.bytes_down
        bodies = {}
        for name, reply in delivery.replies.items():
            if reply.has_error():
                self._missing.setdefault(name, wire.failure_reason(reply))
                self._note_accusation(name, reply)
                continue
            self._bytes_up += wire.payload_bytes(reply.content)
            try:
                ctx, body = wire.read_stage(reply)
            except WireError as error:
                self._missing.setdefault(name, str(error))
                continue
            if ctx == self._group_of(name).ctx:
                bodies[name] = body
            else:
                self._missing.setdefault(name, "its reply is of another context")
        silent = delivery.asked - delivery.replies.keys()
        self._silent |= silent
        for name in silent:
            self._missing.setdefault(name, f"no reply at stage {stage} ({STAGES[stage]})")
        return bodies

    def _note_accusation(self, name: str, reply: Message) -> None:
        note = wire.read_refusal(reply)
        if note is None or note.accused is None or note.accused >= len(self._roster):
            return
        accused = self._roster.name(note.accused)
        # Only members of one group see each other's messages.
        if accused in self._index and self._index[accused] == self._index[name]:
            self._accusers.setdefault(accused, set()).add(name)

    def _advance(self, bodies: Mapping[str, bytes], take: Take) -> dict[str, bytes]:
        """Give every living group its replies; the next stage's requests by name."""
        requests: dict[str, bytes] = {}
        for i, aggregator in self._living.items():
            try:
                with span("aggregate"):
                    mine = take(aggregator, self._of_group(aggregator, bodies))
                requests |= {self._roster.name(u): body for u, body in mine.items()}
            except GroupFailed as error:
                self._failed[i] = str(error)
        return requests

    def _aggregator(self, index: int, order: bytes, segments: Segments) -> Aggregator:
        """Of the group with this index, before stage 0; `order` is the order's digest."""
        federation, exchange, roster = self._federation, self._exchange, self._roster
        subject = Subject(
            task=federation.contents.task.name,
            run=federation.run_id,
            kind=exchange.kind,
            round=exchange.round,
            attempt=exchange.attempt,
            group=index,
            order=order,
        )
        names = exchange.groups[index]
        rules = rules_of(
            federation.run.privacy, segments, len(roster), len(exchange.groups), len(names)
        )
        members = tuple(sorted(roster.indices[name] for name in names))
        return Aggregator(context(subject, roster.digest, rules), rules, roster, members)

    def _group_of(self, name: str) -> Aggregator:
        return self._groups[self._index[name]]

    def _of_group(self, aggregator: Aggregator, bodies: Mapping[str, bytes]) -> Bodies:
        """The bodies of one group's clients, by their index on the roster."""
        names = {u: self._roster.name(u) for u in aggregator.group}
        return {u: bodies[name] for u, name in names.items() if name in bodies}

    @property
    def _living(self) -> dict[int, Aggregator]:
        """The groups that have not failed."""
        return {i: a for i, a in self._groups.items() if i not in self._failed}

    def _num_summed(self) -> int:
        """Clients in the sums that can still be opened."""
        return sum(len(aggregator.summed) for aggregator in self._living.values())

    def _finish(self) -> GroupSums:
        """The sums, and of every client that is in none of them why."""
        inside = {name for one in self._sums.values() for name in one.names}
        opened = [self._groups[i] for i in self._sums]
        return GroupSums(
            sums=self._sums,
            dropped={n: self._reason(n) for n in self._exchange.cohort if n not in inside},
            bytes_up=self._bytes_up,
            bytes_down=self._bytes_down,
            links=tuple(Link(ctx=a.ctx.hex(), root=a.root.hex()) for a in opened),
            abandoned=self._abandoned,
            accused=frozenset(
                name
                for name, accusers in self._accusers.items()
                if len(accusers) > self._group_of(name).rules.colluders
            ),
            notes=tuple(note for a in self._groups.values() for note in self._liars(a)),
            is_repeatable=self._is_repeatable,
        )

    def _liars(self, aggregator: Aggregator) -> list[str]:
        """Sentences about who dealt or revealed shares that do not fit."""
        named = named_liars(aggregator.blames, aggregator.rules.colluders)
        notes = [
            f"Shares between {self._roster.name(u)} and {count} others do not fit: it lies or is broken."
            for u, count in sorted(named.items())
        ]
        return notes + [
            f"A share that {self._roster.name(b.dealer)} dealt and {self._roster.name(b.holder)} "
            "revealed does not fit: one of the two lies or is broken."
            for b in aggregator.blames
            if b.dealer not in named and b.holder not in named
        ]

    def _reason(self, name: str) -> str:
        own = self._group_of(name).dropped.get(self._roster.indices[name])
        group = self._failed.get(self._index[name]) or "it was given up"
        return self._missing.get(name) or own or f"{LOST_GROUP}: {group}"
