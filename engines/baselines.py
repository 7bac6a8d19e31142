"""Was federating worth it? Each client's model alone, and one model on all rows pooled.

Computed in simulation only, beside the run, from the same seed, parts and training settings; all
models are judged on the same rows: the union of all clients' test parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from calyx.config import parse
from calyx.hardware import apply, resolve
from calyx.metrics import Evaluation, counts_of, figures, metric_name
from calyx.order import Terms
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import Fitted, fit
from calyx.tasks.base import Table
from calyx.weights import initial_model
from client.config import Site
from client.data import Participant, prepare, to_part
from client.evaluation import evaluate
from client.splitting import PART_NAMES, PartName
from client.training import LocalJob, train
from client.training_config import EarlyStopping, TrainingConfig
from engines.workers import Done, Job, Result, WorkerPool
from strategies.local import LocalObjective

Score = tuple[float | None, str | None]  # a model's, or None and why it cannot be told
PATIENCE = 20  # epochs without a better validation loss, for models that train to their end


@dataclass(frozen=True)
class Baselines:
    """Accuracies, or R² of a regression, on the union of all test parts; and why one is None.

    `local` is by client, of its own model.
    """

    local: Mapping[str, Score]
    pooled: Score

    @property
    def local_mean(self) -> Score:
        """Mean over all clients; None where one's is not told, since a mean of the others is none."""
        return self._over_all(lambda known: sum(known) / len(known))

    @property
    def local_worst(self) -> Score:
        """The worst client's; None where one's is not told."""
        return self._over_all(min)

    def _over_all(self, of: Callable[[list[float]], float]) -> Score:
        known = [score for score, _ in self.local.values() if score is not None]
        if len(known) == len(self.local):
            return of(known), None
        missing = len(self.local) - len(known)
        return None, f"{missing} of {len(self.local)} clients' own models have no score"


@dataclass(frozen=True)
class Question:
    """What a worker needs to train one baseline: `epochs` at most, on the data of `sites`."""

    terms: Terms
    epochs: int
    sites: tuple[Site, ...]


def compute_baselines(pool: WorkerPool, question: Question) -> Baselines | None:
    """Train all baselines in the pool; None if one of them failed."""
    names = [site.name for site in question.sites]
    jobs = [Job(0, train_pooled, (question,))]
    jobs += [Job(i + 1, train_alone, (question, name)) for i, name in enumerate(names)]
    found: dict[int, Score] = {}

    def on_result(index: int, result: Result) -> None:
        if isinstance(result, Done):
            found[index] = result.value

    pool.run(jobs, None, on_result)
    if len(found) < len(jobs):
        return None
    return Baselines({name: found[i + 1] for i, name in enumerate(names)}, found[0])


def train_alone(question: Question, name: str) -> Score:
    """In a worker: accuracy, on everybody's test rows, of a model trained on one client's rows."""
    own = next(p for p in _participants(question) if p.name == name)
    return _score(question, own.raw, own.fitted, name)


def train_pooled(question: Question) -> Score:
    """In a worker: accuracy of one model on all clients' rows, preprocessed as one table."""
    participants = _participants(question)
    raw = {part: _union([p.raw[part] for p in participants]) for part in PART_NAMES}
    cfg = parse(PreprocessingConfig, question.terms.preprocessing, "preprocessing")
    fitted = fit(raw["train"], participants[0].task.schema, cfg)
    return _score(question, raw, fitted, "all clients pooled")


def _score(question: Question, raw: Mapping[PartName, Table], fitted: Fitted, name: str) -> Score:
    participants, terms = _participants(question), question.terms
    task = participants[0].task
    hardware = resolve(question.sites[0].hardware)
    device = apply(hardware)
    cfg = parse(TrainingConfig, terms.training, "training")
    cfg = replace(
        cfg, epochs=question.epochs, early_stopping=EarlyStopping(patience=PATIENCE, min_delta=0.0)
    )
    model = initial_model(task, participants[0].num_inputs, terms.seed)
    job = LocalJob(cfg, LocalObjective(), hardware, terms.seed, 0, f"baseline {name}")
    train(
        model,
        to_part(raw["train"], fitted),
        to_part(raw["validation"], fitted),
        job,
    )
    test = _union([p.raw["test"] for p in participants])
    result: Evaluation = evaluate(model, to_part(test, fitted), device)
    counts, metric = counts_of(result, task.schema, "rows"), metric_name(task.schema)
    told = figures(task.schema, counts, empty="no client has test rows")
    return told.values[metric], told.absent.get(metric)


def _participants(question: Question) -> list[Participant]:
    return [prepare(question.terms, site.name, site.data_dir) for site in question.sites]


def _union(tables: list[Table]) -> Table:
    return Table(np.concatenate([t.x for t in tables]), np.concatenate([t.y for t in tables]))


def as_row(baselines: Baselines, federated: Score) -> dict[str, object]:
    """The entry of summary.json; what is None has its reason under `absent`."""
    scores = {
        "local_mean": baselines.local_mean,
        "local_worst": baselines.local_worst,
        "federated": federated,
        "pooled": baselines.pooled,
    }
    local = {f"local.{name}": score for name, score in baselines.local.items()}
    return {
        **{name: score for name, (score, _) in scores.items()},
        "local": {name: score for name, (score, _) in baselines.local.items()},
        "absent": {name: why for name, (_, why) in (scores | local).items() if why is not None},
    }
