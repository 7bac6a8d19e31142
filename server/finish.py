"""The end of a run: the best model on everybody's test part, the model's file, the summary."""

import platform
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from calyx.files import read_lines, write_json
from calyx.metrics import PERSONAL, details, metric_name
from calyx.tasks.base import Task
from calyx.weights import save_weights
from server.asking import ask
from server.checkpoints import Best, RunState, save
from server.exchange import Exchange, judged, total_counts
from server.federation import Federation
from server.folder import Row

PACKAGES = ("calyx", "flwr", "torch", "numpy", "scikit-learn", "hydra-core")


def test_best(federation: Federation, state: RunState) -> RunState:
    """Have the best model tested, once; the state that knows its figures is saved."""
    best = _best(state)
    if best.test is not None:
        return state
    clients = federation.folder.clients
    federation.folder.truncate(clients, lambda row: row["kind"] != "test")  # of an earlier best
    exchange = Exchange("test", best.round, 1, federation.dealt, previous=())
    evaluated = ask(federation, exchange, best.weights)[0].evaluated
    contents = federation.grid.contents
    found = judged(evaluated, contents) | details(contents.task.schema, total_counts(evaluated))
    # What each client's own model does is no figure of this model.
    figures = {k if k.startswith(PERSONAL) else f"test_{k}": value for k, value in found.items()}
    tested = replace(state, best=replace(best, test=figures))
    save(federation.folder.checkpoints, tested, federation.run.keep_checkpoints)
    return tested


def finish(federation: Federation, task: Task, state: RunState, why: str) -> None:
    """Test the best model, write model.safetensors, then summary.json, which says "finished"."""
    best = _best(test_best(federation, state))
    folder, run = federation.folder, federation.run
    rows = read_lines(folder.rounds)
    figures = (best.test or {}) | {
        "num_clients": sum(len(group) for group in federation.dealt),
        "classes": list(task.schema.classes),
        "metric": metric_name(task.schema),
        "model_sha256": save_weights(folder.model, federation.of_model(best.weights)),
        "privacy": run.privacy["name"],
        "engine": run.engine["name"],
        "run": state.run,
        "versions": versions(),
    }
    head = {
        "task": task.name,
        "strategy": run.strategy.name,
        "seed": run.seed,
        "stopped_because": why,
    }
    write_json(folder.summary, head | _history(rows, best.round) | figures | {"baselines": None})


def _best(state: RunState) -> Best:
    if state.best is None:
        raise ValueError("a run of no rounds has no best model")
    return state.best


def _history(rows: list[Row], best_round: int) -> dict[str, Any]:
    best, last = rows[best_round - 1], rows[-1]
    return {
        "rounds": len(rows),
        "best_round": best_round,
        **{f"best_{key}": value for key, value in best.items() if key.startswith("val_")},
        "final_train_loss": last["train_loss"],
        **{f"final_{key}": value for key, value in last.items() if key.startswith("val_")},
        "bytes_up": sum(row["bytes_up"] for row in rows),
        "bytes_down": sum(row["bytes_down"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }


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
