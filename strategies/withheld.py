"""What a strategy of Flower's is not handed of a model, and gets back as it should be.

Flower's strategies treat every array alike: an optimiser would drive running variances below zero,
and an integer comes back as another type. So integers and booleans are given back as they were,
and float tensors that no gradient moves are the mean of the groups' own, weighted by examples. A
strategy that weighs updates against each other is handed those too: who lies must be seen there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Bulyan, FedMedian, FedTrimmedAvg, MultiKrum, Strategy

from calyx.flower.messages import rebuild_message
from calyx.model.makeup import Makeup, clip_variances
from calyx.model.weights import Weights
from calyx.wire import messages as wire
from calyx.wire import records

# Each value that they make lies between those of the groups. Krum is a MultiKrum.
_WEIGHING = (Bulyan, FedMedian, FedTrimmedAvg, MultiKrum)


class Withheld:
    """What is withheld of one model; `hold` comes before `mean` in each round."""

    def __init__(self, stock: Strategy, makeup: Makeup) -> None:
        still = set() if isinstance(stock, _WEIGHING) else makeup.still
        self._like = makeup.weights
        self._variances = makeup.variances
        self._means = {k for k in makeup.weights if k in still}
        self._names = self._means | {k for k, v in makeup.weights.items() if v.dtype.kind != "f"}
        self._held: Weights = {}

    def hold(self, arrays: ArrayRecord) -> ArrayRecord:
        """The record without what is withheld, which is kept until the round's end."""
        self._held = {k: v for k, v in self._read(arrays).items() if k in self._names}
        return self._without(arrays)

    def complete(self, messages: Sequence[Message]) -> None:
        """Put what was withheld into messages that the strategy has made."""
        for content in {id(m.content): m.content for m in messages}.values():
            for key, record in list(content.array_records.items()):
                content[key] = self._whole(record, self._held)

    def reduce(self, reply: Message) -> Message:
        """A group's reply without what is withheld."""
        content: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {}
        content |= reply.content.metric_records
        content |= {k: self._without(v) for k, v in reply.content.array_records.items()}
        return rebuild_message(reply.metadata, RecordDict(content))

    def result(self, model: ArrayRecord, replies: Sequence[Message]) -> ArrayRecord:
        """The strategy's model with what was withheld of it."""
        return self._whole(model, self._held | self._mean(replies))

    def _mean(self, replies: Sequence[Message]) -> Weights:
        groups = [self._read(wire.only_arrays(reply.content)) for reply in replies]
        counts = [wire.read_metrics(reply)[wire.WEIGHT_KEY] for reply in replies]
        means = {
            k: np.sum([g[k] * (n / sum(counts)) for g, n in zip(groups, counts, strict=True)], 0)
            for k in self._means
        }
        rounded = {k: v.astype(self._like[k].dtype) for k, v in means.items()}
        return clip_variances(rounded, self._variances)

    def _read(self, arrays: ArrayRecord) -> Weights:
        return records.read_weights(arrays, self._like)

    def _without(self, arrays: ArrayRecord) -> ArrayRecord:
        return records.record_of({k: v for k, v in arrays.items() if k not in self._names})

    def _whole(self, made: ArrayRecord, held: Mapping[str, np.ndarray]) -> ArrayRecord:
        own = records.weights_record(held)
        known = {k: own[k] if k in own else made.get(k) for k in self._like}
        rest = {k: v for k, v in made.items() if k not in self._like}
        return records.record_of({k: v for k, v in (known | rest).items() if v is not None})
