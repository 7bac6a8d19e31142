"""The one wrapper of a grid: a strategy sees exactly the cohort, and one reply a group.

Clients answer with fixed-point vectors; the wrapper adds them, decodes only the sums, and makes
of each sum a reply that any Flower strategy understands: the group's mean weights, its weight and
its metrics. Encryption puts its stages in here; there is never a second wrapper.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from calyx import wire
from calyx.errors import CalyxError, RoundFailed
from calyx.flower import Run
from calyx.layouts import layout_of
from calyx.order import Kind, Order, Terms, to_json
from calyx.privacy import PrivacyConfig
from calyx.secagg.quantise import add
from calyx.secagg.vector import Aggregate, Layout, decode
from calyx.tasks.base import Task
from calyx.weights import Weights, apply_update, float_shapes, hash_weights
from server.roster import Roster
from server.sampling import Groups, required_replies

_TYPES: Mapping[Kind, str] = {"train": "train", "evaluate": "evaluate", "test": wire.TEST_TYPE}


@dataclass(frozen=True)
class Setting:
    """What all stages of a run have in common."""

    run: str
    terms: Terms
    task: Task
    privacy: PrivacyConfig
    template: Weights  # names, shapes and types of the model
    rounds: int
    deadline_s: float
    min_replies: int | None


@dataclass(frozen=True)
class Stage:
    """One exchange with a cohort."""

    kind: Kind
    round: int
    attempt: int
    groups: Groups

    @property
    def cohort(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(name for group in self.groups for name in group))


@dataclass(frozen=True)
class Outcome:
    """What came of a stage: sums, who is in them, who is not and why, and payload bytes."""

    stage: Stage
    aggregates: tuple[Aggregate, ...]
    dropped: dict[str, str]  # name → reason
    bytes_up: int
    bytes_down: int

    @property
    def replies(self) -> int:
        """Clients in the sums."""
        return len(self.stage.cohort) - len(self.dropped)

    @property
    def loss(self) -> float:
        """Mean loss over all groups, weighted by examples."""
        weight = sum(a.weight for a in self.aggregates)
        return sum(a.metrics["loss"] * a.weight for a in self.aggregates) / weight

    def count(self, name: str) -> NDArray[np.int64]:
        """A count summed over all groups."""
        total: NDArray[np.int64] = np.sum([a.counts[name] for a in self.aggregates], axis=0)
        return total


class TooFewReplies(RoundFailed):
    """Too few clients are in a stage's sums; `outcome` says who is missing and why."""

    def __init__(self, outcome: Outcome, required: int) -> None:
        reasons = "; ".join(
            f"{name}: {reason}" for name, reason in sorted(outcome.dropped.items())[:5]
        )
        super().__init__(
            f"Round {outcome.stage.round} ({outcome.stage.kind}) has {outcome.replies} of "
            f"{len(outcome.stage.cohort)} clients in its sums and needs {required} ({reasons})"
        )
        self.outcome = outcome


class CohortGrid(Grid):
    """Open a `Stage`, let a strategy send and receive through it, and read its `outcome`."""

    def __init__(self, inner: Grid, roster: Roster, setting: Setting) -> None:
        self._inner, self._roster, self._setting = inner, roster, setting
        self._stage: Stage | None = None
        self._outcome: Outcome | None = None

    def open(self, stage: Stage) -> None:
        """Show this stage's cohort from now on."""
        self._stage, self._outcome = stage, None

    @property
    def stage(self) -> Stage:
        """The open stage. Raises RuntimeError if there is none."""
        if self._stage is None:
            raise RuntimeError("no stage is open")
        return self._stage

    @property
    def outcome(self) -> Outcome:
        """What came of the open stage. Raises RuntimeError before `send_and_receive`."""
        if self._outcome is None:
            raise RuntimeError("the stage has no outcome yet")
        return self._outcome

    def get_node_ids(self) -> Iterable[int]:
        """Nodes of the cohort's clients that are connected, in the order of their names."""
        return [self._roster[name] for name in self.stage.cohort if name in self._roster]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send the stage's order with the strategy's weights; return one reply a group.

        Raises TooFewReplies, and CalyxError if the strategy's messages are not one for each node
        of the cohort with the same weights for all.
        """
        stage, sent = self.stage, list(messages)
        weights = self._weights(sent)
        content = wire.order_content(wire.weights_record(weights), self._order(stage, weights))
        orders = {
            name: Message(content, self._roster[name], _TYPES[stage.kind])
            for name in stage.cohort
            if name in self._roster
        }
        replies = list(self._inner.send_and_receive(orders.values(), timeout=timeout))
        layout = self._layout(stage)
        collected = _Collected(layout, bytes_down=wire.payload_bytes(content) * len(orders))
        collected.read(orders, replies)
        return self._group_replies(stage, weights, orders, collected)

    def _weights(self, sent: list[Message]) -> Weights:
        if not list(self.get_node_ids()):
            raise RoundFailed(f"No client of round {self.stage.round}'s cohort is connected")
        if sorted(m.metadata.dst_node_id for m in sent) != sorted(self.get_node_ids()):
            raise CalyxError("The strategy did not send one message to each client of the cohort.")
        first = sent[0].content
        if any(m.content is not first and m.content != first for m in sent):
            raise CalyxError("The strategy sent different messages to the clients of one cohort.")
        return wire.read_weights(wire.only_arrays(first), self._setting.template)

    def _order(self, stage: Stage, weights: Weights) -> str:
        setting = self._setting
        return to_json(
            Order(
                protocol="calyx/1",
                run=setting.run,
                kind=stage.kind,
                round=stage.round,
                attempt=stage.attempt,
                weights=hash_weights(weights),
                groups=stage.groups,
                rounds=setting.rounds,
                deadline_s=setting.deadline_s,
                terms=setting.terms,
            )
        )

    def _layout(self, stage: Stage) -> Layout:
        setting = self._setting
        return layout_of(stage.kind, setting.privacy, setting.task, float_shapes(setting.template))

    def _group_replies(
        self, stage: Stage, weights: Weights, orders: dict[str, Message], collected: "_Collected"
    ) -> list[Message]:
        aggregates, replies = [], []
        for group in stage.groups:
            aggregate = collected.sum(group)
            if aggregate is None:
                continue
            aggregates.append(aggregate)
            content = _group_content(stage.kind, weights, aggregate)
            # Addressed as the first member's reply: Flower's strategies look at contents only.
            first = next(orders[name] for name in group if name in orders)
            replies.append(Message(content, reply_to=first))
        dropped = {
            name: collected.dropped.get(name, "not connected")
            for name in stage.cohort
            if name not in collected.vectors
        }
        self._outcome = Outcome(
            stage, tuple(aggregates), dropped, collected.bytes_up, collected.bytes_down
        )
        required = required_replies(self._setting.min_replies, len(stage.cohort))
        if self._outcome.replies < required or not aggregates:
            raise TooFewReplies(self._outcome, required)
        return replies

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


class _Collected:
    """The vectors of a stage as they are read, and who gave none."""

    def __init__(self, layout: Layout, bytes_down: int) -> None:
        self.layout, self.bytes_down, self.bytes_up = layout, bytes_down, 0
        self.vectors: dict[str, NDArray[np.uint32]] = {}
        self.dropped: dict[str, str] = {}

    def read(self, orders: dict[str, Message], replies: list[Message]) -> None:
        """Sort replies to their senders by the message they answer; check each before use."""
        by_id = {m.metadata.message_id: name for name, m in orders.items()}
        for reply in replies:
            name = by_id.get(reply.metadata.reply_to_message_id)
            if name is None or name in self.vectors:
                continue
            if reply.has_error():
                self.dropped[name] = wire.failure_reason(reply)
                continue
            self.bytes_up += wire.payload_bytes(reply.content)
            try:
                self.vectors[name] = wire.read_vector(reply, self.layout)
            except CalyxError as error:
                self.dropped[name] = str(error)
        for name in orders.keys() - self.vectors.keys():
            self.dropped.setdefault(name, "no reply before the deadline")

    def sum(self, group: tuple[str, ...]) -> Aggregate | None:
        """The decoded sum over a group's vectors; a group without a sound sum counts as dropped."""
        members = [name for name in group if name in self.vectors]
        if not members:
            return None
        total = self.vectors[members[0]]
        for name in members[1:]:
            total = add(total, self.vectors[name], self.layout.fixed)
        try:
            return decode(total, len(members), self.layout)
        except ValueError as error:
            for name in members:
                del self.vectors[name]
                self.dropped[name] = f"its group's sum is unsound: {error}"
            return None


def _group_content(kind: Kind, weights: Weights, aggregate: Aggregate) -> RecordDict:
    if kind == "train":
        mean = apply_update(weights, aggregate.update)
        return wire.group_content(mean, aggregate.weight, {"train_loss": aggregate.metrics["loss"]})
    confusion = aggregate.counts["confusion"]
    size = round(len(confusion) ** 0.5)
    accuracy = np.trace(confusion.reshape(size, size)) / max(1, confusion.sum())
    metrics = {"val_loss": aggregate.metrics["loss"], "val_accuracy": float(accuracy)}
    return wire.group_content({}, aggregate.weight, metrics)
