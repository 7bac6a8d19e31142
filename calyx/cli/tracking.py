"""`tensorboard=true` and `mlflow=true`: a run's rows where people of those tools look.

Written when a run ends, from rounds.jsonl, so that a resumed run has each round once. A tracking
server that cannot be reached costs a warning, never the run.
"""

import logging
import math
import os
import re
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

from calyx.cli.resume import MAY_CHANGE
from calyx.files.foreign import read_object
from calyx.files.plain import write_json
from calyx.machine.proxies import past_proxies
from calyx.run.folder import RunFolder
from calyx.run.json_rows import as_json
from calyx.run.rows import RoundRow
from calyx.run.summary import Summary
from server.config import RunConfig

_OF_MODELS = ("test_", "personal_", "best_val_")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-./ ]")
_MOST_LETTERS = 200  # of a parameter's name in MLflow
_MOST_CHARACTERS = 6000  # of a parameter's value in MLflow


def track(run: RunConfig, folder: RunFolder) -> None:
    """Write what the config wants of a finished run."""
    for is_wanted, write in ((run.tensorboard, to_tensorboard), (run.mlflow, to_mlflow)):
        if not is_wanted:
            continue
        try:
            write(folder)
        except Exception as error:  # noqa: BLE001 - a foreign tool's failure, of whatever kind
            first = next(iter(str(error).splitlines()), type(error).__name__)
            folder.event(
                "tracking-failed", "warning", f"{write.__name__.removeprefix('to_')}: {first}"
            )


def scalars(row: RoundRow) -> Iterator[tuple[str, float]]:
    """The numbers of a round's row but its own, by name; what was not measured is left out."""
    return ((key, value) for key, value in _numbers(row) if key != "round")


def final_scalars(summary: Summary) -> Iterator[tuple[str, float]]:
    """The numbers of a summary that are of a model, the common one or clients' own, by name."""
    return ((key, value) for key, value in _numbers(summary) if key.startswith(_OF_MODELS))


def _numbers(row: RoundRow | Summary) -> Iterator[tuple[str, float]]:
    """Finite numbers, by a name that MLflow takes; a figure that is absent has none."""
    for key, value in as_json(row).items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and math.isfinite(value):
            yield _NOT_IN_NAMES.sub("_", key), float(value)


def to_tensorboard(folder: RunFolder) -> None:
    """Events in RUN/tensorboard, all of them anew."""
    from torch.utils.tensorboard import SummaryWriter

    place = folder.tensorboard
    for old in place.glob("events.out.tfevents.*"):  # of before a resume; other files are not ours
        old.unlink()
    with SummaryWriter(str(place)) as writer:
        for row in folder.read_rounds():
            for name, value in scalars(row):
                writer.add_scalar(name, value, row.round)


def to_mlflow(folder: RunFolder) -> None:
    """A run of MLflow's, at MLFLOW_TRACKING_URI or in ./mlruns; taken up again after a resume."""
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells how it makes its database
    os.environ.update(past_proxies(os.environ))  # its server may be on this machine
    config, summary, noted = (
        folder.read_config(),
        folder.read_summary(),
        folder.path / "mlflow.json",
    )
    before: dict[str, Any] = {"run_id": None, "rounds": 0}
    if noted.exists():
        before |= read_object(noted)
        if not re.fullmatch(r"[0-9a-f]{32}", str(before["run_id"])):
            raise ValueError(
                f"{noted} is damaged; take it out, and the run is a new one of MLflow's"
            )
    mlflow.set_experiment(f"calyx {summary.task}")
    with mlflow.start_run(run_id=before["run_id"], run_name=folder.path.name) as active:
        values = parameters(config)
        if before["run_id"] is None:
            mlflow.log_params({k: v for k, v in values.items() if k not in MAY_CHANGE})
            mlflow.set_tags({"task": summary.task, "strategy": summary.strategy})
        # MLflow never changes a parameter; what another start may have changed is a tag.
        mlflow.set_tags({k: v for k, v in values.items() if k in MAY_CHANGE})
        for row in folder.read_rounds():
            if row.round > before["rounds"]:
                mlflow.log_metrics(dict(scalars(row)), step=row.round)
        final = dict(final_scalars(summary))
        gone = [k for k in active.data.metrics if k.startswith(_OF_MODELS) and k not in final]
        mlflow.log_metrics(final | dict.fromkeys(gone, math.nan))  # of before it was taken up again
        for path in (folder.summary, folder.report):
            if path.exists():
                mlflow.log_artifact(str(path))
        write_json(noted, {"run_id": active.info.run_id, "rounds": summary.rounds})


def _flat(values: dict[str, Any], head: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{key}.")
        else:
            yield f"{head}{key}", _whole_or_cut(str(value))


def parameters(config: dict[str, Any]) -> dict[str, str]:
    """A config's values under names that MLflow takes and that differ: columns may be called anything."""
    named: dict[str, str] = {}
    for key, value in _flat(config):
        plain = _NOT_IN_NAMES.sub("_", key).replace("/", "_")[:_MOST_LETTERS]
        names = chain([plain], (f"{plain}.{i}" for i in count(2)))
        named[next(name for name in names if name not in named)] = value
    return named


def _whole_or_cut(text: str) -> str:
    """A value that MLflow takes: one that is longer ends in an ellipsis."""
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
