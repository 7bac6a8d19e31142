"""validate: the released model on everybody's test part, and cross-validation where it is wanted."""

from dataclasses import replace

from calyx.metrics import PERSONAL, client_spread, details
from server.asking import ask
from server.checkpoints import RunState, save
from server.crossvalidation import cross_validate
from server.exchange import Exchange, judged, total_counts
from server.federation import Federation
from server.stopping import released
from server.work import Work


def run(work: Work) -> Work:
    """Test once; the figures are in the state, and of the folds in their folder."""
    work = replace(work, state=test_best(work.federation(), work.state))
    return cross_validate(work) if work.run.cv.k is not None else work


def test_best(federation: Federation, state: RunState) -> RunState:
    """Have the released model tested, once; the state that knows its figures is saved.

    Raises ValueError before the first round.
    """
    best = released(state)
    if best.test is not None:
        return state
    clients = federation.folder.clients
    federation.folder.truncate(clients, lambda row: row["kind"] != "test")  # of an earlier best
    exchange = Exchange("test", best.round, 1, federation.dealt, previous=())
    evaluated = ask(federation, exchange, best.weights)[0].evaluated
    contents, counts = federation.grid.contents, total_counts(evaluated)
    found = judged(evaluated, contents) | details(contents.task.schema, counts)
    found |= client_spread(counts)
    # What each client's own model does is no figure of this model.
    figures = {k if k.startswith(PERSONAL) else f"test_{k}": value for k, value in found.items()}
    tested = replace(state, best=replace(best, test=figures))
    save(federation.folder.checkpoints, tested, federation.run.keep_checkpoints)
    return tested
