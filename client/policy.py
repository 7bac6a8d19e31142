"""What this client accepts: a coherent order, meant for it, within its own bounds.

Sources: `calyx-secagg/1` §3 (order, rules) and §6 (refusals). The server is not trusted: whatever
an order says is compared with what this site's own config allows.
"""

from collections.abc import Iterator
from typing import Any

from flwr.app import Message
from pydantic import JsonValue

from calyx import wire
from calyx.config import NonNegativeFloat, NonNegativeInt, PositiveInt, Section, config
from calyx.errors import CalyxError
from calyx.order import Kind, Order, from_json
from calyx.privacy import Mode, PrivacyConfig
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Sampling, default_colluders
from calyx.statistics.blocks import Item
from calyx.wire import FailureCode
from client.failures import ClientFailure

ANY = "any"
SHORTEST_PACE_S = 0.01
PACES = 3  # multiples of `pace_s` that a deadline leaves for a reply at least


@config
class PolicyConfig:
    """The section `client.policy`: what a site asks of every order."""

    privacy: Mode  # the one mode that it works in
    n_min: PositiveInt  # clients in a sum at least
    h_min: PositiveInt  # honest ones beside the colluders at least
    max_colluders: NonNegativeInt | None  # that a sum must withstand; null is a tenth of the roster
    sampling: Sampling  # trusted: the server may be believed to draw cohorts at random
    runs_a_day: PositiveInt | None  # null: any number
    sums_a_day: PositiveInt | None  # null: any number
    joins_a_day: PositiveInt | None  # of `runs_a_day`: runs that it first meets in their middle
    failures_a_day: PositiveInt | None  # on its own rows: each tells the server a bit of them
    unfinished_a_day: PositiveInt | None  # orders taken for which no vector left, whoever's fault
    # What rows had a part in leaves at multiples of so many seconds after its order, and all epochs
    # are run; 0: at once, and early stopping shows. In simulation nobody waits.
    pace_s: NonNegativeFloat
    leave_one_out: bool  # whether it scores a model meant for it alone, as cv.k=clients asks
    statistics: tuple[Item, ...] | None  # what may be measured of its rows; null: everything
    min_cell: (
        PositiveInt  # rows that a statistic's cell stands for at least; smaller ones are hidden
    )
    # By dotted key of the order: "any", a list of values, or {min, max}; `a.*` is all below a.
    # A key that none of them covers is refused. Null allows everything.
    bounds: dict[str, JsonValue] | None

    def __post_init__(self) -> None:
        """Refuse a bound that would bound nothing, and a pace that no clock keeps."""
        if 0 < self.pace_s < SHORTEST_PACE_S:
            raise ValueError(f"pace_s must be 0 or at least {SHORTEST_PACE_S}")
        for key, bound in (self.bounds or {}).items():
            if not (
                bound == ANY
                or isinstance(bound, list)
                or (isinstance(bound, dict) and bound and set(bound) <= {"min", "max"})
            ):
                raise ValueError(f"bounds.{key} must be any, a list of values, or {{min, max}}")


def accept(message: Message, client: str, kind: Kind) -> Order:
    """The order of `message`, every field checked for sense. Raises ClientFailure."""
    try:
        order = from_json(wire.read_order(message))
    except CalyxError as error:
        raise ClientFailure(FailureCode.ORDER_REFUSED, f"The order was refused: {error}") from None
    if order.kind != kind:
        raise _senseless(f"it asks for {order.kind} in a message for {kind}")
    _check_round(order)
    _check_cohort(order, client)
    return order


def _check_cohort(order: Order, client: str) -> None:
    names = [name for group in order.groups for name in group]
    if len(names) != len(set(names)):
        raise _senseless("it names a client twice")
    if client not in names:
        raise _senseless("its cohort does not hold this client")


def _check_round(order: Order) -> None:
    """Rule A1 of docs/secagg.md §10, and what else no run asks for."""
    if (order.round == 0) != (order.kind == "statistics"):
        raise _senseless(f"no run asks for {order.kind} in round {order.round}")
    if order.round > order.rounds:
        raise _senseless(f"its round {order.round} is after the last, {order.rounds}")
    if order.best and order.best >= order.round:
        raise _senseless(f"its best round {order.best} is none before its round {order.round}")
    if order.is_validated and order.kind != "train":
        raise _senseless("only a training can also validate")
    cv = order.terms.cv
    if order.kind == "cv" and cv is None:
        raise _senseless("it scores a cross-validation and has none")
    if order.kind == "cv" and order.round != order.rounds:
        raise _senseless(f"it scores folds in round {order.round} of {order.rounds}")
    if cv is not None and cv.fold is not None and isinstance(cv.k, int) and cv.fold >= cv.k:
        raise _senseless(f"it names fold {cv.fold} of {cv.k}, which are counted from 0")


def _senseless(reason: str) -> ClientFailure:
    return ClientFailure(FailureCode.ORDER_REFUSED, f"The order was refused: {reason}.")


def check_policy(
    order: Order, privacy: PrivacyConfig, policy: PolicyConfig, *, is_site: bool
) -> None:
    """Compare an order with this site's bounds, in any mode; in simulation it is no site's.

    Raises Refusal.
    """
    if privacy.name != policy.privacy:
        raise _outside(f"it wants privacy={privacy.name}, and this site allows {policy.privacy}")
    if is_site and order.terms.task.get("faults") is not None:
        raise _outside("it wants faults in this site's rows, which are for simulations")
    cv = order.terms.cv
    if cv is not None and cv.k == "clients" and not policy.leave_one_out:
        raise _outside("it wants cv.k=clients, and this site's policy has no leave_one_out")
    if order.deadline_s < PACES * policy.pace_s:
        least = PACES * policy.pace_s
        raise _outside(f"deadline_s is {order.deadline_s:g}, below {PACES} × pace_s, {least:g}")
    if policy.bounds is None:
        return
    for key, value in _leaves(order):
        bound = _bound(key, policy.bounds)
        if bound is None:
            raise _outside(f"this site's policy has no bound for {key}")
        if not _is_within(value, bound):
            raise _outside(f"{key} is {value!r}, outside this site's bound of {bound}")


def check_rules(order: Order, privacy: PrivacyConfig, policy: PolicyConfig, roster: Roster) -> None:
    """Compare what an encrypted sum would obey with this site's least. Raises Refusal."""
    for field in ("n_min", "h_min"):
        wanted, least = getattr(privacy, field), getattr(policy, field)
        if wanted < least:
            raise _outside(f"privacy.{field} is {wanted}, below this site's {least}")
    if privacy.sampling == "trusted" and policy.sampling != "trusted":
        raise _outside("it wants privacy.sampling=trusted")
    withstood = _colluders(privacy.max_colluders, roster)
    if withstood < _colluders(policy.max_colluders, roster):
        raise _outside(
            f"a sum would withstand {withstood} colluders, and this site asks for "
            f"{_colluders(policy.max_colluders, roster)}"
        )
    strangers = [n for group in order.groups for n in group if n not in roster.indices]
    if strangers:
        raise _outside(f"its cohort names {strangers[0]!r}, which is not on the pinned roster")
    if privacy.groups == "all" or len(order.groups) != privacy.groups:
        raise _outside(f"it has {len(order.groups)} groups and privacy.groups={privacy.groups}")


def _colluders(given: int | None, roster: Roster) -> int:
    return default_colluders(len(roster)) if given is None else given


def _outside(reason: str) -> Refusal:
    return Refusal(RefusalCode.OUTSIDE_POLICY, f"The order was refused: {reason}.")


def _leaves(order: Order) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that decides what this client would do."""
    terms = order.terms
    task = terms.task if terms.w_max is None else terms.task | {"w_max": terms.w_max}
    strategy: Section = {"name": terms.strategy.name, "local": terms.strategy.local}
    tree: Section = {
        "task": task,
        "strategy": strategy,
        "training": terms.training,
        "preprocessing": terms.preprocessing,
        "privacy": terms.privacy,
        "statistics": terms.statistics,
        "cv": {} if terms.cv is None else {"k": terms.cv.k},
        "seed": terms.seed,
        "rounds": order.rounds,
        "deadline_s": order.deadline_s,
    }
    yield from _flat(tree, "")


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON values
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _bound(key: str, bounds: dict[str, JsonValue]) -> JsonValue:
    if key in bounds:
        return bounds[key]
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        wide = ".".join(parts[:end]) + ".*"
        if wide in bounds:
            return bounds[wide]
    return None


def _is_within(value: Any, bound: JsonValue) -> bool:  # noqa: ANN401 - JSON values
    if bound == ANY:
        return True
    if isinstance(bound, list):
        return any(type(value) is type(allowed) and value == allowed for allowed in bound)
    if not isinstance(bound, dict) or isinstance(value, bool):
        return False
    if not isinstance(value, int | float):
        return False
    low, high = bound.get("min", value), bound.get("max", value)
    return isinstance(low, int | float) and isinstance(high, int | float) and low <= value <= high
