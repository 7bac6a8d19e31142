"""Which round is the best, when a run stops early, and which model is released: pure functions.

Rounds are compared by the figure that is watched, and only where it is over the rows of the same
clients: a minimum over differently drawn clients is the luckiest draw, and not the best model.
"""

import math
from dataclasses import replace

from calyx.errors import ConfigError
from calyx.model.metrics import PERSONAL
from calyx.model.populations import is_same_population
from calyx.tasks.task import Task
from calyx.words.sentences import join_names
from server.checkpoints import Best, RunState
from server.config import RunConfig, Stopping
from strategies.local import LocalObjective, load_objective

# Two rounds are compared where fewer than one client in so many validated only one of them.
ONE_IN = 20
APART = 3  # rounds in a row by other clients, after which the best one is given up


def check_monitor(run: RunConfig, task: Task) -> None:
    """Raise ConfigError where the task or the strategy lacks a figure that `stopping` names."""
    names = ["loss", "accuracy"] if task.schema.target is None else ["loss", "r2", "rmse", "mae"]
    known = [f"val_{name}" for name in names]
    half = load_objective(run.strategy.name, run.strategy.local)
    keeps_layers = type(half).localised is not LocalObjective.localised
    if keeps_layers or half.personal() is not None:
        known += [f"val_{PERSONAL}{name}" for name in names]
    for key in ("monitor", "objective"):
        name = getattr(run.stopping, key)
        if name not in known:
            raise ConfigError(
                f"stopping.{key}={name} is no figure of task={task.name} with "
                f"strategy={run.strategy.name}; they have {', '.join(known)}."
            )


def why_unranked(run: RunConfig, clients: int) -> str | None:
    """Why no two rounds of a run with so many clients can be compared; None where they can."""
    size = run.cohort_size
    if run.evaluate == "separate" or size is None or size >= clients:
        return None
    return (
        f"with evaluate=with_training and cohort_size={size} each round's model is validated by "
        f"other clients ({size} of {clients}), so that figures of different rounds do not rank"
    )


def compare(state: RunState, this: Best, stopping: Stopping) -> tuple[RunState, str]:
    """`state` after the validation of its round, and a sentence where that was out of the ordinary.

    `this` is the round's model, which is the best one if it is better than the best so far.

    A round of other rows is neither better than the best one nor counted as one that is not. The
    comparison begins anew with the second such round in a row by the same clients, or the third by
    whomever: who has left for good does not keep an early model the best. A round without a figure
    changes nothing.
    """
    value, best = this.value, state.best
    if value is None or not math.isfinite(value):
        return replace(state, apart=()), ""
    if best is None or best.value is None:
        return replace(state, best=this, waited=0, apart=()), ""
    if _can_compare(best, this):
        is_better = value < best.value if stopping.mode == "min" else value > best.value
        if is_better:  # a tie never is
            return replace(state, best=this, waited=0, apart=()), ""
        return replace(state, waited=state.waited + 1, apart=()), ""
    difference = _difference(best, this)
    apart = (*state.apart, this.clients)
    if len(apart) == APART or (state.apart and are_nearly_the_same(state.apart[-1], this.clients)):
        return replace(state, best=this, waited=0, apart=()), (
            f"{difference}, {len(apart)} rounds in a row: the comparison begins anew with round "
            f"{this.round}"
        )
    return replace(state, apart=apart), f"{difference}: the two are not compared"


def drop_best_of_fewer(best: Best | None, clients: tuple[str, ...]) -> Best | None:
    """None where `clients`, who have a model of their own now, are many more than when `best` was best.

    Otherwise `best`. A model that fewer can use is no rival, whatever the figure of the few.
    """
    if (
        best is None
        or not set(best.clients) < set(clients)
        or are_nearly_the_same(best.clients, clients)
    ):
        return best
    return None


def _can_compare(best: Best, this: Best) -> bool:
    """Whether two rounds are of the same rows, but for those of a few clients."""
    ours, theirs = set(best.clients), set(this.clients)
    if ours == theirs:
        return is_same_population(best.population, this.population)
    if (ours <= theirs or theirs <= ours) and best.population and this.population:
        # Who is missing may have no rows of this part at all.
        pair = [replace(one, who="", asked=0) for one in (best.population, this.population)]
        if is_same_population(*pair):
            return True
    return are_nearly_the_same(best.clients, this.clients)


def are_nearly_the_same(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether the same clients validated two rounds, but for fewer than one in `ONE_IN`."""
    differing = len(set(left) ^ set(right))
    return differing == 0 or differing * ONE_IN < max(len(left), len(right))


def _difference(best: Best, this: Best) -> str:
    without = sorted(set(best.clients) - set(this.clients))
    beside = sorted(set(this.clients) - set(best.clients))
    words = [f"without {join_names(without)}"] if without else []
    words += [f"with {join_names(beside)}"] if beside else []
    how = f"now {' and '.join(words)}" if words else "the same clients have other rows now"
    return (
        f"Round {this.round} was validated on other rows than round {best.round}, the best so far "
        f"({how})"
    )


def reason_to_stop(state: RunState, stopping: Stopping) -> str | None:
    """Why the run should end after `state.round`, in one sentence, or None."""
    best, waited = state.best, state.waited
    if stopping.patience is None or best is None or best.value is None:
        return None
    if waited < stopping.patience:
        return None
    rounds = f"{waited} round" if waited == 1 else f"{waited} rounds"
    if state.round - best.round > waited:
        rounds += " that can be compared with it"
    return f"{stopping.monitor} was not better than in round {best.round} for {rounds}"


def choose_model(state: RunState) -> Best:
    """Which model is tested and released: the best one, or the last where none is called best.

    Raises ValueError before the first round.
    """
    best = state.best
    if best is not None and (best.value is not None or best.round == state.round):
        return best
    if state.round == 0:
        raise ValueError("a run of no rounds has no model to release")
    return Best(state.round, None, state.weights, ())
