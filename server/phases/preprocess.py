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
from calyx.preprocessing.fitting import constants_of
from calyx.questions.statistics import survey_of
from calyx.run.order import Cv, Terms
from calyx.survey.blocks import TRAIN, fold_name
from server.checkpoints import save
from server.run_context import Counted, RunContext
from server.weighing import find_w_max

log = logging.getLogger(__name__)


def run(work: RunContext) -> RunContext:
    """What this run's orders carry of the sums: constants, and how much one client may weigh.

    Raises CalyxError, ConfigError.
    """
    work = _decide(_weigh(work))
    if not work.preprocessing.is_federated:
        return work
    if work.counted is None:
        raise CalyxError("preprocessing=federated needs the audit's sums; see phases.")
    fits = fit_samples(work, work.counted, [TRAIN])
    return replace(
        work,
        preprocessing=replace(work.preprocessing, fitted=fits),
        terms=with_constants_of(work.terms, fits),
    )


def _weigh(work: RunContext) -> RunContext:
    """With the largest weight, which is saved before an order has it."""
    w_max = find_w_max(work)
    state = replace(work.state, w_max=w_max)
    if w_max != work.state.w_max:
        save(work.folder.checkpoints, state, work.run.keep_checkpoints)
    return replace(work, terms=replace(work.terms, w_max=w_max), state=state)


def _decide(work: RunContext) -> RunContext:
    """With what `preprocessing=auto` stands for, now that it is known which sums there are."""
    choice = work.choice
    if choice.is_default and (why := _why_none(work)):
        choice = fall_back(choice, why)
    if choice.warning and work.folder.event_once("preprocessing", "warning", choice.warning):
        log.warning(choice.warning)
    section = work.terms.preprocessing | {"name": choice.cfg.name}
    terms = replace(work.terms, preprocessing=section)
    return replace(work, choice=choice, preprocessing=choice.cfg, terms=terms)


def _why_none(work: RunContext) -> str:
    """Why constants cannot be had of all that this run fits them on, as a clause; "" where they can."""
    cfg = work.preprocessing
    if work.counted is None:
        return "there are no sums of the audit"
    counted, k = work.counted, work.run.cv.k
    is_by_rows = isinstance(k, int) and (counted.folds, counted.seed) == (k, work.run.seed)
    cv = Cv(k=k, fold=None) if isinstance(k, int) and is_by_rows else None
    samples = [TRAIN, *(fold_name(i) for i in range(counted.folds) if cv is not None)]
    survey = survey_of(work.task, replace(work.terms, cv=cv))
    schema = work.task.schema
    figures = (read_sums(counted.sums, survey, counted.sites, sample) for sample in samples)
    return next(
        filter(None, (find_lacking(f, schema, cfg) or unshown(f, schema) for f in figures)), ""
    )


def fit_samples(
    work: RunContext, counted: Counted, samples: list[str], cv: Cv | None = None
) -> tuple[tuple[Constants, ...], ...]:
    """Constants of every column, fitted on each of these samples of a survey.

    Raises ConfigError where no site gives what they are made of.
    """
    cfg = work.choice.cfg
    survey = survey_of(work.task, replace(work.terms, cv=cv))
    fits = []
    for i, sample in enumerate(samples):
        figures = read_sums(counted.sums, survey, counted.sites, sample)
        check_given(figures, work.task.schema, cfg)
        fitted = fit_sums(figures, work.task.schema, cfg)
        if i == 0:
            _say(work, shortcomings(figures, work.task.schema, cfg))
        fits.append(constants_of(fitted))
    return tuple(fits)


def with_constants_of(terms: Terms, fits: tuple[tuple[Constants, ...], ...]) -> Terms:
    """The terms with constants in their preprocessing: one set, or one a fold."""
    rows: list[JsonValue] = [[list(row) for row in fitted] for fitted in fits]
    return replace(terms, preprocessing=terms.preprocessing | {"fitted": rows})


def _say(work: RunContext, sentences: list[str]) -> None:
    """What the sums do not tell, once a run."""
    for sentence in sentences:
        work.folder.event("constants", "warning", sentence)
