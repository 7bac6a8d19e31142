"""validate: the released model on everybody's test part, and cross-validation where it is wanted."""

from dataclasses import replace
from typing import Any

from calyx.model.details import details
from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population
from calyx.model.spread import client_spread
from calyx.questions.layouts import Contents
from calyx.vector.figures import Figures, none_of
from server.checkpoints import RunState, save
from server.crossvalidation import cross_validate
from server.exchange.asking import ask
from server.exchange.exchange import Exchange, Outcome, judged, populations, total_counts
from server.federation import Federation
from server.stopping import choose_model
from server.work import Work


def run(work: Work) -> Work:
    """Test once; the figures are in the state, and of the folds in their folder."""
    work = replace(work, state=test_best(work.federation(), work.state))
    return cross_validate(work) if work.run.cv.k is not None else work


def test_best(federation: Federation, state: RunState) -> RunState:
    """Have the released model tested, once; the state that knows its figures is saved.

    Raises ValueError before the first round.
    """
    best = choose_model(state)
    if best.test is not None:
        return state
    clients = federation.folder.clients
    federation.folder.truncate(clients, lambda row: row["kind"] != "test")  # of an earlier best
    exchange = Exchange("test", best.round, federation.dealt)
    outcome = ask(federation, exchange, best.weights).outcome
    _say_untrained(federation, outcome, best.round)
    tested = replace(state, best=replace(best, test=_figures(outcome, federation.setting.contents)))
    save(federation.folder.checkpoints, tested, federation.run.keep_checkpoints)
    return tested


def _say_untrained(federation: Federation, outcome: Outcome, number: int) -> None:
    """That figures of own models are not of everybody, where somebody has none."""
    of = populations(outcome, federation.setting.contents)
    own = of.get(PERSONAL, of[""])
    if own.untrained:
        has = "has" if own.untrained == 1 else "have"
        message = (
            f"{own.untrained} of {own.asked} clients {has} no model of their own, since they took part "
            f"in no round: the figures of own models are over the {own.clients} others. More rounds, "
            "or a larger cohort_size, give everybody one."
        )
        federation.folder.event("untrained", "warning", message, round=number)


def _figures(outcome: Outcome, contents: Contents) -> dict[str, Any]:
    """As JSON values; the reasons of what cannot be told are under `absent`."""
    schema, counts = contents.task.schema, total_counts(outcome.evaluated)
    spread: Figures = client_spread(schema, counts)
    whose = populations(outcome, contents)
    told = judged(outcome.evaluated, contents, "test rows") | spread
    for prefix, of in whose.items() if schema.classes else ():
        told |= _majority(f"{prefix}majority", of)
    # What each client's own model does is no figure of this model.
    found = told.named("test_", PERSONAL)
    more, reasons = details(schema, counts)
    return {
        **found.values,
        **{f"test_{name}": value for name, value in more.items()},
        "test_clients_scored": int(counts["scored"][0]),
        "test_clients_unscored": int(counts["unscored"][0]),
        **{f"{k}tested_on": v.to_json() for k, v in whose.items()},
        "absent": found.absent | {f"test_{name}": why for name, why in reasons.items()},
    }


def _majority(name: str, of: Population) -> Figures:
    """What an accuracy on these rows is to be held against."""
    if of.majority is None:
        return none_of((name,), "there are no test rows of which a model is judged")
    return Figures({name: of.majority})
