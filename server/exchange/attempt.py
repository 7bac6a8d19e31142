"""One attempt of an exchange: a strategy's messages become an order, vectors become sums, sums an answer.

Clients answer with fixed-point vectors, masked or plain; only their sums are decoded, and each becomes
a reply that any Flower strategy understands: the group's mean weights, its weight and its metrics.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from calyx.data.schema import Schema
from calyx.errors import CalyxError, RoundFailed
from calyx.model.metrics import figures
from calyx.model.weights import Weights, apply_update, hash_weights
from calyx.questions.layouts import Parts, parts_of, statistics_parts, survey_of
from calyx.run.order import Order, to_json
from calyx.vector.contribution import Aggregate
from calyx.wire import messages as wire
from calyx.wire import records
from server.exchange.exchange import Exchange, GroupSums, OddSum, Outcome, TooFewReplies
from server.exchange.plain_sums import collect_plain
from server.exchange.secure_sums import SecureSums
from server.exchange.setting import Setting
from server.exchange.soundness import decode_sums
from server.sampling import required_replies


@dataclass(frozen=True)
class Answer:
    """The outcome of an exchange, and the same as one reply a group for Flower's strategies."""

    outcome: Outcome
    trained: tuple[Message, ...] = ()  # for `aggregate_train`; none if nothing was trained
    evaluated: tuple[Message, ...] = ()  # for `aggregate_evaluate`; of groups that have rows


def attempt(setting: Setting, exchange: Exchange, messages: Iterable[Message]) -> Answer:
    """Ask the cohort for a vector each, add the vectors up by group, and read the sums.

    `messages` are a strategy's, of which the weights are sent. Raises TooFewReplies, and CalyxError
    if they are not one for each node of the cohort, with the same weights for all.
    """
    sent = list(messages)
    weights = _read_weights(setting, exchange, sent)
    order, parts = _write_order(setting, exchange, weights), _parts(setting, exchange)
    content = wire.order_content(weights, order)
    if setting.roster is None:
        sums = collect_plain(setting.channel, exchange, content, parts)
    else:
        sums = SecureSums(setting, exchange, order, parts).collect(content)
    outcome = _read_sums(setting, exchange, sums, parts)
    required = required_replies(setting.min_replies, len(exchange.cohort))
    if outcome.replies < required:
        raise TooFewReplies(outcome, required)
    # Addressed as replies to any message: Flower's strategies look at contents only.
    trained = [_training(weights, group) for group in outcome.trained]
    evaluated = _evaluations(outcome.evaluated, setting.contents.task.schema)
    return Answer(
        outcome,
        trained=tuple(Message(content, reply_to=sent[0]) for content in trained),
        evaluated=tuple(Message(content, reply_to=sent[0]) for content in evaluated),
    )


def _read_weights(setting: Setting, exchange: Exchange, sent: list[Message]) -> Weights:
    nodes = setting.channel.nodes_of(exchange.cohort)
    if not nodes:
        raise RoundFailed(f"No client of round {exchange.round}'s cohort is connected")
    if sorted(m.metadata.dst_node_id for m in sent) != sorted(nodes):
        raise CalyxError("The strategy did not send one message to each client of the cohort.")
    first = sent[0].content
    if any(m.content is not first and m.content != first for m in sent):
        raise CalyxError("The strategy sent different messages to the clients of one cohort.")
    return records.read_weights(wire.only_arrays(first), setting.template)


def _write_order(setting: Setting, exchange: Exchange, weights: Weights) -> str:
    return to_json(
        Order(
            protocol="calyx/1",
            run=setting.run,
            kind=exchange.kind,
            round=exchange.round,
            attempt=exchange.attempt,
            weights=hash_weights(weights),
            is_validated=exchange.is_validated,
            previous=exchange.previous,
            abandoned=exchange.abandoned,
            groups=exchange.groups,
            members=setting.members if len(exchange.groups) > 1 else None,
            rounds=setting.rounds,
            best=exchange.best,
            deadline_s=setting.channel.deadline_s,
            terms=setting.terms,
        )
    )


def _parts(setting: Setting, exchange: Exchange) -> Parts:
    terms, contents = setting.terms, setting.contents
    if exchange.kind == "statistics":
        return statistics_parts(setting.privacy, survey_of(contents.task, terms))
    return parts_of(exchange.kind, exchange.is_validated, setting.privacy, contents, terms.cv)


def _read_sums(setting: Setting, exchange: Exchange, sums: GroupSums, parts: Parts) -> Outcome:
    """What the sums say, without those that honest clients cannot have made."""
    decoded = decode_sums(sums, parts, setting.contents.task.schema)
    groups = list(decoded.sound.values())
    odd = list(decoded.odd)
    for i, ours in decoded.sound.items():
        said = _watch(setting, exchange, sums.sums[i].names, ours, parts)
        odd += [OddSum(i, sentence) for sentence in said]
    first = len(parts.layouts) - len(parts.evaluations)
    return Outcome(
        exchange,
        sums,
        dropped={**sums.dropped, **decoded.dropped},
        trained=tuple(ours[0] for ours in groups if parts.train),
        folds=tuple(tuple(ours[first:]) for ours in groups if parts.evaluations),
        counted=tuple(ours[0] for ours in groups if parts.statistics),
        odd=tuple(odd),
    )


def _watch(
    setting: Setting,
    exchange: Exchange,
    names: tuple[str, ...],
    ours: list[Aggregate],
    parts: Parts,
) -> list[str]:
    """Sentences about what looks wrong in the sum of the clients `names`, which is used."""
    said = []
    if parts.train is not None:
        said += setting.watch.of_training(names, ours[0], parts.train.fixed.clip)
    if exchange.kind in ("train", "evaluate", "test") and parts.evaluations:
        part = "test" if exchange.kind == "test" else "validation"
        said += setting.watch.of_evaluation(part, names, ours[-1])
    return said


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
            judged.append((rows, figures(schema, group.counts).named("val_").values))
    told = [k for k in judged[0][1] if all(f[k] is not None for _, f in judged)] if judged else []
    return [wire.group_content({}, n, {k: float(f[k] or 0.0) for k in told}) for n, f in judged]
