"""The one wrapper of a grid: a strategy sees exactly the cohort, and one reply a group.

Clients answer with fixed-point vectors, masked or plain; only their sums are decoded, and each
becomes a reply that any Flower strategy understands: the group's mean weights, its weight and its
metrics. There is never a second wrapper.
"""

import time
from collections.abc import Iterable

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from calyx.data.schema import Schema
from calyx.errors import CalyxError, RoundFailed
from calyx.flower.messages import Patience, Run
from calyx.model.metrics import figures
from calyx.model.weights import Weights, apply_update, hash_weights
from calyx.questions.layouts import Parts, parts_of, rules_of, statistics_parts, survey_of
from calyx.run.order import Order, to_json
from calyx.vector.contribution import Aggregate
from calyx.wire import messages as wire
from calyx.wire import records
from server.exchange.exchange import Collected, Exchange, Outcome, TooFewReplies
from server.exchange.giving_up import GivingUp
from server.exchange.plain_sums import PlainSums
from server.exchange.secure_sums import Ask, SecureSums
from server.exchange.soundness import sound_sums
from server.federation import Federation
from server.sampling import required_replies


class CohortGrid(Grid):
    """Open an `Exchange`, let a strategy send and receive through it, and read its `outcome`."""

    def __init__(self, federation: Federation) -> None:
        self._federation, self._contents = federation, federation.contents
        self._inner, self._nodes = federation.clients.grid, federation.clients.nodes
        self._exchange: Exchange | None = None
        self._outcome: Outcome | None = None
        self._evaluations: list[Message] = []

    def open(self, exchange: Exchange) -> None:
        """Show this exchange's cohort from now on."""
        self._exchange, self._outcome, self._evaluations = exchange, None, []

    @property
    def exchange(self) -> Exchange:
        """The open exchange. Raises RuntimeError if there is none."""
        if self._exchange is None:
            raise RuntimeError("no exchange is open")
        return self._exchange

    @property
    def outcome(self) -> Outcome:
        """What came of the open exchange. Raises RuntimeError before `send_and_receive`."""
        if self._outcome is None:
            raise RuntimeError("the exchange has no outcome yet")
        return self._outcome

    @property
    def evaluations(self) -> list[Message]:
        """Of a training that also validated: one reply a group, as an evaluation would give it."""
        return self._evaluations

    def get_node_ids(self) -> Iterable[int]:
        """Nodes of the cohort's clients that are connected, in the order of their names."""
        return [self._nodes[name] for name in self.exchange.cohort if name in self._nodes]

    def take_up(self, exchange: Exchange) -> Exchange:
        """The exchange as it must be asked for after a server that died in it. Raises RoundFailed."""
        federation, roster = self._federation, self._federation.clients.roster
        if federation.underway is None or roster is None:
            return exchange
        giving = GivingUp(self._inner, self._nodes, roster, federation.run.deadline_s)
        return giving.take_up(exchange, federation.underway)

    def wait_for_cohort(self) -> None:
        """Until every client of the cohort is connected, or the deadline of a stage has passed."""
        deadline, patience = time.monotonic() + self._federation.run.deadline_s, Patience()
        wanted = set(self.get_node_ids())
        while not wanted <= set(self._inner.get_node_ids()) and time.monotonic() < deadline:
            patience.sleep()

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send the exchange's order with the strategy's weights; return one reply a group.

        Raises TooFewReplies, and CalyxError if the strategy's messages are not one for each node
        of the cohort with the same weights for all.
        """
        exchange, run, sent = self.exchange, self._federation.run, list(messages)
        roster = self._federation.clients.roster
        weights = self._weights(sent)
        order = self._order(exchange, weights)
        content = wire.order_content(weights, order)
        parts = self._parts(exchange)
        if roster is None:
            plain = PlainSums(self._inner, self._nodes, run.deadline_s)
            fixed = parts.layouts[0].fixed
            collected = plain.collect(exchange, content, parts.length, fixed)
        else:
            sizes = [(len(exchange.groups), len(group)) for group in exchange.groups]
            rules = [rules_of(run.privacy, parts, len(roster), s) for s in sizes]
            ask = Ask(exchange, content, order, tuple(rules))
            collected = SecureSums(self._federation, roster).collect(ask)
        return self._group_replies(weights, parts, collected, sent[0])

    def _parts(self, exchange: Exchange) -> Parts:
        privacy, terms = self._federation.run.privacy, self._federation.terms
        if exchange.kind == "statistics":
            return statistics_parts(privacy, survey_of(self._contents.task, terms))
        kind, is_validated = exchange.kind, exchange.is_validated
        return parts_of(kind, is_validated, privacy, self._contents, terms.cv)

    def _weights(self, sent: list[Message]) -> Weights:
        if not list(self.get_node_ids()):
            raise RoundFailed(f"No client of round {self.exchange.round}'s cohort is connected")
        if sorted(m.metadata.dst_node_id for m in sent) != sorted(self.get_node_ids()):
            raise CalyxError("The strategy did not send one message to each client of the cohort.")
        first = sent[0].content
        if any(m.content is not first and m.content != first for m in sent):
            raise CalyxError("The strategy sent different messages to the clients of one cohort.")
        return records.read_weights(wire.only_arrays(first), self._federation.template)

    def _order(self, exchange: Exchange, weights: Weights) -> str:
        federation, members = self._federation, self._federation.clients.members
        return to_json(
            Order(
                protocol="calyx/1",
                run=federation.run_id,
                kind=exchange.kind,
                round=exchange.round,
                attempt=exchange.attempt,
                weights=hash_weights(weights),
                is_validated=exchange.is_validated,
                previous=exchange.previous,
                abandoned=exchange.abandoned,
                groups=exchange.groups,
                members=members if len(exchange.groups) > 1 else None,
                rounds=federation.run.rounds,
                best=exchange.best,
                deadline_s=federation.run.deadline_s,
                terms=federation.terms,
            )
        )

    def _group_replies(
        self, weights: Weights, parts: Parts, collected: Collected, sent: Message
    ) -> list[Message]:
        sound = sound_sums(collected, parts, self._contents.task.schema)
        for group, ours in sound.items():
            names = collected.sums[group][1]
            collected.odd += [(group, odd) for odd in self._odd(names, ours, parts)]
        sums = list(sound.values())
        trained = [ours[0] for ours in sums if parts.train]
        first = len(parts.layouts) - len(parts.evaluations)
        folds = [ours[first:] for ours in sums if parts.evaluations]
        counted = tuple(ours[0] for ours in sums if parts.statistics)
        self._outcome = Outcome(
            self.exchange, tuple(trained), tuple(map(tuple, folds)), collected, counted
        )
        required = required_replies(self._federation.run.min_replies, len(self.exchange.cohort))
        if self._outcome.replies < required or not sums:
            raise TooFewReplies(self._outcome, required)
        if parts.statistics or self.exchange.kind == "cv":
            return []  # no strategy's business
        evaluated = self._outcome.evaluated
        # Addressed as replies to any message: Flower's strategies look at contents only.
        validated = [
            Message(content, reply_to=sent)
            for content in _evaluations(evaluated, self._contents.task.schema)
        ]
        if parts.train is None:
            return validated
        self._evaluations = validated
        return [Message(_training(weights, a), reply_to=sent) for a in trained]

    def _odd(self, names: tuple[str, ...], ours: list[Aggregate], parts: Parts) -> list[str]:
        kind, found = self.exchange.kind, []
        if parts.train is not None:
            found += self._federation.watch.of_training(names, ours[0], parts.train.fixed.clip)
        if kind in ("train", "evaluate", "test") and parts.evaluations:
            part = "test" if kind == "test" else "validation"
            found += self._federation.watch.of_evaluation(part, names, ours[-1])
        return found

    @property
    def run(self) -> Run:
        """The inner grid's."""
        return self._inner.run

    def set_run(self, run: Run) -> None:
        """Pass on."""
        self._inner.set_run(run)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Pass on."""
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refused: replies of single clients are not to be had."""
        raise NotImplementedError(
            "Only send_and_receive is possible: a strategy sees sums of replies."
        )

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refused: replies of single clients are not to be had."""
        raise NotImplementedError(
            "Only send_and_receive is possible: a strategy sees sums of replies."
        )


def _training(weights: Weights, aggregate: Aggregate) -> RecordDict:
    mean = apply_update(weights, aggregate.update)
    others = {k: v for k, v in aggregate.metrics.items() if k != "loss"}
    metrics = {"train_loss": aggregate.metrics["loss"]} | others
    return wire.group_content(mean, aggregate.weight, metrics)


def _evaluations(groups: tuple[Aggregate, ...], schema: Schema) -> list[RecordDict]:
    """One reply a group that has rows, with the figures that all of these can tell.

    Flower's strategies divide by the rows, and want the same figures of all.
    """
    found = []
    for group in groups:
        n = int(group.counts.get("rows", group.counts["clients"])[0])
        if n > 0:
            found.append((n, figures(schema, group.counts).named("val_").values))
    told = [k for k in found[0][1] if all(f[k] is not None for _, f in found)] if found else []
    return [wire.group_content({}, n, {k: float(f[k] or 0.0) for k in told}) for n, f in found]
