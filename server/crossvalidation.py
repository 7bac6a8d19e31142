"""Cross-validation: a training a fold, from weights of its own, and one exchange that scores them all.

With `cv.k=5` each client's rows are dealt into folds; with `cv.k=clients` each client is left out
once, and scores the model that was trained without it on all its rows. Then its statistics are not
left out of the preprocessing: sums with and without one client would give that client's own.
"""

import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from calyx.config.section import Section, parse
from calyx.errors import RoundFailed
from calyx.files.foreign import read_object
from calyx.files.plain import read_lines, write_json
from calyx.model.metrics import metric_name
from calyx.model.spread import client_spread
from calyx.model.weights import Weights, hash_weights
from calyx.preprocessing.config import PreprocessingConfig
from calyx.run.folder import Row, RunFolder
from calyx.run.folds import CV_RUN, fold_run, stacked
from calyx.run.order import Cv
from calyx.survey.blocks import fold_name
from server.checkpoints import load_newest, save
from server.exchange.asking import ask_all
from server.exchange.exchange import Exchange, Outcome, judged, total_counts
from server.phases.preprocess import fitted_section
from server.rounds import run_rounds
from server.sampling import Groups
from server.stopping import choose_model
from server.work import Work, fresh_state


def cross_validate(work: Work) -> Work:
    """Train and score all folds; the figures are in `folds/cv.json`. Raises RoundFailed.

    A run that goes on for more rounds trains its folds for more, too; models that were scored
    already are not scored again, which clients would refuse.
    """
    k, path = work.run.cv.k, cv_file(work.folder)
    known = read_object(path) if path.exists() else {}
    if k is None or known.get("rounds") == work.run.rounds:
        return work
    folds = numbered(work) if k == "clients" else dict.fromkeys(range(k), "")
    names = list(folds.values())
    section = _preprocessing(work, k)
    models = [_trained(work, Cv(k=k, fold=i), name, section) for i, name in folds.items()]
    digest = hash_weights(stacked(models))
    if known.get("models") != digest:
        outcome = _scored(replace(work, preprocessing=section), Cv(k=k, fold=None), models)
        known = _figures(work, outcome, names)
    capped = {"capped_clients": max(_num_capped(work, i) for i in folds)}
    write_json(path, known | capped | {"rounds": work.run.rounds, "models": digest})
    return work


def numbered(work: Work) -> dict[int, str]:
    """Fold → who is left out of it, of those who are there, by name.

    They are counted over the roster, so that whoever is away changes no other's number.
    """
    everybody = sorted(work.roster.indices) if work.roster else list(work.nodes)
    return {i: name for i, name in enumerate(everybody) if name in work.nodes}


def cv_file(folder: RunFolder) -> Path:
    """Where the figures are."""
    return folder.folds / "cv.json"


def _num_capped(work: Work, fold: int) -> int:
    """Clients that counted as fewer rows than they have in a fold's training; most in one round."""
    rows = read_lines(RunFolder(work.folder.folds / str(fold)).rounds)
    return max(int(row["capped_clients"]) for row in rows)


def _preprocessing(work: Work, k: int | str) -> Section | None:
    """With constants for each fold, from sums over the rows that its model may see."""
    cfg = parse(PreprocessingConfig, work.run.preprocessing, "preprocessing")
    if not cfg.is_federated or not isinstance(k, int) or work.counted is None:
        return work.preprocessing
    if (work.counted.folds, work.counted.seed) != (k, work.run.seed):
        message = (
            f"The sites gave their statistics before, and not of these {k} folds: all folds use the "
            "constants of training parts, in which some of their test rows are."
        )
        work.folder.event("folds-share-constants", "warning", message)
        return work.preprocessing
    samples = [fold_name(i) for i in range(k)]
    return fitted_section(work, work.counted, samples, Cv(k=k, fold=None))


def _trained(work: Work, cv: Cv, left_out: str, section: Section | None) -> Weights:
    """The model that one fold's training would release, which goes on where it was stopped."""
    fold = cv.fold or 0
    folder = RunFolder(work.folder.folds / str(fold))
    dealt = _without(work.dealt, left_out)
    name = fold_run(work.state.run, fold)
    if any(folder.checkpoints.glob("round-*")):  # a kill may have left an empty folder
        state, _ = load_newest(folder.checkpoints)
        folder.truncate(folder.rounds, lambda row: int(row["round"]) <= state.rows)
        check_unseen(left_out, [*read_lines(folder.rounds), state.pending or {}])
    else:
        state = fresh_state(work.run, work.task, name, work.state.config, fold)
        folder.path.mkdir(parents=True, exist_ok=True)
        save(folder.checkpoints, state, work.run.keep_checkpoints)
    own = replace(work, preprocessing=_of_fold(section, fold))
    federation = replace(own.trained_in(folder, state, cv, dealt), label=f"fold {fold + 1} ")
    state, _ = run_rounds(federation, state)
    check_unseen(left_out, read_lines(folder.rounds))  # its first round may have been under way
    return federation.of_model(choose_model(state).weights)


def check_unseen(left_out: str, rows: Iterable[Row]) -> None:
    """Refuse to score a client by a model of its own rows. Raises RoundFailed.

    Where the roster has changed since, or an earlier version of Calyx began the run with somebody
    away, the fold that leaves this client out now was another's.
    """
    if any(left_out in row.get("cohort", ()) for row in rows):
        raise RoundFailed(
            f"With cv.k=clients {left_out} would be judged by a model that it has trained: the roster is "
            "another than when this run began, or an earlier version of Calyx began it; begin a new run"
        )


def _of_fold(section: Section | None, fold: int) -> Section | None:
    fits = (section or {}).get("fitted")
    if section is None or not isinstance(fits, list) or len(fits) < 2:
        return section
    return section | {"fitted": [fits[fold]]}


def _without(dealt: Groups, name: str) -> Groups:
    return tuple(tuple(n for n in group if n != name) for group in dealt)


def _scored(work: Work, cv: Cv, models: list[Weights]) -> Outcome:
    """All models at once: a client gives one vector, and nothing of one fold alone."""
    clients = work.folder.clients
    work.folder.truncate(clients, lambda row: row["kind"] != "cv")
    weights = stacked(models)
    place = work.place(f"{work.state.run}{CV_RUN}", work.terms(cv), weights, work.folder)
    exchange = Exchange("cv", work.run.rounds, work.dealt)
    return ask_all(place, exchange, weights)


def _figures(work: Work, outcome: Outcome, names: list[str]) -> dict[str, Any]:
    """The folds' scores and what they come to. A fold that cannot be told is in no mean."""
    metric = metric_name(work.task.schema)
    head = {"k": work.run.cv.k, "metric": metric}
    if work.run.cv.k == "clients":
        return head | _of_clients(work, outcome, names)
    folds = [tuple(ours[i] for ours in outcome.folds) for i in range(len(outcome.folds[0]))]
    told = [judged(groups, work.contents, "rows in this fold") for groups in folds]
    scores = [one.values[metric] for one in told]
    known = [score for score in scores if score is not None]
    absent = {
        f"folds.{i}": one.absent[metric] for i, one in enumerate(told) if metric in one.absent
    }
    if not known:
        absent["mean"] = "no fold has a score"
    if len(known) < 2:
        absent["sd"] = "fewer than two folds have a score"
    return head | {
        "mean": statistics.fmean(known) if known else None,
        "sd": statistics.stdev(known) if len(known) > 1 else None,
        "folds": scores,
        "scored": len(known),
        "unscored": len(scores) - len(known),
        "absent": absent,
    }


def _of_clients(work: Work, outcome: Outcome, names: list[str]) -> dict[str, Any]:
    """One client's score is nobody's business but its own: the sums give mean and spread."""
    groups = tuple(folds[0] for folds in outcome.folds)
    schema, counts = work.task.schema, total_counts(groups)
    spread = client_spread(schema, counts, of_sample=True)
    rows = judged(groups, work.contents, "rows")
    metric = metric_name(schema)
    renamed = {"client_mean": "mean", "client_sd": "sd"}
    absent = {renamed[name]: why for name, why in spread.absent.items() if name in renamed}
    if metric in rows.absent:
        absent["all_rows"] = rows.absent[metric]
    return {
        "mean": spread.values["client_mean"],
        "sd": spread.values["client_sd"],
        "all_rows": rows.values[metric],
        "clients": names,
        "folds": None,
        "scored": int(counts["scored"][0]),
        "unscored": int(counts["unscored"][0]),
        "absent": absent | {"folds": "the sums say no single client's score"},
    }
