"""release: the model's file, with the preprocessing that belongs to it, and the summary."""

import platform
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from calyx.config.section import Section
from calyx.files.plain import write_json
from calyx.findings.finding import SEVERITIES
from calyx.model.metrics import metric_name
from calyx.model.released import describe, save
from calyx.model.weights import Weights
from calyx.run.audit import read_audit
from calyx.run.json_rows import as_json
from calyx.run.rows import Absent, RoundRow
from calyx.run.summary import AuditSummary, CrossValidation, Summary
from server.attendance import absentees
from server.checkpoints import Best, RunState
from server.config import RunConfig
from server.crossvalidation import read_cv
from server.left_out import read_left_out
from server.run_context import RunContext
from server.stopping import choose_model, why_unranked

PACKAGES = ("calyx", "flwr", "torch", "numpy", "scikit-learn", "hydra-core")


def run(context: RunContext) -> RunContext:
    """Write model.safetensors, then summary.json, which says "finished"."""
    state, folder, contents = context.state, context.folder, context.contents
    model, rows = choose_model(state), folder.read_rounds()
    summary = replace(
        _summary(context, model),
        models=contents.models,
        model_sha256=_save_model(context, model.weights),
        w_max=context.run.privacy.w_max(contents.w_max),
        absentees=absentees(rows, folder.read_events()),
    )
    whole = _add_rounds(summary, context.run, state, rows, len(context.clients.nodes))
    folder.write_summary(whole)
    return context


def _summary(context: RunContext, model: Best) -> Summary:
    """What a run came to, without its rounds. Raises ValueError where its model is not tested."""
    run, test = context.run, model.test
    if test is None:
        raise ValueError("a model is tested before it is released")
    return Summary(
        task=context.task.name,
        strategy=run.strategy.name,
        seed=run.seed,
        stopped_because=context.why,
        tested=test.figures,
        test_confusion=test.test_confusion,
        test_conformal=test.test_conformal,
        test_clients_scored=test.test_clients_scored,
        test_clients_unscored=test.test_clients_unscored,
        tested_on=test.tested_on,
        num_clients=len(context.clients.nodes),
        left_out_changed=read_left_out(context.folder),
        classes=context.task.schema.classes,
        metric=metric_name(context.task.schema),
        privacy=run.privacy.name,
        preprocessing=context.preprocessing.name,
        training=_settings(run),
        engine=context.engine.name,
        run=context.state.run,
        versions=versions(),
        cv=_cross_validated(context),
        absent=test.absent,
        preprocessing_why=context.choice.why_local,
    )


def _add_rounds(
    summary: Summary, run: RunConfig, state: RunState, rows: list[RoundRow], clients: int
) -> Summary:
    """The summary of a run whose rounds are done, with what they say; `clients` might take part in it.

    Raises ValueError for a run of no rounds.
    """
    model, last = choose_model(state), rows[-1]
    best = rows[model.round - 1] if model.value is not None else None
    figures = best.figures if best else dict.fromkeys(last.figures)
    return replace(
        summary,
        rounds=len(rows),
        monitor=run.stopping.monitor,
        mode=run.stopping.mode,
        objective=run.stopping.objective,
        best_round=model.round if best else None,
        released_round=model.round,
        best={f"best_{name}": value for name, value in figures.items()},
        validated_on=best.validated_on if best else dict.fromkeys(last.validated_on),
        final_train_loss=last.train_loss,
        capped_clients=max(row.capped_clients for row in rows),
        final={f"final_{name}": value for name, value in last.figures.items()},
        bytes_up=sum(row.bytes_up for row in rows),
        bytes_down=sum(row.bytes_down for row in rows),
        seconds=round(sum(row.seconds for row in rows), 3),
        absent=_reasons(best, last, run, clients) | summary.absent,
    )


def _reasons(best: RoundRow | None, last: RoundRow, run: RunConfig, clients: int) -> Absent:
    """Why figures of the best round or of the last one are not told."""
    absent = _prefix_names(last, "final_")
    if best is not None:
        return _prefix_names(best, "best_") | absent
    unranked = why_unranked(run, clients)
    why = unranked or f"no round has a {run.stopping.monitor}"
    names = ["best_round", "validated_on", *(f"best_{name}" for name in last.figures)]
    own = {} if unranked else _prefix_names(last, "best_")  # as the last round's model is released
    return dict.fromkeys(names, why) | own | absent


def _prefix_names(row: RoundRow, prefix: str) -> Absent:
    return {f"{prefix}{name}": why for name, why in row.absent.items()}


def _settings(run: RunConfig) -> Section:
    """How it was trained, also where the config left that to the task."""
    names = ("epochs", "batch_size", "lr", "optimizer", "momentum", "weight_decay")
    used = {name: getattr(run.training, name) for name in names}
    return used | {"rounds": run.rounds, "patience": run.stopping.patience}


def _cross_validated(context: RunContext) -> CrossValidation | None:
    """The folds' scores, without what their file keeps for itself."""
    cv = read_cv(context.folder) if context.run.cv.k is not None else None
    return cv and replace(cv, rounds=None, models=None)


def close_audit(context: RunContext) -> None:
    """The summary of a run that trains nothing; it says "finished" all the same."""
    severities = [finding.severity for finding in read_audit(context.folder.audit).findings]
    summary = AuditSummary(
        task=context.task.name,
        seed=context.run.seed,
        phases=context.run.phases,
        num_clients=len(context.clients.nodes),
        engine=context.engine.name,
        privacy=context.run.privacy.name,
        run=context.state.run,
        stopped_because="the audit is done",
        findings={one: severities.count(one) for one in SEVERITIES},
        versions=versions(),
    )
    write_json(context.folder.summary, as_json(summary))


def _save_model(context: RunContext, weights: Weights) -> str:
    """Write the model's file, without what travels beside the model; returns its SHA-256 in hex."""
    own = {name: weights[name] for name in context.initial.makeup.weights}
    description = describe(context.task, context.run.task, context.preprocessing)
    return save(context.folder.model, own, description, context.preprocessing)


def versions() -> dict[str, str]:
    """What ran: Python, the machine's kind, and the packages that decide results."""
    versions_of = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
    }
    for package in PACKAGES:
        try:
            versions_of[package] = version(package)
        except PackageNotFoundError:
            versions_of[package] = "not installed"
    return versions_of
