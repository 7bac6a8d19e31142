"""Cross-validation: a training a fold, from weights of its own, and one exchange that scores them all.

With `cv.k=5` each client's rows are dealt into folds; with `cv.k=clients` each client is left out
once, and scores the model that was trained without it on all its rows. Then its statistics are not
left out of the preprocessing: sums with and without one client would give that client's own.
"""

import statistics
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from calyx.errors import RoundFailed
from calyx.files.foreign import read_object
from calyx.files.plain import write_json
from calyx.model.metrics import metric_name
from calyx.model.spread import client_spread
from calyx.model.weights import Weights, hash_weights, stack
from calyx.questions.cv import say
from calyx.questions.judging import figures_of
from calyx.run.folder import RunFolder
from calyx.run.folds import CV_RUN, fold_run
from calyx.run.json_rows import as_json, damage_of, parse_row
from calyx.run.order import Terms, with_preprocessing
from calyx.run.rows import ClientRow, RoundRow
from calyx.run.summary import CrossValidation
from calyx.survey.blocks import fold_name
from server.checkpoints import load_newest, save
from server.combination import judge_together
from server.exchange.asking import ask_all
from server.exchange.exchange import Exchange, Outcome, total_counts
from server.federation import Clients
from server.phases.preprocess import fit_samples, with_constants_of
from server.round_log import restore
from server.rounds import run_rounds
from server.run_context import RunContext, begin_state, make_initial
from server.sampling import list_names, present
from server.stopping import choose_model


def cross_validate(context: RunContext) -> RunContext:
    """Train and score all folds; the figures are in `folds/cv.json`. Raises RoundFailed.

    A run that goes on for more rounds trains its folds for more, too; models that were scored
    already are not scored again, which clients would refuse.
    """
    k, known = context.run.cv.k, read_cv(context.folder)
    if k is None or (known is not None and known.rounds == context.run.rounds):
        return context
    folds = number_folds(context.clients) if k == "clients" else dict.fromkeys(range(k), "")
    names = list(folds.values())
    terms = replace(_preprocess(context, k), cv=context.run.cv.of_all())
    models = [_train(context, _of_fold(terms, i), name) for i, name in folds.items()]
    digest = hash_weights(stack(models))
    if known is None or known.models != digest:
        outcome = _score(context, terms, models)
        known = replace(_figures(context, outcome, names), models=digest)
        if context.run.cv.combine is not None:  # a kill before the next answer costs no score
            write_json(_file(context.folder), as_json(known))
    if context.run.cv.combine is not None and known.ensemble is None:
        known = replace(known, ensemble=judge_together(context, terms, models))
    capped = max(_num_capped(context, i) for i in folds)
    known = replace(known, capped_clients=capped, rounds=context.run.rounds)
    write_json(_file(context.folder), as_json(known))
    return context


def number_folds(clients: Clients) -> dict[int, str]:
    """Fold → who is left out of it, of those who are there, by name.

    They are counted over the roster, so that whoever is away changes no other's number.
    """
    everybody = sorted(clients.roster.indices) if clients.roster else list(clients.nodes)
    return {i: name for i, name in enumerate(everybody) if name in clients.nodes}


def read_cv(folder: RunFolder) -> CrossValidation | None:
    """The figures of the folds, if they are known. Raises UserError for a damaged file."""
    path = _file(folder)
    if not path.exists():
        return None
    try:
        return parse_row(CrossValidation, read_object(path))
    except (OSError, ValueError) as error:
        raise damage_of(path, "", str(error)) from None


def _file(folder: RunFolder) -> Path:
    return folder.folds / "cv.json"


def _num_capped(context: RunContext, fold: int) -> int:
    """Clients that counted as fewer rows than they have in a fold's training; most in one round."""
    rows = RunFolder(context.folder.folds / str(fold)).read_rounds()
    return max(row.capped_clients for row in rows)


def _preprocess(context: RunContext, k: int | str) -> Terms:
    """The run's terms with constants for each fold, from sums over the rows that its model may see."""
    is_federated = context.preprocessing.is_federated
    if not is_federated or not isinstance(k, int) or context.counted is None:
        return context.terms
    cv = context.run.cv.of_all()
    if not context.counted.has_folds(cv, context.run.seed):
        message = (
            f"The sites gave their statistics before, and not of these {k} folds: all folds use the "
            "constants of training parts, in which some of the rows are that they are scored on."
        )
        context.folder.event("folds-share-constants", "warning", message)
        return context.terms
    samples = [fold_name(i) for i in range(k)]
    fits = fit_samples(context, context.counted, samples, cv)
    return with_constants_of(context.terms, fits)


def _train(context: RunContext, terms: Terms, left_out: str) -> Weights:
    """The model that one fold's training would release, which goes on where it was stopped."""
    fold = terms.cv.fold if terms.cv and terms.cv.fold else 0
    folder = RunFolder(context.folder.folds / str(fold))
    initial = make_initial(context.task, terms, context.preprocessing, fold)
    if any(folder.checkpoints.glob("round-*")):  # a kill may have left an empty folder
        state = restore(folder, load_newest(folder.checkpoints)[0])
        pending = [state.pending] if state.pending else []
        check_unseen(left_out, [*folder.read_rounds(), *pending])
    else:
        name = fold_run(context.state.run, fold)
        state = begin_state(context.run, terms, initial, name, context.state.config)
        folder.path.mkdir(parents=True, exist_ok=True)
        save(folder.checkpoints, state, context.run.keep_checkpoints)
    others = context.clients.nodes.keys() - {left_out}
    clients = _present(context.clients, others)
    own = replace(context, terms=terms, clients=clients)
    training = replace(own.training_from(state, initial, folder), label=f"fold {fold + 1} ")
    state, _ = run_rounds(training, state)
    check_unseen(left_out, folder.read_rounds())  # its first round may have been under way
    return training.of_model(choose_model(state).weights)


def _present(clients: Clients, names: Collection[str]) -> Clients:
    """The clients of a fold, of which those with these names are."""
    census = None if clients.census is None else present(clients.census, names)
    return replace(clients, dealt=present(clients.dealt, names), census=census)


def check_unseen(left_out: str, rows: Iterable[RoundRow]) -> None:
    """Refuse to score a client by a model of its own rows. Raises RoundFailed.

    Where the roster has changed since, or an earlier version of Calyx began the run with somebody
    away, the fold that leaves this client out now was another's.
    """
    if any(left_out in row.cohort for row in rows):
        raise RoundFailed(
            f"With cv.k=clients {left_out} would be judged by a model that it has trained: the roster is "
            "another than when this run began, or an earlier version of Calyx began it; begin a new run"
        )


def _of_fold(terms: Terms, fold: int) -> Terms:
    """The terms of one fold's training, of whose constants it has its own set."""
    fits = terms.preprocessing.get("fitted")
    if isinstance(fits, list) and len(fits) > 1:
        terms = with_preprocessing(terms, fitted=[fits[fold]])
    return replace(terms, cv=terms.cv and replace(terms.cv, fold=fold))


def _score(context: RunContext, terms: Terms, models: list[Weights]) -> Outcome:
    """All models at once: a client gives one vector, and nothing of one fold alone."""
    clients = context.folder.clients
    context.folder.truncate(clients, ClientRow, lambda row: row.kind != "cv")
    weights = stack(models)
    federation = context.federation(f"{context.state.run}{CV_RUN}", terms, weights)
    is_of_clients = context.run.cv.k == "clients"  # each judges the model that it has not trained
    asked = context.clients.dealt if is_of_clients else context.clients.asked
    exchange = Exchange("cv", context.run.rounds, list_names(asked))
    return ask_all(federation, exchange, weights)


def _figures(context: RunContext, outcome: Outcome, names: list[str]) -> CrossValidation:
    """The folds' scores and what they come to. A fold that cannot be told is in no mean."""
    metric, k = metric_name(context.task.schema), context.run.cv.k
    if not isinstance(k, int):
        return _of_clients(context, outcome, names)
    folds = [tuple(ours[i] for ours in outcome.folds) for i in range(len(outcome.folds[0]))]
    told = [say(context.contents, total_counts(groups)) for groups in folds]
    scores = [one.values[metric] for one in told]
    known = [score for score in scores if score is not None]
    absent = {
        f"folds.{i}": one.absent[metric] for i, one in enumerate(told) if metric in one.absent
    }
    if not known:
        absent["mean"] = "no fold has a score"
    if len(known) < 2:
        absent["sd"] = "fewer than two folds have a score"
    return CrossValidation(
        k=k,
        metric=metric,
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        folds=tuple(scores),
        scored=len(known),
        unscored=len(scores) - len(known),
        absent=absent,
    )


def _of_clients(context: RunContext, outcome: Outcome, names: list[str]) -> CrossValidation:
    """One client's score is nobody's business but its own: the sums give mean and spread."""
    groups = tuple(folds[0] for folds in outcome.folds)
    schema, contents, counts = context.task.schema, context.contents, total_counts(groups)
    spread = client_spread(schema, counts, of_sample=True)
    rows = figures_of(contents, counts, "rows")
    metric = metric_name(schema)
    renamed = {"client_mean": "mean", "client_sd": "sd"}
    absent = {renamed[name]: why for name, why in spread.absent.items() if name in renamed}
    if metric in rows.absent:
        absent["all_rows"] = rows.absent[metric]
    return CrossValidation(
        k="clients",
        metric=metric,
        mean=spread.values["client_mean"],
        sd=spread.values["client_sd"],
        all_rows=rows.values[metric],
        clients=tuple(names),
        scored=int(counts["scored"][0]),
        unscored=int(counts["unscored"][0]),
        absent=absent | {"folds": "the sums say no single client's score"},
    )
