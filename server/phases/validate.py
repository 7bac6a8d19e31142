"""validate: the released model on everybody's test part, and cross-validation where it is wanted."""

from dataclasses import replace

from calyx.model.conformal import NAME, read_conformal
from calyx.model.details import details
from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population
from calyx.questions.segments import Contents
from calyx.run.rows import ClientRow
from calyx.run.summary import ModelTest
from calyx.vector.figures import Figures, none_of
from server.checkpoints import RunState, save
from server.crossvalidation import cross_validate
from server.exchange.asking import ask
from server.exchange.exchange import Exchange, Outcome, total_counts
from server.federation import Training
from server.run_context import RunContext
from server.stopping import choose_model


def run(context: RunContext) -> RunContext:
    """Test once; the figures are in the state, and of the folds in their folder."""
    context = replace(context, state=test_best(context.training(), context.state))
    return cross_validate(context) if context.run.cv.k is not None else context


def test_best(training: Training, state: RunState) -> RunState:
    """Have the released model tested, once; the state that knows its figures is saved.

    Raises ValueError before the first round.
    """
    best = choose_model(state)
    if best.test is not None:
        return state
    clients = training.folder.clients  # its test rows are of an earlier best
    training.folder.truncate(clients, ClientRow, lambda row: row.kind != "test")
    exchange = Exchange("test", best.round, training.clients.everybody)
    outcome = ask(training, exchange, best.weights).outcome
    _say_untrained(training, outcome, best.round)
    tested = replace(state, best=replace(best, test=_figures(outcome, training.contents)))
    save(training.folder.checkpoints, tested, training.run.keep_checkpoints)
    return tested


def _say_untrained(training: Training, outcome: Outcome, number: int) -> None:
    """That figures of own models are not of everybody, where somebody has none."""
    of = outcome.populations(training.contents)
    own = of.get(PERSONAL, of[""])
    if own.untrained:
        has = "has" if own.untrained == 1 else "have"
        message = (
            f"{own.untrained} of {own.asked} clients {has} no model of their own, since they took part "
            f"in no round: the figures of own models are over the {own.clients} others. More rounds, "
            "or a larger cohort_size, give everybody one."
        )
        training.folder.event("untrained", "warning", message, round=number)


def _figures(outcome: Outcome, contents: Contents) -> ModelTest:
    schema, counts = contents.task.schema, total_counts(outcome.evaluated)
    whose = outcome.populations(contents)
    told = outcome.figures(contents)
    for prefix, of in whose.items() if schema.classes else ():
        told |= _majority(f"{prefix}majority", of)
    # What each client's own model does is no figure of this model.
    figures = told.with_prefix("test_", PERSONAL)
    more, reasons = details(schema, counts)
    confusion = more.pop("confusion", None)  # [K, K]
    conformal, why = read_conformal(counts, is_own=contents.is_localised)
    if why is not None:
        reasons[NAME] = why
    return ModelTest(
        figures=figures.values | {f"test_{name}": value for name, value in more.items()},
        test_confusion=confusion and tuple(map(tuple, confusion)),
        test_conformal=conformal,
        test_clients_scored=int(counts["scored"][0]),
        test_clients_unscored=int(counts["unscored"][0]),
        tested_on={f"{k}tested_on": v for k, v in whose.items()},
        absent=figures.absent | {f"test_{name}": why for name, why in reasons.items()},
    )


def _majority(name: str, of: Population) -> Figures:
    """What an accuracy on these rows is to be held against."""
    if of.majority is None:
        return none_of((name,), "there are no test rows of which a model is judged")
    return Figures({name: of.majority})
