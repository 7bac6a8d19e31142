"""What this client accepts: a coherent order, meant for it, within its own bounds.

Sources: `calyx-secagg/1` §3 (order, rules) and §6 (refusals). The server is not trusted: whatever
an order says is compared with what this site's own config allows.
"""

from collections.abc import Iterator
from typing import Any

from flwr.app import Message
from pydantic import JsonValue

from calyx.config.section import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Section,
    config,
)
from calyx.errors import CalyxError, printable
from calyx.privacy.section import Mode, PrivacyConfig
from calyx.questions.question import Question
from calyx.questions.registry import kinds, question_of
from calyx.run.folds import CV_RUN
from calyx.run.order import Order, Terms, from_json
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Sampling, default_colluders
from calyx.survey.blocks import Item
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.gate.bounds import bound_of, check_bounds, is_within, shown
from client.gate.sections import read_sections

_NO_BOUND = "there is no bound for "
SHOWN = 80  # characters of a key or value in a sentence
ADDED = {"joins_a_day": 2, "unfinished_a_day": 100, "pace_s": 2}  # keys that older files lack
# Where `questions` is null.
ANSWERED = ("train", "evaluate", "robust", "test", "cv", "ensemble", "statistics")
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
    # Kinds of orders that it answers; null, and absent in older files: `ANSWERED`.
    questions: tuple[str, ...] | None = None
    statistics: tuple[Item, ...] | None  # what may be measured of its rows; null: everything
    min_cell: (
        PositiveInt  # rows that a statistic's cell stands for at least; smaller ones are hidden
    )
    # By dotted key of the order: "any", a list of values, or {min, max}; `a.*` is all below a.
    # A key that none of them covers is refused. Null allows everything.
    bounds: dict[str, JsonValue] | None

    def __post_init__(self) -> None:
        """Refuse a bound that would bound nothing, a pace that no clock keeps, an unknown question."""
        if 0 < self.pace_s < SHORTEST_PACE_S:
            raise ValueError(f"pace_s must be 0 or at least {SHORTEST_PACE_S}")
        check_bounds(self.bounds or {})
        if self.questions is None:
            return
        if not self.questions:
            raise ValueError("questions is empty, which refuses every order: list what is answered")
        installed = kinds()
        for kind in self.questions:
            if kind not in installed:
                listed = ", ".join(installed)
                raise ValueError(f"questions lists {kind!r:.80}, which is none of {listed}")

    @property
    def answered(self) -> tuple[str, ...]:
        """Kinds of orders that it answers."""
        return ANSWERED if self.questions is None else self.questions


def accept(message: Message, client: str, kind: str) -> Order:
    """The order of `message`, every field checked for sense. Raises ClientFailure."""
    try:
        order = from_json(wire.read_order(message))
        read_sections(order.terms)  # task and strategy check their own, where they are made
    except CalyxError as error:
        raise ClientFailure(FailureCode.ORDER_REFUSED, f"The order was refused: {error}") from None
    if order.kind != kind:
        raise _senseless(f"it asks for {order.kind} in a message for {kind}")
    _check_round(order)
    names = [name for group in order.groups for name in group]
    if len(names) != len(set(names)):
        raise _senseless("it names a client twice")
    check_named(order, client)
    return order


def check_named(order: Order, client: str) -> None:
    """Raise ClientFailure unless the order's cohort holds this client."""
    if not any(client in group for group in order.groups):
        raise _senseless("its cohort does not hold this client")


def _check_round(order: Order) -> None:
    """Rule A1 of docs/secagg.md §10, and what else no run asks for."""
    question = question_of(order.kind)
    if (order.round == 0) != (question.model == "none"):
        raise _senseless(f"no run asks for {order.kind} in round {order.round}")
    if order.round > order.rounds:
        raise _senseless(f"its round {order.round} is after the last, {order.rounds}")
    if order.best and order.best >= order.round:
        raise _senseless(f"its best round {order.best} is none before its round {order.round}")
    if order.is_validated and not question.trains:
        raise _senseless("only a training can also validate")
    if question.answer == "withstand" and order.terms.robust is None:
        raise _senseless("it asks how a model stands an attack, and its terms name none")
    _check_folds(order, question)


def _check_folds(order: Order, question: Question) -> None:
    """The same of cross-validation: a run of its own for each fold, and one that scores them all."""
    cv, is_of_folds = order.terms.cv, question.model == "folds"
    if is_of_folds and cv is None:
        raise _senseless("it scores a cross-validation and has none")
    if is_of_folds and not order.run.endswith(CV_RUN):
        raise _senseless(f"a run that scores folds has a name in {CV_RUN}")
    if not is_of_folds and order.run.endswith(CV_RUN):
        raise _senseless(f"a run with a name in {CV_RUN} scores folds, and does no {order.kind}")
    if cv is not None and (cv.fold is not None) != question.is_of_round:
        raise _senseless("a training is of one fold, and statistics and scores are of all")
    if is_of_folds and order.round != order.rounds:
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
    if order.kind not in policy.answered:
        raise _outside(
            f"it asks for {order.kind}, which this site's policy.questions does not list"
        )
    # In each order of such a run, so that it ends at its first, and not at its first such question; and
    # a test counts moved rows, too.
    if order.terms.robust is not None and "robust" not in policy.answered:
        raise _outside(
            "its run asks how models stand moved rows (robust), which this site's policy.questions does "
            "not list"
        )
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
    for reason in beyond(order.terms, (order.rounds, order.deadline_s), policy):
        raise _outside(reason)


def beyond(terms: Terms, lasting: tuple[int, float], policy: PolicyConfig) -> Iterator[str]:
    """Each key that the policy's bounds do not allow, as a clause; `lasting` are rounds and deadline_s."""
    if policy.bounds is None:
        return
    for key, value in _leaves(terms, lasting):
        bound = bound_of(key, policy.bounds)
        name = printable(key, SHOWN)
        if bound is None:
            yield f"{_NO_BOUND}{name}"
        elif not is_within(value, bound):
            yield f"{name} is {printable(repr(value), SHOWN)}, outside the bound of {shown(bound)}"


def check_rules(order: Order, privacy: PrivacyConfig, policy: PolicyConfig, roster: Roster) -> None:
    """Compare what an encrypted sum would obey with this site's least.

    Raises Refusal, and ClientFailure for a fold that no such roster has.
    """
    for reason in below(privacy, policy):
        raise _outside(reason)
    withstood = _colluders(privacy.max_colluders, roster)
    if withstood < _colluders(policy.max_colluders, roster):
        raise _outside(
            f"a sum would withstand {withstood} colluders, and this site asks for "
            f"{_colluders(policy.max_colluders, roster)}"
        )
    strangers = [n for group in order.groups for n in group if n not in roster.indices]
    if strangers:
        raise _outside(f"its cohort names {strangers[0]!r}, which is not on the pinned roster")
    if (
        (cv := order.terms.cv) is not None and cv.k == "clients" and (cv.fold or 0) > len(roster)
    ):  # which may have lost one
        raise _senseless(f"it leaves out client {cv.fold}, and the roster has {len(roster)}")
    drawn, cohort = order.terms.cohort_size, sum(map(len, order.groups))
    if question_of(order.kind).trains and drawn is not None and cohort > drawn:
        raise _senseless(f"its cohort has {cohort} clients, and cohort_size is {drawn}")
    if privacy.groups == "all" or len(order.groups) != privacy.groups:
        raise _outside(f"it has {len(order.groups)} groups and privacy.groups={privacy.groups}")


def all_beyond(run: Terms, lasting: tuple[int, float], policy: PolicyConfig) -> list[str]:
    """As `beyond`, with the keys that no bound covers in one clause."""
    reasons: list[str] = []
    lacks: list[str] = []
    for reason in beyond(run, lasting, policy):
        key = reason.removeprefix(_NO_BOUND)
        (reasons if key == reason else lacks).append(key)
    return [*reasons, *([f"{_NO_BOUND}{', '.join(lacks)}"] if lacks else [])]


def below(privacy: PrivacyConfig, policy: PolicyConfig) -> Iterator[str]:
    """What a sum would obey that is less than the policy asks for, whatever the roster, as clauses."""
    for field in ("n_min", "h_min"):
        wanted, least = getattr(privacy, field), getattr(policy, field)
        if wanted < least:
            yield f"privacy.{field} is {wanted}, below the policy's {least}"
    if privacy.sampling == "trusted" and policy.sampling != "trusted":
        yield "privacy.sampling is 'trusted', which the policy does not allow"


def _colluders(given: int | None, roster: Roster) -> int:
    return default_colluders(len(roster)) if given is None else given


def _outside(reason: str) -> Refusal:
    return Refusal(RefusalCode.OUTSIDE_POLICY, f"The order was refused: {reason}.")


def _leaves(terms: Terms, lasting: tuple[int, float]) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that decides what this client would do."""
    task = terms.task if terms.w_max is None else terms.task | {"w_max": terms.w_max}
    strategy: Section = {"name": terms.strategy.name, "local": terms.strategy.local}
    tree: Section = {
        "task": task,
        "strategy": strategy,
        "training": terms.training,
        "preprocessing": terms.preprocessing,
        "privacy": terms.privacy,
        "statistics": terms.statistics,
        "cv": _cv_leaves(terms),
        "robust": {} if terms.robust is None else {**vars(terms.robust)},
        "cohort_size": terms.cohort_size,
        "seed": terms.seed,
        "rounds": lasting[0],
        "deadline_s": lasting[1],
    }
    yield from flat(tree, "")


def _cv_leaves(terms: Terms) -> Section:
    """`combine` only where it is asked for: a site's bounds of before do not name it."""
    if terms.cv is None:
        return {}
    combined = {} if terms.cv.combine is None else {"combine": terms.cv.combine}
    return {"k": terms.cv.k, **combined}


def flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON values
    """Dotted key and value of everything below a key; an empty section is nothing."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value
