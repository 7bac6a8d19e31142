"""Parts of a card that follow from a run's task, model and config."""

import hashlib
from dataclasses import asdict
from math import isfinite
from typing import Any

from calyx.cli.release.model import Chosen
from calyx.cli.trained import Trained
from calyx.data.schema import Column, Schema, Target
from calyx.releases.card_parts import (
    CategoryPart,
    ColumnPart,
    LockPart,
    ModelPart,
    PrivacyPart,
    SchemaPart,
    TargetPart,
    TaskPart,
)
from calyx.releases.packages import hash_lock, list_installed
from calyx.releases.task_package import package_of
from calyx.run.summary import Summary
from calyx.simulation.engine import read_engine
from calyx.tasks.task import Task

NOT_PROTECTED = (
    "There is no differential privacy: the model may tell something of single rows.",
    "A sum over few clients or few rows says something of each of them.",
)
ONE_MACHINE = (
    "The run was a simulation: one machine had the rows of all clients, and the sums protected them from "
    "nobody there."
)


def task_part(task: Task, summary: Summary) -> TaskPart:
    """The task, and of somebody else's its package."""
    return TaskPart(name=task.name, metric=summary.metric, package=package_of(task.name))


def schema_part(schema: Schema) -> SchemaPart:
    """The schema as it is told; an infinite bound bounds nothing."""
    target = schema.target
    return SchemaPart(
        columns=tuple(map(_column, schema.columns)),
        classes=schema.classes,
        target=None if target is None else TargetPart(**asdict(target) | _bounds(target)),
    )


def _column(column: Column) -> ColumnPart:
    return ColumnPart(
        name=column.name,
        kind=column.kind,
        unit=column.unit,
        categories=tuple(
            CategoryPart(code=code, word=column.word(code)) for code in column.categories
        ),
        missing_codes=column.missing_codes,
        may_be_missing=column.may_be_missing,
        unknown=column.unknown,
        **_bounds(column),
    )


def _bounds(of: Column | Target) -> dict[str, Any]:
    ends = {"low": of.low, "high": of.high}
    return {name: end if end is not None and isfinite(end) else None for name, end in ends.items()}


def model_part(trained: Trained, chosen: Chosen) -> ModelPart:
    """The model that is released, and how the run trained it."""
    summary, model = trained.summary, chosen.model
    cfg = asdict(model.preprocessing)
    del cfg["fitted"]  # they are a tensor of the model's file
    return ModelPart(
        sha256=hashlib.sha256(chosen.data).hexdigest(),
        parameters=sum(array.size for array in model.weights.values()),
        whose="common" if chosen.client is None else "client",
        client=chosen.client,
        strategy=summary.strategy,
        preprocessing=cfg,
        training=summary.training or {},
        rounds=summary.rounds,
        released_round=summary.released_round,
        seed=summary.seed,
        stopped_because=summary.stopped_because,
        left_out=len(summary.left_out_changed),
    )


def privacy_part(trained: Trained) -> PrivacyPart:
    """What the run itself said of its sums when it began, and what they do not protect."""
    run = trained.run
    said = [event for event in trained.folder.read_events() if event.event == "privacy"]
    sentences = list(dict.fromkeys(event.message for event in said))
    is_simulated = not read_engine(run.engine).clients_remember
    return PrivacyPart(
        mode=run.privacy.name,
        guarantee=tuple(sentences) or ("The run's events do not say what its sums promised.",),
        not_protected=NOT_PROTECTED + ((ONE_MACHINE,) if is_simulated else ()),
        clients=trained.summary.num_clients,
        sums=run.privacy.groups if isinstance(run.privacy.groups, int) else None,
    )


def lock_part() -> LockPart:
    """The packages that are installed here."""
    packages = list_installed()
    return LockPart(sha256=hash_lock(packages), packages=packages)
