"""What a stock Flower strategy can be made of, checked before a run: arguments, groups, one try.

Flower checks neither types nor most values: what is wrong with them would be seen in round 1, or
never. What we wrap the strategies in is in `strategies/flower.py`.
"""

import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import numpy as np
from flwr.app import ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Bulyan, MultiKrum, Strategy
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from calyx.errors import ConfigError
from calyx.flower.messages import as_nobody
from calyx.model.weights import Weights
from calyx.wire import messages as wire
from calyx.wire import records

_TYPES = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
# Names of records and metrics: the messages of a round have them, whatever a strategy looks for.
_FIXED_KEYS = {"weighted_by_key", "arrayrecord_key", "configrecord_key", "train_loss_key"}
TOY: Weights = {"w": np.ones(2, np.float32)}


def check_arguments(cls: type[Strategy], given: Mapping[str, Any]) -> None:
    """Raise ConfigError where a value is not of the type that the class says, or is not to be given.

    What a class says in no way that can be checked is left to it.
    """
    hints = _hints(cls)
    for key, value in given.items():
        where = f"strategy.server.{key}"
        if key in _FIXED_KEYS:
            raise ConfigError(
                f"{where} names what travels in a message, which is fixed here; leave it out "
                "(groups are weighed by their examples, or with privacy.weighting=equal by clients)."
            )
        problem = _type_problem(hints.get(key, object), value)
        if problem == "function":
            raise ConfigError(
                f"{where} is a function, which a config cannot give; leave it out, or make a class "
                f"of your own that brings it, and name that as strategy.server._target_."
            )
        if problem is not None:
            raise ConfigError(
                f"The config key {where} is {json.dumps(value)}, but {cls.__name__} takes {problem}."
            )


def _hints(cls: type[Strategy]) -> dict[str, Any]:
    """The types of the constructors' arguments, those that a subclass hands on as `**kwargs` too."""
    hints: dict[str, Any] = {}
    for ancestor in reversed(inspect.getmro(cls)):
        try:
            hints |= get_type_hints(vars(ancestor).get("__init__", object))
        except (NameError, TypeError, AttributeError):  # a foreign class's, which may be anything
            continue
    return hints


def _type_problem(hint: Any, value: object) -> str | None:  # noqa: ANN401 - a type as it is written
    """What would be taken instead, in words; `function` where nothing in a config would do."""
    try:
        TypeAdapter(hint, config=_TYPES).validate_python(value)
    except ValidationError as error:
        errors = error.errors()
        if any(one["type"] == "callable_type" for one in errors):
            return "function"
        words = [one["msg"].removeprefix("Input should be ") for one in errors]
        return " or ".join(dict.fromkeys(words))
    except PydanticUserError:
        return None
    return None


def check_groups(stock: Strategy, groups: int) -> None:
    """Raise ValueError, one sentence without a full stop, where `groups` are too few.

    The papers' conditions, which Flower's Krum does not check and its Bulyan only in a round.
    """
    if not isinstance(stock, Bulyan | MultiKrum):  # Krum is a MultiKrum
        return
    f = stock.num_malicious_nodes
    if f < 0:
        raise ValueError(f"strategy.server.num_malicious_nodes is {f}, but must be 0 or more")
    needed = 4 * f + 3 if isinstance(stock, Bulyan) else 2 * f + 3
    if groups < needed:
        raise ValueError(
            f"strategy.server.num_malicious_nodes={f} of {type(stock).__name__} needs at least "
            f"{needed} groups and has {groups}; use more groups or a smaller number"
        )
    if isinstance(stock, MultiKrum) and not 1 <= stock.num_nodes_to_select <= groups - f:
        raise ValueError(
            f"strategy.server.num_nodes_to_select={stock.num_nodes_to_select} must be from 1 to the "
            f"{groups - f} of {groups} groups that num_malicious_nodes={f} leaves"
        )


def fewest_groups(stock: Strategy) -> int:
    """How few groups it takes at least, as far as the papers' conditions say; never below 3."""
    if not isinstance(stock, Bulyan | MultiKrum):
        return 3
    f = stock.num_malicious_nodes
    least = 4 * f + 3 if isinstance(stock, Bulyan) else 2 * f + 3
    chosen = stock.num_nodes_to_select if isinstance(stock, MultiKrum) else 0
    return max(3, least, chosen + f)


def rehearse(stock: Strategy, groups: int, model: Weights) -> None:
    """One round of a fresh strategy of Flower's on `model`, every group replying.

    It finds what types cannot say, such as a divisor of 0, or a tensor that it cannot treat.
    Raises ConfigError. `stock` is used up.
    """
    nodes = cast(Grid, SimpleNamespace(get_node_ids=lambda: list(range(1, groups + 1))))
    try:
        with as_nobody(), _silent(), np.errstate(all="ignore"):
            first = records.weights_record(model)
            messages = list(stock.configure_train(1, first, ConfigRecord(), nodes))
            replies = [_reply(message, i, model) for i, message in enumerate(messages, 1)]
            arrays, _ = stock.aggregate_train(1, replies)
            trained = records.read_weights(arrays, model) if arrays is not None else {}
    except Exception as error:  # noqa: BLE001 - whatever a foreign strategy says of its arguments
        raise _unusable(stock, model, f"{type(error).__name__}: {error}") from None
    if not trained:
        raise _unusable(stock, model, "it makes no model of plain updates")
    for name, array in trained.items():
        if not np.isfinite(array).all():
            what = "model" if model is TOY else name
            raise _unusable(stock, model, f"it makes no finite {what} of plain updates")


def _reply(message: Message, place: int, model: Weights) -> Message:
    weights = {
        k: v + np.asarray(0.01 * place, v.dtype) if v.dtype.kind == "f" else v
        for k, v in model.items()
    }
    return Message(
        wire.group_content(weights, place, {"train_loss": 1.0 / place}), reply_to=message
    )


def _unusable(stock: Strategy, model: Weights, why: str) -> ConfigError:
    first = next(iter(why.splitlines()), "").rstrip(".")
    name = getattr(stock, "name", type(stock).__name__)
    if model is TOY:
        return ConfigError(
            f"{name} cannot make a round with these values of strategy.server ({first}); "
            "change them, or leave them out for Flower's own."
        )
    return ConfigError(
        f"{name} cannot make a round of this task's model ({first}); change strategy.server, or use "
        "one of Calyx's own strategies (docs/strategies.md)."
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Without Flower's lines on a round that is none."""
    log = logging.getLogger("flwr")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
