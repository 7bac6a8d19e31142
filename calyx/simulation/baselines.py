"""Was federating worth it? Each client's model alone, and one model on all rows pooled.

Computed in simulation only, beside the run, from the same seed, parts and training settings. Models
are judged on the same rows as the federated ones: on everybody's test rows, which is the union of
all clients' test parts; and each on its own client's, as clients' own models are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from calyx.data.schema import Schema, Table, join
from calyx.machine.hardware import apply, resolve
from calyx.model.evaluation import evaluate
from calyx.model.metrics import Counts, Over, counts_of, figures, metric_name
from calyx.model.training_config import EarlyStopping, TrainingConfig
from calyx.model.weights import initial_model
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitted import Fitted
from calyx.preprocessing.fitting import fit
from calyx.questions.segments import over_of
from calyx.run.order import Terms
from calyx.run.summary import BaselineScores
from calyx.simulation.jobs import Done, Job, Result, tell
from calyx.simulation.planning import Plan, site_of
from calyx.simulation.progress import Progress, silent
from calyx.simulation.workers import WorkerPool
from calyx.tasks.causes import cause_of
from client.config import Site
from client.failures import ClientFailure
from client.learning.training import LocalJob, train
from client.rows.data import ClientData, prepare_rows, task_of, to_part
from client.rows.splitting import PART_NAMES, PartName
from strategies.local import LocalObjective

Score = tuple[float | None, str | None]  # a model's, or None and why it cannot be told
_NO_COMMON = "each client has layers of its own, so that there is no common model"
PATIENCE = 20  # epochs without a better validation loss, for models that train to their end


@dataclass(frozen=True)
class Tested:
    """One baseline's counts on test rows: on each client's, by name."""

    schema: Schema
    counts: Mapping[str, Counts]

    def score(self, names: tuple[str, ...]) -> Score:
        """Accuracy or R² on the test rows of the clients `names`, all together."""
        metric, empty = metric_name(self.schema), "no client has test rows"
        if not names:
            return None, "no client has a model of its own"
        sums = [self.counts[name] for name in names]
        total = {k: np.sum([counts[k] for counts in sums], axis=0) for k in sums[0]}
        told = figures(self.schema, total, empty=empty)
        return told.values[metric], told.absent.get(metric)


@dataclass(frozen=True)
class Figure:
    """A figure of the federation, and of how many clients and rows it is; rows may be confidential."""

    score: Score
    clients: int  # that have rows
    rows: int | None


@dataclass(frozen=True)
class Federated:
    """What the federation came to: figures of the same metric, and whose they are."""

    common: Figure | None  # None where there is no common model
    own: Figure | None = None  # None where the strategy has no own models
    trained: tuple[str, ...] = ()  # the clients that have a model of their own


@dataclass(frozen=True)
class Baselines:
    """Models alone, by client, and one of all rows; each on the test rows of every client."""

    local: Mapping[str, Tested]
    pooled: Tested
    failed: Mapping[str, str] = field(default_factory=dict)  # why a client has no model alone

    @property
    def names(self) -> tuple[str, ...]:
        """All clients, those without a model alone, too."""
        return tuple(self.pooled.counts)

    def score_alone(self, name: str) -> Score:
        """The score on everybody's test rows of the model that one client's rows have trained."""
        if name in self.failed:
            return None, self.failed[name]
        return self.local[name].score(self.names)

    def score_own(self, names: tuple[str, ...]) -> Score:
        """The score of the own models of the clients `names`, each on its own test rows, all together."""
        lacking = [name for name in names if name in self.failed]
        if lacking:
            return None, f"{lacking[0]} has no model alone: {self.failed[lacking[0]]}"
        own = {name: self.local[name].counts[name] for name in names}
        return Tested(self.pooled.schema, own).score(names)

    def beside(self, figure: Figure, names: tuple[str, ...]) -> Score:
        """The figure's score; None where it is not of the test rows of the clients `names`."""
        counts = [self.pooled.counts[name] for name in names]
        clients = sum(int(one["clients"][0]) for one in counts)
        rows = sum(int(one["rows"][0]) for one in counts if "rows" in one)
        if figure.score[0] is None or (figure.clients, figure.rows or rows) == (clients, rows):
            return figure.score
        if figure.clients > clients:  # some are left out since then
            return None, (
                f"its test is over {figure.clients} clients, and the figures beside it are over {clients}"
            )
        return None, (
            f"its test is over {figure.clients} of {clients} clients, and so of other rows than the "
            "figures beside it"
        )

    def over_all(self, of: Callable[[list[float]], float]) -> Score:
        """Of all clients' scores on everybody's rows; None where one's is not told."""
        scores = [self.score_alone(name)[0] for name in self.names]
        known = [score for score in scores if score is not None]
        if len(known) == len(scores):
            return of(known), None
        missing = len(scores) - len(known)
        return None, f"{missing} of {len(scores)} clients' own models have no score"


@dataclass(frozen=True)
class Question:
    """What a worker needs to train one baseline on the data of `sites`."""

    terms: Terms
    training: TrainingConfig
    preprocessing: PreprocessingConfig
    over: Over  # as the federation's figures
    sites: tuple[Site, ...]


def question_of(plan: Plan, epochs: int) -> Question:
    """What the baselines of a run are asked: models trained to their end, for `epochs` at most."""
    early_stopping = EarlyStopping(patience=PATIENCE, min_delta=0.0)
    training = replace(plan.run.training, epochs=epochs, early_stopping=early_stopping)
    sites = plan.sites
    if plan.others:  # whose rows this process has not read
        sites = tuple(site_of(name, plan.run) for name in plan.names)
    return Question(plan.terms, training, plan.preprocessing, over_of(plan.run.privacy), sites)


def compute_baselines(
    pool: WorkerPool, question: Question, progress: Progress = silent
) -> Baselines | str:
    """Train all baselines in the pool; why there are none, in words, if the pooled one failed."""
    question = _of_readable(pool, question)
    names = [site.name for site in question.sites]
    jobs = [Job(None, attempt, (question, name)) for name in (None, *names)]
    tested: dict[int, Tested] = {}
    failed: dict[int, str] = {}
    of_pooled = ""  # how far the longest of them is

    def show() -> None:
        done = len(tested) + len(failed)
        progress("baselines", done, len(jobs), of_pooled)

    def on_told(index: int, epoch: int) -> None:
        nonlocal of_pooled
        if index == 0:
            of_pooled = (
                f"all rows in one place: epoch {epoch} of at most {question.training.epochs}"
            )
            show()

    def on_result(index: int, result: Result) -> None:
        nonlocal of_pooled
        value = result.value if isinstance(result, Done) else result.reason
        if isinstance(value, Tested):
            tested[index] = value
        else:
            failed[index] = value
        if index == 0:
            of_pooled = ""
        show()

    show()
    pool.run(jobs, None, on_result, on_told)
    if 0 in failed:
        return failed[0]
    local = {name: tested[i] for i, name in enumerate(names, 1) if i in tested}
    return Baselines(
        local, tested[0], {name: failed[i] for i, name in enumerate(names, 1) if i in failed}
    )


def _of_readable(pool: WorkerPool, question: Question) -> Question:
    """The question to those clients whose rows can be used: why others' cannot, the run has said."""
    answers: list[Result] = []
    pool.run([Job(0, find_readable, (question,))], None, lambda _, result: answers.append(result))
    (answer,) = answers
    return replace(question, sites=answer.value) if isinstance(answer, Done) else question


def find_readable(question: Question) -> tuple[Site, ...]:
    """In a worker: the sites whose rows can be prepared."""

    def is_readable(site: Site) -> bool:
        try:
            prepare_rows(question.terms, question.preprocessing, site.name, site.data_dir)
        except ClientFailure:
            return False
        return True

    return tuple(filter(is_readable, question.sites))


def attempt(question: Question, name: str | None) -> Tested | str:
    """In a worker: a client's baseline, or the pooled one without a name; or why there is none."""
    try:
        return train_pooled(question) if name is None else train_alone(question, name)
    except Exception as error:  # noqa: BLE001 - whatever a task's model says of rows
        return cause_of(error, task_of(question.terms))


def train_alone(question: Question, name: str) -> Tested:
    """In a worker: the test of a model trained on one client's rows."""
    own = next(p for p in _participants(question) if p.name == name)
    return _test(question, own.raw, own.fitted, name)


def train_pooled(question: Question) -> Tested:
    """In a worker: the test of one model on all clients' rows, preprocessed as one table."""
    participants = _participants(question)
    raw = {part: join([p.raw[part] for p in participants]) for part in PART_NAMES}
    fitted = fit(raw["train"], participants[0].task.schema, question.preprocessing)
    return _test(question, raw, fitted, "all clients pooled")


def _test(question: Question, raw: Mapping[PartName, Table], fitted: Fitted, name: str) -> Tested:
    participants, terms = _participants(question), question.terms
    task = participants[0].task
    hardware = resolve(question.sites[0].hardware)
    device = apply(hardware)
    model = initial_model(task, participants[0].num_inputs, terms.seed).to(device)
    job = LocalJob(question.training, LocalObjective(), hardware, terms.seed, 0, f"baseline {name}")
    train(
        model,
        to_part(raw["train"], fitted),
        to_part(raw["validation"], fitted),
        job,
        tell,
    )
    counts = {
        p.name: counts_of(
            evaluate(model, to_part(p.raw["test"], fitted), device), task.schema, question.over
        )
        for p in participants
    }
    return Tested(task.schema, counts)


def _participants(question: Question) -> list[ClientData]:
    terms, cfg = question.terms, question.preprocessing
    return [prepare_rows(terms, cfg, site.name, site.data_dir) for site in question.sites]


def scores_of(baselines: Baselines, federated: Federated) -> BaselineScores:
    """The entry of a summary; what is None has its reason under `absent`.

    `local_own` and `pooled_own` are over the clients that have own models where the strategy has
    such, and over all clients where it has none.
    """
    everybody = baselines.names
    trained = everybody if federated.own is None else federated.trained
    scores = {
        "local_mean": baselines.over_all(lambda known: sum(known) / len(known)),
        "local_worst": baselines.over_all(min),
        "federated": (None, _NO_COMMON),
        "pooled": baselines.pooled.score(everybody),
        "local_own": baselines.score_own(trained),
        "pooled_own": baselines.pooled.score(trained),
    }
    if federated.common is not None:
        scores["federated"] = baselines.beside(federated.common, everybody)
    if federated.own is not None:
        scores["personal"] = baselines.beside(federated.own, trained)
    alone = {name: baselines.score_alone(name) for name in everybody}
    own = {name: baselines.score_own((name,)) for name in everybody}
    named = {f"local.{name}": score for name, score in alone.items()}
    named |= {f"local_own_by_client.{name}": score for name, score in own.items()}
    rows = [baselines.pooled.counts[name].get("rows") for name in trained]
    return BaselineScores(
        **{name: score for name, (score, _) in scores.items()},
        own_clients=sum(int(baselines.pooled.counts[name]["clients"][0]) for name in trained),
        own_rows=sum(int(n[0]) for n in rows if n is not None) or None,
        local={name: score for name, (score, _) in alone.items()},
        local_own_by_client={name: score for name, (score, _) in own.items()},
        absent={name: why for name, (_, why) in (scores | named).items() if why is not None},
    )
