"""The folds' models of a cross-validation together: their files, and what they come to on the test part.

It is asked once, after the folds are scored, and of the very same models. See docs/decisions/0094.
"""

from collections.abc import Sequence
from dataclasses import replace

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.model.populations import population_of
from calyx.model.released import describe, save
from calyx.model.weights import Weights, stack
from calyx.preprocessing.config import PreprocessingConfig
from calyx.questions.ensemble import compare, say
from calyx.run.folder import RunFolder
from calyx.run.folds import CV_RUN
from calyx.run.order import Terms
from calyx.run.rows import ClientRow
from calyx.run.summary import EnsembleTest
from server.exchange.asking import ask_all
from server.exchange.exchange import Exchange, total_counts
from server.run_context import RunContext
from server.sampling import list_names


def check_models(context: RunContext) -> None:
    """Refuse to combine where each client has a model of its own. Raises ConfigError."""
    if context.run.cv.combine is not None and context.contents.models != "common":
        raise ConfigError(
            f"cv.combine needs one model of all clients, and strategy={context.run.strategy.name} trains one "
            "of each; use strategy=fedavg, or leave cv.combine out."
        )


def judge_together(context: RunContext, terms: Terms, models: Sequence[Weights]) -> EnsembleTest:
    """Write each fold's model, and ask what all come to together. Raises RoundFailed.

    `terms` are those of all folds, by which these were scored.
    """
    combine = context.run.cv.combine
    if combine is None:
        raise ValueError("nothing is to be combined")
    files = tuple(_write(context, terms, fold, one) for fold, one in enumerate(models))
    clients = context.folder.clients
    context.folder.truncate(clients, ClientRow, lambda row: row.kind != "ensemble")
    weights = stack(models)
    federation = context.federation(f"{context.state.run}{CV_RUN}", terms, weights)
    exchange = Exchange("ensemble", context.run.rounds, list_names(context.clients.asked))
    outcome = ask_all(federation, exchange, weights)
    each = [tuple(ours[i] for ours in outcome.folds) for i in range(len(models) + 1)]
    told = compare(context.contents, [say(context.contents, total_counts(one)) for one in each])
    names = [name for name in exchange.cohort if name not in outcome.dropped]
    counts = total_counts(each[-1])
    whose = population_of(context.task.schema, counts, names, len(exchange.cohort))
    return EnsembleTest(
        combine=combine,
        figures=dict(told.values),
        tested_on=whose,
        models=files,
        absent=dict(told.absent),
    )


def _write(context: RunContext, terms: Terms, fold: int, weights: Weights) -> str:
    """A fold's model as a file like the run's own, with its own constants; its SHA-256 in hex."""
    cfg = parse(PreprocessingConfig, terms.preprocessing, "preprocessing")
    if cfg.fitted is not None and len(cfg.fitted) > 1:
        cfg = replace(cfg, fitted=(cfg.fitted[fold],))
    folder = RunFolder(context.folder.folds / str(fold))
    return save(folder.model, weights, describe(context.task, context.run.task, cfg), cfg)
