"""The end of a run: the best model on everybody's test part, the model's file, the summary."""

import platform
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from calyx.files import read_lines, write_json
from calyx.tasks.base import Task
from calyx.weights import save_weights
from server.asking import ask
from server.checkpoints import Best, RunState, save
from server.exchange import Exchange, accuracy_of, mean_loss, total_count
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
    confusion = total_count(evaluated, "confusion")
    figures = {
        "test_loss": mean_loss(evaluated),
        "test_accuracy": accuracy_of(confusion),
        "test_confusion": confusion.reshape(round(len(confusion) ** 0.5), -1).tolist(),
    }
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
        "model_sha256": save_weights(folder.model, best.weights),
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
        "best_val_loss": best["val_loss"],
        "best_val_accuracy": best["val_accuracy"],
        "final_train_loss": last["train_loss"],
        "final_val_loss": last["val_loss"],
        "final_val_accuracy": last["val_accuracy"],
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
