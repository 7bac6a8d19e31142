"""release: the model's file, with the preprocessing that belongs to it, and the summary."""

import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from calyx.config.section import RunConfig, Section, parse
from calyx.files.foreign import read_object
from calyx.files.plain import read_lines, write_json
from calyx.findings.finding import SEVERITIES
from calyx.model.metrics import metric_name
from calyx.model.released import describe, save
from calyx.model.weights import Weights
from calyx.preprocessing.config import PreprocessingConfig
from calyx.vector.figures import Reasons
from server.attendance import absentees
from server.crossvalidation import cv_file
from server.history import history_of
from server.left_out import read_left_out
from server.stopping import choose_model
from server.work import Work

PACKAGES = ("calyx", "flwr", "torch", "numpy", "scikit-learn", "hydra-core")


def run(work: Work) -> Work:
    """Write model.safetensors, then summary.json, which says "finished"."""
    state, folder, task = work.state, work.folder, work.task
    best, rows = choose_model(state), read_lines(folder.rounds)
    federation = work.federation()
    tested = dict(best.test or {})
    reasons: Reasons = tested.pop("absent", {})
    figures = tested | {
        "num_clients": len(work.nodes),
        "left_out_changed": [asdict(one) for one in read_left_out(folder)],
        "classes": list(task.schema.classes),
        "metric": metric_name(task.schema),
        "models": federation.setting.contents.models,
        "model_sha256": _save_model(work, federation.of_model(best.weights)),
        "privacy": work.run.privacy["name"],
        "preprocessing": work.run.preprocessing["name"],
        "training": _settings(work.run),
        "w_max": work.privacy.w_max(federation.setting.contents.w_max),
        "engine": work.run.engine["name"],
        "run": state.run,
        "versions": versions(),
        "cv": _cross_validated(work),
    }
    head = {
        "task": task.name,
        "strategy": work.run.strategy.name,
        "seed": work.run.seed,
        "stopped_because": work.why,
    }
    history = history_of(work.run, state, rows, len(work.nodes))
    rest: dict[str, Any] = {"baselines": None, "absent": history.absent | reasons}
    if why := work.choice.why_local:
        rest["preprocessing_why"] = why
    if missing := absentees(rows, read_lines(folder.events)):
        rest["absentees"] = missing
    write_json(folder.summary, head | history.figures | figures | rest)
    return work


def _settings(run: RunConfig) -> Section:
    """How it was trained, also where the config left that to the task."""
    names = ("epochs", "batch_size", "lr", "optimizer", "momentum", "weight_decay")
    found = {name: run.training[name] for name in names}
    return found | {"rounds": run.rounds, "patience": run.stopping.patience}


def _cross_validated(work: Work) -> dict[str, Any] | None:
    path = cv_file(work.folder)
    if work.run.cv.k is None or not path.exists():
        return None
    own = ("rounds", "models")  # the file's own account
    return {k: v for k, v in read_object(path).items() if k not in own}


def close_audit(work: Work) -> None:
    """The summary of a run that trains nothing; it says "finished" all the same."""
    findings = read_object(work.folder.audit)["findings"]
    counts = {s: sum(f["severity"] == s for f in findings) for s in SEVERITIES}
    head = {
        "task": work.task.name,
        "seed": work.run.seed,
        "phases": list(work.run.phases),
        "num_clients": len(work.nodes),
        "engine": work.run.engine["name"],
        "privacy": work.run.privacy["name"],
        "run": work.state.run,
        "stopped_because": "the audit is done",
        "findings": counts,
        "absent": {},
        "versions": versions(),
    }
    write_json(work.folder.summary, head)


def _save_model(work: Work, weights: Weights) -> str:
    """Write the model's file; returns its SHA-256 in hex."""
    cfg = parse(PreprocessingConfig, work.preprocessing or {}, "preprocessing")
    return save(work.folder.model, weights, describe(work.task, work.run.task, cfg), cfg)


def versions() -> dict[str, str]:
    """What ran: Python, the machine's kind, and the packages that decide results."""
    found = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
