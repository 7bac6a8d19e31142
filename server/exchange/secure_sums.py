"""Encrypted sums: the stages of `calyx-secagg/1` over Flower's messages, all groups in step.

A thin adapter: what may be opened, and when, is decided in `calyx.secagg`, and by every client for
itself. It adds who is silent, how many clients the run wants in its sums, and what to say of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from calyx.errors import WireError
from calyx.flower.replies import send_and_wait
from calyx.run.order import Abandoned, Link
from calyx.secagg.aggregator import STAGES, Aggregator, Bodies, GroupFailed, named_liars
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Rules, Subject, context
from calyx.wire import messages as wire
from server.exchange.exchange import LOST_GROUP, Collected, Exchange
from server.exchange.giving_up import GivingUp
from server.exchange.plain_sums import by_sender, send_orders
from server.exchange.underway import Record, Underway, masked_sum
from server.federation import Federation
from server.sampling import required_replies

Take = Callable[[Aggregator, Bodies], dict[int, bytes]]


@dataclass(frozen=True)
class Ask:
    """An exchange, its message to every client, and the rules of each group's sum."""

    exchange: Exchange
    content: RecordDict
    order: str
    rules: tuple[Rules, ...]


class SecureSums:
    """Runs the protocol for every group of an exchange."""

    def __init__(self, federation: Federation, roster: Roster) -> None:
        self._grid, self._nodes = federation.clients.grid, federation.clients.nodes
        self._federation, self._roster = federation, roster
        self._deadline_s = federation.run.deadline_s

    def collect(self, ask: Ask) -> Collected:
        """The sums of those groups whose clients brought the protocol to its end."""
        run, underway = _Run(self._roster, ask, self._federation), self._federation.underway
        if underway is not None:
            record = underway.of(ask.exchange)
            if record and record.opening and record.attempt == ask.exchange.attempt:
                return self._reopen(run, ask, underway, record)
            underway.note_order(ask.exchange)
        orders, replies = send_orders(
            self._grid, self._nodes, ask.exchange, ask.content, self._deadline_s
        )
        run.collected.bytes_down += wire.payload_bytes(ask.content) * len(orders)
        run.missing = {name: "not connected" for name in ask.exchange.cohort if name not in orders}
        bodies = run.read(0, by_sender(orders, replies), set(orders))
        requests = run.advance(bodies, Aggregator.take_advertisements)
        takes = (Aggregator.take_shares, Aggregator.take_vectors, Aggregator.take_consents)
        for stage, take in enumerate(takes, start=1):
            if stage == 2 and underway is not None:
                underway.note_masking(ask.exchange, run.living)
            bodies = self._stage(run, stage, requests)
            requests = run.advance(bodies, take)
            alive = len(requests) if stage < 2 else run.members()
            if alive < run.required:
                if stage >= 2:
                    self._abandon(run)
                return run.finish()
        if underway is not None:
            underway.note_opening(ask.exchange, run.living, run.by_group(requests))
        return self._open(run, requests)

    def _open(self, run: "_Run", requests: Mapping[str, bytes]) -> Collected:
        run.collected.is_repeatable = False
        run.open(self._stage(run, 4, requests))
        return run.finish()

    def _reopen(self, run: "_Run", ask: Ask, underway: Underway, record: Record) -> Collected:
        """Stage 4 once more, of sums that an earlier server had begun to open."""
        requests: dict[str, bytes] = {}
        for i, (_, request) in record.opening.items():
            run.groups[i] = underway.restored(record, i, ask.rules[i])
            names = [run.name(u) for u in run.groups[i].summed]
            requests |= {name: request for name in names if name in self._nodes}
        run.lose(run.groups.keys() - record.opening.keys())
        return self._open(run, requests)

    def _stage(self, run: "_Run", stage: int, requests: Mapping[str, bytes]) -> dict[str, bytes]:
        sent = self._messages(run, wire.STAGE_TYPES[stage], requests)
        replies = send_and_wait(self._grid, sent.values(), self._deadline_s)
        return run.read(stage, by_sender(sent, replies), set(sent))

    def _abandon(self, run: "_Run") -> None:
        """Have every client erase its shares, so that the same model may be asked for again."""
        asked = {i: masked_sum(a) for i, a in run.groups.items() if a.root}
        giving = GivingUp(self._grid, self._nodes, self._roster, self._deadline_s)
        given = giving.ask(asked.values(), run.silent)
        run.collected.bytes_up += given.bytes_up
        run.collected.bytes_down += given.bytes_down
        run.take_abandonments({i: given.proofs[one.ctx] for i, one in asked.items()})

    def _messages(
        self, run: "_Run", kind: str, requests: Mapping[str, bytes]
    ) -> dict[str, Message]:
        made = {}
        for name, body in requests.items():
            content = wire.stage_content(run.group_of(name).ctx, body)
            run.collected.bytes_down += wire.payload_bytes(content)
            made[name] = Message(content, self._nodes[name], kind)
        return made


class _Run:
    """One exchange under way: an aggregator a group, who dropped out, who was accused."""

    def __init__(self, roster: Roster, ask: Ask, federation: Federation) -> None:
        exchange, self._roster = ask.exchange, roster
        self._exchange = exchange
        self.collected = Collected()
        self.missing: dict[str, str] = {}
        self.silent: set[str] = set()
        self._accusers: dict[str, set[str]] = {}  # accused → by whom
        self._failed: dict[int, str] = {}  # group → why
        self._index = {n: i for i, group in enumerate(exchange.groups) for n in group}
        digest = hashlib.sha256(ask.order.encode()).digest()
        self.groups: dict[int, Aggregator] = {}
        for i, names in enumerate(exchange.groups):
            subject = Subject(
                task=federation.contents.task.name,
                run=federation.run_id,
                kind=exchange.kind,
                round=exchange.round,
                attempt=exchange.attempt,
                group=i,
                order=digest,
            )
            ctx = context(subject, roster.digest, ask.rules[i])
            members = tuple(sorted(roster.indices[name] for name in names))
            self.groups[i] = Aggregator(ctx, ask.rules[i], roster, members)
        self.required = required_replies(federation.run.min_replies, len(exchange.cohort))

    def name(self, u: int) -> str:
        """The client's name."""
        return self._roster.name(u)

    def group_of(self, name: str) -> Aggregator:
        """The aggregator of the client's group."""
        return self.groups[self._index[name]]

    def read(self, stage: int, replies: Mapping[str, Message], asked: set[str]) -> dict[str, bytes]:
        """Bodies by name; who refused, failed or stayed silent is missing from now on."""
        bodies = {}
        for name, reply in replies.items():
            if reply.has_error():
                self.missing.setdefault(name, wire.failure_reason(reply))
                self._accuse(name, reply)
                continue
            self.collected.bytes_up += wire.payload_bytes(reply.content)
            try:
                ctx, body = wire.read_stage(reply)
            except WireError as error:
                self.missing.setdefault(name, str(error))
                continue
            if ctx == self.group_of(name).ctx:
                bodies[name] = body
            else:
                self.missing.setdefault(name, "its reply is of another context")
        self.silent |= asked - replies.keys()
        for name in asked - replies.keys():
            self.missing.setdefault(name, f"no reply at stage {stage} ({STAGES[stage]})")
        return bodies

    def _accuse(self, name: str, reply: Message) -> None:
        note = wire.read_refusal(reply)
        if note is None or note.accused is None or note.accused >= len(self._roster):
            return
        accused = self.name(note.accused)
        # Only members of one group see each other's messages.
        if accused in self._index and self._index[accused] == self._index[name]:
            self._accusers.setdefault(accused, set()).add(name)

    def advance(self, bodies: Mapping[str, bytes], take: Take) -> dict[str, bytes]:
        """Give every living group its replies; the next stage's requests by name."""
        requests: dict[str, bytes] = {}
        for i, aggregator in self.groups.items():
            if i in self._failed:
                continue
            mine = {u: bodies[n] for u in aggregator.group if (n := self.name(u)) in bodies}
            try:
                made = take(aggregator, mine)
                requests |= {self.name(u): body for u, body in made.items()}
            except GroupFailed as error:
                self._failed[i] = str(error)
        return requests

    @property
    def living(self) -> dict[int, Aggregator]:
        """The groups that have not failed."""
        return {i: a for i, a in self.groups.items() if i not in self._failed}

    def lose(self, groups: Iterable[int]) -> None:
        """These had failed before an earlier server died."""
        self._failed |= dict.fromkeys(groups, "it had failed before the server was started again")

    def by_group(self, requests: Mapping[str, bytes]) -> dict[int, bytes]:
        """Stage 4's request of each group: the same for all its clients."""
        return {self._index[name]: request for name, request in requests.items()}

    def members(self) -> int:
        """Clients in the sums that can still be opened."""
        return sum(len(a.summed) for i, a in self.groups.items() if i not in self._failed)

    def open(self, bodies: Mapping[str, bytes]) -> None:
        """Stage 4's replies: take the masks off."""
        for i, aggregator in self.groups.items():
            if i in self._failed:
                continue
            mine = {u: bodies[n] for u in aggregator.group if (n := self.name(u)) in bodies}
            try:
                total = aggregator.take_reveals(mine)
            except GroupFailed as error:
                self._failed[i] = str(error)
                continue
            finally:
                self._name_liars(aggregator)
            names = tuple(sorted(self.name(u) for u in aggregator.summed))
            self.collected.sums[i] = (total, names)
            link = Link(ctx=aggregator.ctx.hex(), root=aggregator.root.hex())
            self.collected.links = (*self.collected.links, link)

    def _name_liars(self, aggregator: Aggregator) -> None:
        named = named_liars(aggregator.blames, aggregator.rules.colluders)
        notes = [
            f"Shares between {self.name(u)} and {count} others do not fit: it lies or is broken."
            for u, count in sorted(named.items())
        ]
        notes += [
            f"A share that {self.name(b.dealer)} dealt and {self.name(b.holder)} revealed does not "
            "fit: one of the two lies or is broken."
            for b in aggregator.blames
            if b.dealer not in named and b.holder not in named
        ]
        self.collected.notes = (*self.collected.notes, *notes)

    def take_abandonments(self, given: Mapping[int, Abandoned]) -> None:
        """Proofs that these sums can never be opened; without one, no attempt may follow."""
        proofs = []
        for i, proof in given.items():
            aggregator, signed = self.groups[i], len(proof.signatures)
            needed = aggregator.rules.abandon_quorum(aggregator.n)
            if aggregator.summed and signed < needed:
                self.collected.is_repeatable = False
                self._failed[i] = (
                    f"{signed} of {needed} clients gave the old sum up, too few to ask again"
                )
            elif signed:
                proofs.append(proof)
        self.collected.abandoned = tuple(proofs)

    def finish(self) -> Collected:
        """Say of every client that is in no sum why."""
        inside = {name for _, names in self.collected.sums.values() for name in names}
        for name in self._exchange.cohort:
            if name not in inside:
                self.collected.dropped[name] = self._reason(name)
        self.collected.accused = frozenset(
            name
            for name, accusers in self._accusers.items()
            if len(accusers) > self.group_of(name).rules.colluders
        )
        return self.collected

    def _reason(self, name: str) -> str:
        own = self.group_of(name).dropped.get(self._roster.indices[name])
        known = self.missing.get(name) or own
        group = self._failed.get(self._index[name])
        return known or f"{LOST_GROUP}: {group or 'it was given up'}"
