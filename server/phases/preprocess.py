"""preprocess: what orders carry of the audit's sums.

Constants, none where each client fits its own or else one set for all; and a client's largest weight.
"""

import logging
from dataclasses import replace

from pydantic import JsonValue

from calyx.errors import CalyxError
from calyx.findings.figures import read_sums
from calyx.preprocessing.choice import fall_back
from calyx.preprocessing.config import Constants
from calyx.preprocessing.federated import check_given, find_lacking, fit_sums, shortcomings, unshown
from calyx.preprocessing.fitted import constants_of
from calyx.questions.statistics import survey_of
from calyx.run.order import Cv, Terms, with_preprocessing
from calyx.survey.blocks import TRAIN, fold_name
from server.checkpoints import save
from server.counted import Counted
from server.run_context import RunContext
from server.weighing import find_w_max

log = logging.getLogger(__name__)


def run(context: RunContext) -> RunContext:
    """What this run's orders carry of the sums: constants, and how much one client may weigh.

    Raises CalyxError, ConfigError.
    """
    context = _decide(_weigh(context))
    if not context.preprocessing.is_federated:
        return context
    if context.counted is None:
        raise CalyxError("preprocessing=federated needs the audit's sums; see phases.")
    fits = fit_samples(context, context.counted, [TRAIN])
    return replace(
        context,
        preprocessing=replace(context.preprocessing, fitted=fits),
        terms=with_constants_of(context.terms, fits),
    )


def _weigh(context: RunContext) -> RunContext:
    """With the largest weight, which is saved before an order has it."""
    w_max = find_w_max(context)
    state = replace(context.state, w_max=w_max)
    if w_max != context.state.w_max:
        save(context.folder.checkpoints, state, context.run.keep_checkpoints)
    return replace(context, terms=replace(context.terms, w_max=w_max), state=state)


def _decide(context: RunContext) -> RunContext:
    """With what `preprocessing=auto` stands for, now that it is known which sums there are."""
    choice = context.choice
    if choice.is_default and (why := _why_none(context)):
        choice = fall_back(choice, why)
    if choice.warning and context.folder.event_once("preprocessing", "warning", choice.warning):
        log.warning(choice.warning)
    terms = with_preprocessing(context.terms, name=choice.cfg.name)
    return replace(context, choice=choice, preprocessing=choice.cfg, terms=terms)


def _why_none(context: RunContext) -> str:
    """Why constants cannot be had of all that this run fits them on, as a clause; "" where they can."""
    cfg = context.preprocessing
    if context.counted is None:
        return "there are no sums of the audit"
    counted, cv = context.counted, context.run.cv.of_all()
    cv = cv if counted.has_folds(cv, context.run.seed) else None
    samples = [TRAIN, *(fold_name(i) for i in range(counted.folds) if cv is not None)]
    survey = survey_of(context.task, replace(context.terms, cv=cv), context.run.privacy)
    schema = context.task.schema
    figures = (read_sums(counted.sums, survey, counted.sites, sample) for sample in samples)
    return next(
        filter(None, (find_lacking(f, schema, cfg) or unshown(f, schema) for f in figures)), ""
    )


def fit_samples(
    context: RunContext, counted: Counted, samples: list[str], cv: Cv | None = None
) -> tuple[tuple[Constants, ...], ...]:
    """Constants of every column, fitted on each of these samples of a survey.

    Raises ConfigError where no site gives what they are made of.
    """
    cfg = context.choice.cfg
    survey = survey_of(context.task, replace(context.terms, cv=cv), context.run.privacy)
    fits = []
    for i, sample in enumerate(samples):
        figures = read_sums(counted.sums, survey, counted.sites, sample)
        check_given(figures, context.task.schema, cfg)
        fitted = fit_sums(figures, context.task.schema, cfg)
        if i == 0:
            _say(context, shortcomings(figures, context.task.schema, cfg))
        fits.append(constants_of(fitted))
    return tuple(fits)


def with_constants_of(terms: Terms, fits: tuple[tuple[Constants, ...], ...]) -> Terms:
    """The terms with constants in their preprocessing: one set, or one a fold."""
    rows: list[JsonValue] = [[list(row) for row in fitted] for fitted in fits]
    return with_preprocessing(terms, fitted=rows)


def _say(context: RunContext, sentences: list[str]) -> None:
    """What the sums do not tell, once a run."""
    for sentence in sentences:
        context.folder.event("constants", "warning", sentence)
