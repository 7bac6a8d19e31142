"""Flower's side of our algorithms, once: messages to the cohort, replies to updates, state.

An `AlgorithmStrategy` is a plain Flower `Strategy`; it knows nothing of encryption, groups'
members or where clients run. The mathematics is in the algorithm's own file. See docs/decisions/0003.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray
from typing_extensions import override

from calyx.config.section import Section, parse
from calyx.errors import ConfigError, RoundFailed
from calyx.model.makeup import Makeup, clip_variances
from calyx.model.weights import Weights, apply_update
from calyx.privacy.planning import Federation, groups_to_see
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Terms
from calyx.secagg.rules import MAX_GROUP
from calyx.tasks.registry import load_class
from calyx.wire import messages as wire
from calyx.wire import records
from strategies.algorithm import Algorithm, GroupUpdate, Mean, State
from strategies.flower import (
    StockStrategy,
    check_stock,
    make_stock,
    rehearse_stock,
    works_on_sums,
)
from strategies.local import load_objective
from strategies.robust import RobustAlgorithm
from strategies.stock import fewest_groups


def load_algorithm(
    terms: Terms, server: Section, privacy: PrivacyConfig, clients: int | None = None
) -> Algorithm[object]:
    """The configured algorithm, whose own section is `server`.

    `clients` is how many there are, where that is known; with privacy.groups=all each is a group.
    Raises ConfigError, also where the groups are too few for it.
    """
    name = terms.strategy.name
    cls: type[Algorithm[object]] = load_class("strategy", name)
    objective = load_objective(name, terms.strategy.local)
    try:
        objective.check(terms.training)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    algorithm = cls(parse(cls.server_config, server, "strategy.server"))
    if algorithm.needs_individual_updates and privacy.groups == 1:
        raise ConfigError(
            f"strategy={name} must see more than one update, and privacy.groups=1 gives "
            f"it a single mean; use {_ways_to_see(terms, privacy, clients, _fewest(algorithm))}"
            "strategy=fedavg."
        )
    groups = _num_groups(terms, privacy, clients)
    if groups is not None:
        try:
            _check_groups(algorithm, groups)
        except ValueError as error:
            raise ConfigError(f"{error}.") from None
    return algorithm


def check_strategy(
    terms: Terms, server: Section, privacy: PrivacyConfig, clients: int | None = None
) -> None:
    """Raise ConfigError where the configured strategy cannot be run; arguments as `load_algorithm`."""
    if terms.strategy.name != "flower":
        load_algorithm(terms, server, privacy, clients)
        return
    load_objective(terms.strategy.name, terms.strategy.local)
    stock = make_stock(server)
    if not works_on_sums(stock) and privacy.groups == 1:
        raise ConfigError(
            f"{type(stock).__name__} must see more than one update, and privacy.groups=1 gives it a "
            f"single mean; use {_ways_to_see(terms, privacy, clients, fewest_groups(stock))}another "
            "strategy."
        )
    check_stock(server, _num_groups(terms, privacy, clients))


def _ways_to_see(terms: Terms, privacy: PrivacyConfig, clients: int | None, fewest: int) -> str:
    """What to write so that a strategy sees as many sums as it takes, before another way out."""
    ways = []
    if clients is not None:
        federation = Federation(clients, terms.cohort_size or clients, dropouts=0, attackers=0)
        ways.append(groups_to_see(privacy, federation, fewest))
    if clients is None or (terms.cohort_size or clients) >= fewest:
        ways.append("privacy=none privacy.groups=all")
    return "".join(f"{way}, " for way in ways if way) + "or " * any(ways)


def _fewest(algorithm: Algorithm[object]) -> int:
    """Groups that it takes at least."""
    for groups in range(1, MAX_GROUP):
        with suppress(ValueError):
            _check_groups(algorithm, groups)
            return groups
    return MAX_GROUP


def _num_groups(terms: Terms, privacy: PrivacyConfig, clients: int | None) -> int | None:
    """Groups of a round; None where each client is one and nobody knows how many there are."""
    return (terms.cohort_size or clients) if privacy.groups == "all" else privacy.groups


def make_strategy(
    terms: Terms,
    server: Section,
    privacy: PrivacyConfig,
    initial: Weights,
    makeup: Makeup,
    *,
    clients: int | None = None,
) -> "AlgorithmStrategy | StockStrategy":
    """The configured strategy before its first round; `initial` is the model and what is beside it.

    Raises ConfigError, for a strategy of Flower's also where it cannot make a round of this model.
    """
    if terms.strategy.name == "flower":
        check_strategy(terms, server, privacy, clients)
        rehearse_stock(server, makeup)
        return StockStrategy(make_stock(server), makeup)
    algorithm = load_algorithm(terms, server, privacy, clients)
    return AlgorithmStrategy(algorithm, initial, clients, makeup)


class AlgorithmStrategy(Strategy):
    """One of our algorithms as a Flower strategy. `state` may be read and set between rounds.

    The algorithm's step sees what a gradient moves, and what travels beside the model. Of all
    else, such as running statistics, the next model has what `combine` makes of the clients' own.
    """

    def __init__(
        self,
        algorithm: Algorithm[object],
        initial: Weights,
        clients: int | None = None,
        makeup: Makeup | None = None,
    ) -> None:
        """`clients` is the number of all that may be asked; None: all are asked each round.

        Without a makeup, every float tensor counts as a parameter.
        """
        self.algorithm, self._clients, self._asked = algorithm, clients, 0
        self._still = makeup.still if makeup else frozenset()
        self._variances = makeup.variances if makeup else frozenset()
        self._weights = initial
        self.state: State = algorithm.initial_state(self._moving)

    @property
    def _moving(self) -> Weights:
        return {k: v for k, v in self._weights.items() if k not in self._still}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message to each node that the grid shows."""
        self._weights = records.read_weights(arrays, self._weights)
        messages = _to_all(arrays, config, grid, MessageType.TRAIN)
        self._asked = len(messages)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The algorithm's step on the groups' mean updates; (None, None) without replies.

        Raises RoundFailed where fewer groups answered than the algorithm needs.
        """
        replies = list(replies)
        if not replies:
            return None, None
        try:
            _check_groups(self.algorithm, len(replies))
        except ValueError as error:
            raise RoundFailed(f"Round {server_round} has too few groups: {error}") from None
        update = self.algorithm.combine([self._group(reply) for reply in replies])
        metrics = _mean_metrics(replies)
        share = self._asked / (self._clients or self._asked or 1)
        means = {k: float(v) for k, v in metrics.items() if not isinstance(v, list)}
        moving = {k: v for k, v in update.items() if k not in self._still}
        mean = Mean(moving, means, min(1.0, share))
        stepped, self.state = self.algorithm.apply(self._moving, mean, _to_read(self.state))
        weights = apply_update(self._weights, {k: update[k] for k in update.keys() & self._still})
        return records.weights_record(clip_variances(weights | stepped, self._variances)), metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message to each node that the grid shows."""
        return _to_all(arrays, config, grid, MessageType.EVALUATE)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Means weighted by examples, or None without replies."""
        replies = list(replies)
        return _mean_metrics(replies) if replies else None

    def summary(self) -> None:
        """Nothing to log: the run's config says it."""

    def _group(self, reply: Message) -> GroupUpdate:
        mean = records.read_weights(wire.only_arrays(reply.content), self._weights)
        return GroupUpdate(
            _Change(self._weights, mean), int(wire.read_metrics(reply)[wire.WEIGHT_KEY])
        )


class _Change(Mapping[str, NDArray[np.float64]]):
    """The float tensors of `after` less those of `before`; each is made when it is asked for.

    Of a hundred groups' models, so, a tensor is in memory as float64, and not a hundred models.
    """

    def __init__(self, before: Weights, after: Weights) -> None:
        self._before, self._after = before, after
        self._names = [k for k, v in before.items() if v.dtype.kind == "f"]

    @override
    def __getitem__(self, name: str) -> NDArray[np.float64]:
        change: NDArray[np.float64] = np.subtract(
            self._after[name], self._before[name], dtype=np.float64
        )
        return change

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return len(self._names)


def _to_read(state: State) -> State:
    """The same arrays, which cannot be written to: a checkpoint of them may be under way."""
    views = {p: {k: np.asarray(v).view() for k, v in part.items()} for p, part in state.items()}
    for arrays in views.values():
        for view in arrays.values():
            view.flags.writeable = False
    return views


def _check_groups(algorithm: Algorithm[object], groups: int) -> None:
    if isinstance(algorithm, RobustAlgorithm):
        algorithm.check_groups(groups)


def _to_all(arrays: ArrayRecord, config: ConfigRecord, grid: Grid, kind: str) -> list[Message]:
    content = wire.strategy_content(arrays, config)
    return [Message(content, node, kind) for node in grid.get_node_ids()]


def _mean_metrics(replies: list[Message]) -> MetricRecord:
    groups = [wire.read_metrics(reply) for reply in replies]
    total = sum(g[wire.WEIGHT_KEY] for g in groups)
    names = [k for k in groups[0] if k != wire.WEIGHT_KEY]
    return MetricRecord({k: sum(g[k] * g[wire.WEIGHT_KEY] for g in groups) / total for k in names})
