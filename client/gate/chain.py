"""Which order of a run a client admits after those that it has taken. docs/secagg.md §10.

Pure rules over what the ledger keeps of a run (`RunEntry`); A1 to A8 are the page's names. Models
have numbers: that of round t is t, the one that a run begins with is 0. See docs/decisions/0054.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from calyx.config.section import digest
from calyx.questions.question import Question
from calyx.questions.registry import question_of, recall
from calyx.run.folds import CV_RUN, fold_run, own_run
from calyx.run.order import Order
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.gate.alike import once_for_same
from client.gate.membership import members_of

_SPARE_EVALUATIONS = 2  # A7: a site may have been down while others trained
_SPARE_TESTS = 1  # A8: `resume rounds=N` may find a better model


@dataclass
class RunEntry:
    """What a client has taken of one run; the lists hold each number once."""

    terms: str  # digest
    group: int
    last: dict[str, list[int]] = field(default_factory=dict)  # kind → (round, attempt)
    ctx: str = ""  # of the last order
    members: str | None = None  # digest of who is in which group; "": one group; None: not kept
    models: dict[str, str] = field(default_factory=dict)  # `_label` → hash of the order's weights
    links: list[str] = field(default_factory=list)  # newest number, digest of what made its model
    trained: list[int] = field(default_factory=list)  # rounds
    evaluated: list[int] = field(default_factory=list)  # numbers of models
    scored: dict[str, list[int]] = field(default_factory=dict)  # kind → models; of folds: rounds
    seen: list[int] = field(default_factory=list)  # values of `rounds` in orders to train
    revealed: list[str] = field(default_factory=list)  # ctx, root, round of the last training
    is_joined: bool = False  # it was met in its middle, and counts as that
    is_partly_known: bool = False  # written before these fields: what is absent may have been

    @property
    def has_begun(self) -> bool:
        """Whether it has asked for anything of a model."""
        return any(recall(kind).model != "none" for kind in self.last)

    def take(self, order: Mapping[str, object]) -> None:
        """Add an order of the ledger, as a line of its file holds it."""
        kind, at = str(order["kind"]), _numbers(order["at"])
        question = recall(kind)
        self.last[kind], self.ctx = at, str(order["ctx"])
        self.is_joined |= "joined" in order
        if "weights" not in order:
            self.is_partly_known = True
            return
        self.members = str(order["members"])
        number = question.number(at[0])
        if question.model != "none":
            self.models.setdefault(_label(question, at[0]), str(order["weights"]))
        if question.counted == "scores":
            _once(self.scored.setdefault(kind, []), at[0])
        if number is None:
            return
        if question.names_sums:
            self.links = [str(number), str(order["links"])]
        if question.trains:
            _once(self.trained, at[0])
            _once(self.seen, int(str(order["rounds"])))
        if question.counted == "evaluations" or order["validated"]:
            _once(self.evaluated, number)


def line_of(order: Order) -> dict[str, object]:
    """What the ledger keeps of an order, beside when it came and in which context."""
    return {
        "run": order.run,
        "kind": order.kind,
        "at": [order.round, order.attempt],
        "weights": order.weights,
        "rounds": order.rounds,
        "validated": order.is_validated,
        "links": _links(order),
        "members": members_of(order),
    }


@once_for_same
def terms_digest(order: Order) -> str:
    """By which the terms of an order are known again."""
    terms = order.terms
    cv = dict(vars(terms.cv)) if terms.cv else None
    if cv is not None and cv["combine"] is None:
        del cv["combine"]  # as ledgers have it that were begun before it travelled
    value = vars(terms) | {"strategy": vars(terms.strategy), "cv": cv}
    if terms.cohort_size is None:
        del value["cohort_size"]  # as ledgers have it that were begun before it travelled
    if terms.robust is None:
        del value["robust"]  # likewise
    else:
        value["robust"] = vars(terms.robust)
    return digest(value)


def is_join(runs: Mapping[str, RunEntry], order: Order) -> bool:
    """A2: whether the order is the first that this client gets of a run that is under way.

    A cross-validation and its folds, of which each is a run, are joined once; a fold is one whose
    terms say so, since anybody can give a run such a name.
    """
    entry = runs.get(order.run)
    question = question_of(order.kind)
    if (entry is not None and entry.has_begun) or (question.trains and order.round == 1):
        return False
    own, cv = own_run(order.run), order.terms.cv
    is_fold = cv is not None and cv.fold is not None and order.run == fold_run(own, cv.fold)
    is_met = is_fold and any(one.is_joined for run, one in runs.items() if own_run(run) == own)
    return question.is_of_round and not is_met


def check_cv_begins(order: Order, runs: Mapping[str, RunEntry]) -> None:
    """A2: folds are scored where one of them was trained. Raises ClientFailure (`order-refused`)."""
    known = runs.get(order.run)
    if question_of(order.kind).model != "folds" or (known is not None and known.has_begun):
        return  # of a run with this name nothing else is asked: `client.gate.policy` says so
    base = re.escape(order.run.removesuffix(CV_RUN))
    folds = re.compile(rf"{base}-fold-[0-9]+")
    if not any(folds.fullmatch(run) and entry.has_begun for run, entry in runs.items()):
        raise ClientFailure(
            FailureCode.ORDER_REFUSED,
            "The order asks for the scores of a cross-validation of which this client knows no fold.",
        )


def check_continues(entry: RunEntry, order: Order, group: int, ctx: bytes) -> None:
    """(round, attempt) after the last of its kind, and the run's own terms and group. Raises Refusal."""
    if entry.ctx == ctx.hex():
        raise Refusal(RefusalCode.CONTEXT_REUSED, "The order's context was used before.")
    last = entry.last.get(order.kind)
    if last is not None and [order.round, order.attempt] <= last:
        raise Refusal(
            RefusalCode.ROUND_REPLAYED,
            f"Round {order.round}, attempt {order.attempt} is not after the last ({order.kind}).",
        )
    if entry.terms != terms_digest(order):
        raise Refusal(RefusalCode.RULES_CHANGED, "The run's terms have changed.")
    if entry.group != group:
        raise Refusal(
            RefusalCode.SECOND_GROUP, f"It was in group {entry.group} of this run, not {group}."
        )


def check_order(entry: RunEntry | None, order: Order, tell: Callable[[str], object]) -> None:
    """A3 to A8: links, models and counts are those of a run that goes forward.

    Raises Refusal, and ClientFailure for other weights.

    `tell` gets a sentence for the client's own journal where something is odd and allowed.
    """
    _check_links(order)
    _check_follows(entry, order)
    if entry is None:
        return
    question = question_of(order.kind)
    number = question.number(order.round)
    if question.model != "none":
        _check_model(entry, order)
    if number is not None and question.names_sums:
        _check_same_links(entry, order, number)
        _check_own_link(entry, order, number, tell)
    _check_forward(entry, order)
    if not entry.is_partly_known:
        _check_evaluations(entry, order)


def check_scores(entry: RunEntry | None, order: Order, seen: int) -> None:
    """A8: tests and scores of folds, each at most one more often than `rounds` was seen to change.

    `seen` counts values of `rounds` in orders to train: of the run, or of all folds that are scored.
    Where cohorts are drawn they are as many as rounds: who was not drawn is tested all the same.
    Raises Refusal (`daily-limit`).
    """
    question = question_of(order.kind)
    if entry is None or entry.is_partly_known or question.counted != "scores":
        return
    is_drawn = order.terms.cohort_size is not None and question.is_of_round
    most = order.rounds if is_drawn else seen + _SPARE_TESTS
    scored = entry.scored.get(order.kind, [])
    if order.round not in scored and len(scored) >= most:
        raise Refusal(
            RefusalCode.DAILY_LIMIT,
            f"{_what(order)} would be number {len(scored) + 1} of this run, and {most} are answered: "
            "one, and one more for each number of `rounds` that it was trained for.",
        )


def _check_links(order: Order) -> None:
    """A3: a model that was trained names the sums that made it, each once."""
    contexts, question = [link.ctx for link in order.previous], question_of(order.kind)
    has_links = question.names_sums and not (question.trains and order.round == 1)
    if not has_links and contexts:
        raise _broken(f"{_what(order)} names sums that it cannot have come from")
    if has_links and not 1 <= len(contexts) <= len(order.groups):
        raise _broken(
            f"{_what(order)} names {len(contexts)} sums of the training before, and 1 to "
            f"{len(order.groups)} are expected"
        )
    if len(set(contexts)) != len(contexts):
        raise _broken(f"{_what(order)} names a sum twice")


def _check_follows(entry: RunEntry | None, order: Order) -> None:
    """A5: a question that follows another one is of the very models that this one was of.

    Raises ClientFailure (`order-refused`).
    """
    question = question_of(order.kind)
    if not question.follows:
        return
    before = _label(question_of(question.follows), order.round)
    if entry is None or entry.models.get(before) != order.weights:
        raise ClientFailure(
            FailureCode.ORDER_REFUSED,
            f"{_what(order)} is of other models than those of which this client was asked before "
            f"({question.follows}).",
        )


def _check_model(entry: RunEntry, order: Order) -> None:
    """A5: a number stands for one model, in whatever kind of order and attempt; so of all folds."""
    label = _label(question_of(order.kind), order.round)
    if entry.models.get(label, order.weights) != order.weights:
        raise ClientFailure(
            FailureCode.WEIGHTS_REFUSED,
            f"{_what(order)} has other weights than this client was shown as model {label} of the run.",
        )


def _check_same_links(entry: RunEntry, order: Order, number: int) -> None:
    """A3: training t and evaluation t - 1 are of one model, which the same sums made."""
    if not entry.links:
        return
    newest, links = entry.links
    if newest == str(number) and links != _links(order):
        raise _broken(f"{_what(order)} names other sums than an earlier order of the same model")


def _check_own_link(
    entry: RunEntry, order: Order, number: int, tell: Callable[[str], object]
) -> None:
    """A4: the model after a sum that this client helped to open comes from that sum."""
    if not entry.revealed:
        return
    ctx, root, last = entry.revealed
    named = {link.ctx: link.root for link in order.previous}
    if ctx in named and named[ctx] != root:
        raise _broken(f"{_what(order)} names a sum of this client's with another root")
    if int(last) != number and ctx in named:
        raise _broken(f"{_what(order)} names the sum of round {last} for a model of another round")
    if int(last) != number or ctx in named:
        return
    if sum(map(bool, order.groups)) == 1:  # an empty group failed at nothing
        raise _broken(
            f"{_what(order)} does not come from the sum of round {last}, which this client has opened"
        )
    tell(
        f"{_what(order)} does not name the sum of this client's own group in round {last}, which it "
        "has opened; another client may have kept that from being finished."
    )


def _check_forward(entry: RunEntry, order: Order) -> None:
    """A6: nothing is trained again that was judged, nor judged that was trained on since."""
    is_back = {
        "trainings": order.round <= max(entry.evaluated, default=-1),
        "evaluations": order.round < max(entry.trained, default=0),
    }
    if is_back.get(question_of(order.kind).counted, False):
        raise Refusal(
            RefusalCode.ROUND_REPLAYED, f"{_what(order)} comes after orders of a later model."
        )


def _check_evaluations(entry: RunEntry, order: Order) -> None:
    """A7: no more models are judged than were trained, or than a run of drawn cohorts has rounds."""
    question = question_of(order.kind)
    if question.counted != "evaluations" and not order.is_validated:
        return
    number = question.number(order.round)
    most = len({*entry.trained, order.round} if question.trains else entry.trained)
    most += _SPARE_EVALUATIONS
    if order.terms.cohort_size is not None:
        most = order.rounds
    if number not in entry.evaluated and len(entry.evaluated) >= most:
        raise Refusal(
            RefusalCode.DAILY_LIMIT,
            f"{_what(order)} would bring the models of this run that are evaluated here to "
            f"{len(entry.evaluated) + 1}, and {most} are answered: {len(entry.trained)} were trained here.",
        )


def _label(question: Question, round: int) -> str:
    """Of the models that an order carries: a number, or all folds' after a round."""
    number = question.number(round)
    return f"{question.kind} {round}" if number is None else str(number)


@once_for_same
def _links(order: Order) -> str:
    return digest(sorted([link.ctx, link.root] for link in order.previous))


def _what(order: Order) -> str:
    return f"The {question_of(order.kind).noun} of round {order.round}"


def _once(numbers: list[int], number: int) -> None:
    if number not in numbers:
        numbers.append(number)


def _numbers(value: object) -> list[int]:
    return [int(n) for n in value] if isinstance(value, list) else []


def _broken(reason: str) -> Refusal:
    return Refusal(
        RefusalCode.CHAIN_BROKEN,
        f"The chain of this run is broken: {reason}. Ask the server's operator why; a new run begins anew.",
    )
