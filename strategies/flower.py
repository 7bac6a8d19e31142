"""Any of Flower's own strategies, unchanged: `strategy=flower strategy.server._target_=…FedAdam`.

Clients train plainly and never learn its name. It sees exactly the cohort, one reply a group in
the order of the groups, and weights of the model's own types. What it keeps between rounds in
attributes is saved with the checkpoint, or resuming is refused.
"""

import importlib
import inspect
from collections.abc import Iterable, Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from typing_extensions import override

from calyx.config.section import Section
from calyx.errors import ConfigError, RoundFailed
from calyx.model.makeup import Makeup
from calyx.model.weights import Weights
from strategies.algorithm import Algorithm, NoKeys, State
from strategies.stock import TOY, check_arguments, check_groups, fewest_groups, rehearse
from strategies.withheld import Withheld

TARGET = "_target_"
HOME = "flwr.serverapp.strategy"
# One mean of a group is all that they need.
ON_SUMS = {"FedAvg", "FedAvgM", "FedAdagrad", "FedAdam", "FedYogi"}
# They weigh single updates against each other; on several groups they weigh the groups' means.
ON_GROUPS = {"Bulyan", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "QFedAvg"}
REFUSED = {
    "FedProx": "its clients must add the proximal term; use strategy=fedprox",
    "FedXgbBagging": "it needs clients that train trees",
    "FedXgbCyclic": "it needs clients that train trees, one after another",
    "DifferentialPrivacyClientSideAdaptiveClipping": "it wraps another strategy and needs its client half",
    "DifferentialPrivacyClientSideFixedClipping": "it wraps another strategy and needs its client half",
    "DifferentialPrivacyServerSideAdaptiveClipping": "it wraps another strategy and clips single updates",
    "DifferentialPrivacyServerSideFixedClipping": "it wraps another strategy and clips single updates",
}
# Sampling and waiting are the round loop's: a cohort is shown, and all of it is asked.
_FORCED = {
    "fraction_train": 1.0,
    "fraction_evaluate": 1.0,
    "min_train_nodes": 1,
    "min_evaluate_nodes": 1,
    "min_available_nodes": 1,
}
_UNSAVED = "unsaved:"


class Flower(Algorithm[NoKeys]):
    """The client's half of all of them: plain training."""


def make_stock(server: Section) -> Strategy:
    """The strategy that the section `strategy.server` names. Raises ConfigError."""
    cls = _class_of(server.get(TARGET))
    arguments = {key: value for key, value in server.items() if key != TARGET}
    if cls.__module__.startswith(HOME) and cls.__name__ in REFUSED:
        raise ConfigError(f"{cls.__name__} cannot be used: {REFUSED[cls.__name__]}.")
    for key in arguments.keys() & _FORCED.keys():
        raise ConfigError(
            f"strategy.server.{key} has no effect here: clients are sampled by cohort_size and awaited "
            "by min_replies; leave it out."
        )
    try:
        signature = inspect.signature(cls)
        known = set(signature.parameters)
        forced = {key: value for key, value in _FORCED.items() if key in known}
        signature.bind(**arguments, **forced)
        check_arguments(cls, arguments)
        return cls(**arguments, **forced)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a foreign constructor says of its arguments
        said = str(error).rstrip(".")
        raise ConfigError(
            f"{cls.__name__} cannot be made of strategy.server: {said}; it takes {_list_arguments(cls)}."
        ) from None


def check_stock(server: Section, groups: int | None) -> None:
    """Raise ConfigError where the strategy cannot be made, or cannot do a round of `groups`.

    None: their number is not known. Only Flower's own is tried: another may have a model in mind.
    """
    stock = make_stock(server)
    if groups is None:
        return
    try:
        check_groups(stock, groups)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    if type(stock).__module__.startswith(HOME):
        rehearse(stock, groups, TOY)


def rehearse_stock(server: Section, makeup: Makeup) -> None:
    """Raise ConfigError where the strategy cannot do a round of the user's own model.

    The same of any number of groups, it is tried with the fewest that the strategy takes.
    """
    stock = make_stock(server)
    rehearse(StockStrategy(stock, makeup), fewest_groups(stock), makeup.weights)


def _class_of(target: object) -> type[Strategy]:
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(
            f"strategy=flower needs strategy.server.{TARGET}, the path of a class, such as "
            f"{HOME}.FedAdam."
        )
    module, _, name = target.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError):
        raise ConfigError(
            f"There is no {target} to import; see strategy.server.{TARGET}."
        ) from None
    if not (inspect.isclass(cls) and issubclass(cls, Strategy)) or inspect.isabstract(cls):
        raise ConfigError(
            f"{target} is no strategy of Flower's kind (a subclass of {HOME}.Strategy)."
        )
    return cls


def _list_arguments(cls: type[Strategy]) -> str:
    """The arguments that a config can give."""
    names = set(inspect.signature(cls).parameters) - _FORCED.keys()
    return ", ".join(sorted(n for n in names if not n.endswith(("_key", "_fn")))) or "none"


def works_on_sums(strategy: Strategy) -> bool:
    """Whether one mean of all clients is enough; a class that is not known counts as needing more."""
    cls = type(strategy)
    return cls.__module__.startswith(HOME) and cls.__name__ in ON_SUMS


class StockStrategy(Strategy):
    """A strategy of Flower's with its state in sight, and handed what it can treat; all else is its own."""

    def __init__(self, stock: Strategy, makeup: Makeup) -> None:
        self._stock, self._withheld = stock, Withheld(stock, makeup)
        self._first = _constants(stock)

    @property
    def name(self) -> str:
        """The class's."""
        return type(self._stock).__name__

    @property
    def state(self) -> State:
        """What its attributes hold, as named arrays; what cannot be saved is only named."""
        packed_values: State = {}
        for name, value in vars(self._stock).items():
            packed = _pack(value)
            if packed is not None:
                packed_values[f"{packed[0]}:{name}"] = packed[1]
        changed = {n for n, value in _constants(self._stock).items() if self._first.get(n) != value}
        return packed_values | {f"{_UNSAVED}{name}": {"": np.zeros(0)} for name in sorted(changed)}

    @state.setter
    def state(self, state: State) -> None:
        """Go on from a checkpoint's. Raises ConfigError where it was not all saved."""
        lost = [key.removeprefix(_UNSAVED) for key in state if key.startswith(_UNSAVED)]
        if lost:
            raise ConfigError(
                f"{type(self._stock).__name__} keeps {', '.join(lost)} between rounds in a form that "
                "cannot be saved, so that this run cannot be resumed; start it again."
            )
        for key, arrays in state.items():
            kind, _, name = key.partition(":")
            setattr(self._stock, name, _unpack(kind, arrays))

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Its own, of the part of the model that it is handed; the messages hold the whole."""
        part = self._withheld.hold(arrays)
        messages = list(self._stock.configure_train(server_round, part, config, grid))
        self._withheld.complete(messages)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Its own, of the groups' replies in their order. Raises RoundFailed where they are too few."""
        replies = list(replies)
        if replies:
            try:
                check_groups(self._stock, len(replies))
            except ValueError as error:
                raise RoundFailed(f"Round {server_round} has too few groups: {error}") from None
        parts = [self._withheld.reduce(reply) for reply in replies]
        arrays, metrics = self._stock.aggregate_train(server_round, parts)
        if arrays is None:
            return None, metrics
        return self._withheld.result(arrays, replies), metrics

    @override
    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return self._stock.configure_evaluate(server_round, arrays, config, grid)

    @override
    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        return self._stock.aggregate_evaluate(server_round, list(replies))

    def summary(self) -> None:
        """Nothing to log: the run's config says it."""


def _pack(value: object) -> tuple[str, Weights] | None:
    """An attribute as named arrays, if that is what it is made of: copies, which may be written to disk
    while the strategy goes on with its own.
    """
    if isinstance(value, ArrayRecord):
        return "record", _number({key: array.numpy() for key, array in value.items()})
    if isinstance(value, Mapping) and value and all(map(_is_array, value.values())):
        return "dict", _number({str(key): np.array(array) for key, array in value.items()})
    if isinstance(value, list) and value and all(map(_is_array, value)):
        return "list", {f"{i:06d}": np.array(array) for i, array in enumerate(value)}
    if isinstance(value, np.ndarray):
        return "array", {"": value.copy()}
    return None


def _number(arrays: Weights) -> Weights:
    """With its place before each name: a checkpoint sorts them."""
    return {f"{i:06d} {name}": array for i, (name, array) in enumerate(arrays.items())}


def _plain(arrays: Weights) -> Weights:
    return {key.partition(" ")[2]: arrays[key] for key in sorted(arrays)}


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic)


def _unpack(kind: str, arrays: Weights) -> object:
    match kind:
        case "record":
            return ArrayRecord({key: Array(array) for key, array in _plain(arrays).items()})
        case "dict":
            return _plain(arrays)
        case "list":
            return [arrays[key] for key in sorted(arrays)]
    return arrays[""]


def _constants(stock: Strategy) -> dict[str, str]:
    """The attributes that are no arrays, in words; None may become arrays later."""
    values = vars(stock).items()
    return {name: repr(v) for name, v in values if v is not None and v != {} and not _pack(v)}
