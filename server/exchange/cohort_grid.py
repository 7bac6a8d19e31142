"""The one wrapper of a grid: a strategy sees exactly the cohort, and one reply a group.

Clients answer with fixed-point vectors, masked or plain; only their sums are decoded, and each
becomes a reply that any Flower strategy understands: the group's mean weights, its weight and its
metrics. A `CohortGrid` is made anew for each attempt of an exchange, and remembers nothing. There is
never a second wrapper.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from typing_extensions import override

from calyx.data.schema import Schema
from calyx.errors import CalyxError, RoundFailed
from calyx.flower.messages import Run
from calyx.model.metrics import figures
from calyx.model.weights import Weights, apply_update, hash_weights
from calyx.questions.evaluate import QUESTION as EVALUATE
from calyx.questions.segments import Inquiry, Segments
from calyx.run.order import Order, to_json
from calyx.vector.contribution import Aggregate
from calyx.wire import messages as wire
from calyx.wire import records
from server.exchange.exchange import (
    Exchange,
    GroupSums,
    OddSum,
    Outcome,
    TooFewReplies,
    required_of,
)
from server.exchange.plain_sums import collect_plain
from server.exchange.secure_sums import SecureSums
from server.exchange.soundness import decode_sums
from server.federation import Federation

_REFUSED = "Only send_and_receive is possible: a strategy sees sums of replies."


@dataclass(frozen=True)
class Answer:
    """The outcome of an exchange, and the same as one reply a group for Flower's strategies."""

    outcome: Outcome
    trained: tuple[Message, ...]  # for `aggregate_train`; none if nothing was trained
    evaluated: tuple[Message, ...]  # for `aggregate_evaluate`; of groups that have rows


class CohortGrid(Grid):
    """The grid of one exchange, as Flower's strategies take it."""

    def __init__(self, federation: Federation, exchange: Exchange) -> None:
        self._federation, self._exchange = federation, exchange
        self._inner, self._schema = federation.clients.channel.grid, federation.contents.task.schema

    @override
    def get_node_ids(self) -> Iterable[int]:
        """Nodes of the cohort's clients that are connected, in the order of their names."""
        return list(self._nodes)

    @cached_property
    def _nodes(self) -> tuple[int, ...]:
        return tuple(self._federation.clients.channel.nodes_of(self._exchange.cohort))

    @override
    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """As `attempt`, and of its answer one reply a group. The run's own deadline counts."""
        answer = self.attempt(messages)
        return answer.trained or answer.evaluated

    def attempt(self, messages: Iterable[Message]) -> Answer:
        """Send the exchange's order with the strategy's weights, and read the sums of the vectors.

        Raises TooFewReplies, and CalyxError if the strategy's messages are not one for each node
        of the cohort with the same weights for all.
        """
        federation, exchange, sent = self._federation, self._exchange, list(messages)
        weights, segments = self._read_weights(sent), self._segments()
        order = self._write_order(weights)
        content = wire.order_content(weights, order)
        if federation.clients.roster is None:
            sums = collect_plain(federation.clients.channel, exchange, content, segments)
        else:
            sums = SecureSums(federation, exchange, order, segments).collect(content)
        outcome = self._read_sums(sums, segments)
        required = required_of(federation.run, exchange)
        if outcome.replies < required:
            raise TooFewReplies(outcome, required)
        # Addressed as replies to any message: Flower's strategies look at contents only.
        trained = [_training(weights, group) for group in outcome.trained]
        evaluated = _evaluations(outcome.evaluated, self._schema)
        return Answer(
            outcome,
            trained=tuple(Message(content, reply_to=sent[0]) for content in trained),
            evaluated=tuple(Message(content, reply_to=sent[0]) for content in evaluated),
        )

    def _read_weights(self, sent: list[Message]) -> Weights:
        nodes = self._nodes
        if not nodes:
            raise RoundFailed(f"No client of round {self._exchange.round}'s cohort is connected")
        if sorted(m.metadata.dst_node_id for m in sent) != sorted(nodes):
            raise CalyxError("The strategy did not send one message to each client of the cohort.")
        first = sent[0].content
        if any(m.content is not first and m.content != first for m in sent):
            raise CalyxError("The strategy sent different messages to the clients of one cohort.")
        return records.read_weights(wire.only_arrays(first), self._federation.template)

    def _write_order(self, weights: Weights) -> str:
        federation, exchange = self._federation, self._exchange
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
                members=federation.clients.members if len(exchange.groups) > 1 else None,
                rounds=federation.run.rounds,
                best=exchange.best,
                deadline_s=federation.clients.channel.deadline_s,
                terms=federation.terms,
            )
        )

    def _segments(self) -> Segments:
        federation, is_validated = self._federation, self._exchange.is_validated
        inquiry = Inquiry(
            federation.contents, federation.run.privacy, federation.terms, is_validated
        )
        return self._exchange.question.segments(inquiry)

    def _read_sums(self, sums: GroupSums, segments: Segments) -> Outcome:
        """What the sums say, without those that honest clients cannot have made."""
        decoded = decode_sums(sums, segments, self._schema)
        groups, odd = list(decoded.sound.values()), list(decoded.odd)
        for i, ours in decoded.sound.items():
            odd += [OddSum(i, said) for said in self._watch(sums.sums[i].names, ours, segments)]
        first = len(segments.layouts) - len(segments.evaluations)
        return Outcome(
            self._exchange,
            sums,
            dropped={**sums.dropped, **decoded.dropped},
            trained=tuple(ours[0] for ours in groups if segments.train),
            folds=tuple(tuple(ours[first:]) for ours in groups if segments.evaluations),
            counted=tuple(ours[0] for ours in groups if segments.counts),
            odd=tuple(odd),
        )

    def _watch(
        self, names: tuple[str, ...], ours: list[Aggregate], segments: Segments
    ) -> list[str]:
        """Sentences about what looks wrong in the sum of the clients `names`, which is used."""
        question, watch = self._exchange.question, self._federation.watch
        sentences = []
        if segments.train is not None:
            sentences += watch.of_training(names, ours[0], segments.train.fixed.clip)
        if question.is_of_round and segments.evaluations:
            part = EVALUATE.part if question.trains else question.part
            sentences += watch.of_evaluation(part, names, ours[-1])
        return sentences

    @property
    @override
    def run(self) -> Run:
        return self._inner.run

    @override
    def set_run(self, run: Run) -> None:
        self._inner.set_run(run)

    @override
    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    @override
    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError(_REFUSED)

    @override
    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError(_REFUSED)


def _training(weights: Weights, aggregate: Aggregate) -> RecordDict:
    mean = apply_update(weights, aggregate.update)
    others = {k: v for k, v in aggregate.metrics.items() if k != "loss"}
    metrics = {"train_loss": aggregate.metrics["loss"]} | others
    return wire.group_content(mean, aggregate.weight, metrics)


def _evaluations(groups: tuple[Aggregate, ...], schema: Schema) -> list[RecordDict]:
    """One reply a group that has rows, with the figures that all of these can tell.

    Flower's strategies divide by the rows, and want the same figures of all.
    """
    judged = []
    for group in groups:
        rows = int(group.counts.get("rows", group.counts["clients"])[0])
        if rows > 0:
            judged.append((rows, figures(schema, group.counts).with_prefix("val_").values))
    told = [k for k in judged[0][1] if all(f[k] is not None for _, f in judged)] if judged else []
    return [wire.group_content({}, n, {k: float(f[k] or 0.0) for k in told}) for n, f in judged]
