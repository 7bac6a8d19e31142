"""Before a simulation: what a task would do wrong in it, so that it is said before the start.

Its model is tried (`calyx/simulation/trial.py`). One client's rows, model and first steps are computed twice
to see whether they repeat: equal seeds give equal bytes as long as a task draws from generators that
are seeded (`calyx.seeding.global_scope`). One that it makes itself without a seed, and what differs
from process to process, is found by doing the same twice.
"""

import ast
import inspect
import json
import logging
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from calyx.data.schema import Part
from calyx.errors import CalyxError, ConfigError
from calyx.machine.hardware import resolve
from calyx.model.evaluation import evaluate
from calyx.model.makeup import Makeup, find_left_behind, makeup_of
from calyx.model.training_config import TrainingConfig
from calyx.model.weights import Weights, hash_weights, initial_model, weights_of
from calyx.preprocessing.config import PreprocessingConfig
from calyx.run.order import Terms
from calyx.simulation.jobs import Done, Job, Result
from calyx.simulation.planning import Plan
from calyx.simulation.trial import (
    MAX_ROWS,
    Trial,
    Unable,
    check_judging,
    check_objective,
    make_trial,
    some,
    train_once,
    unable_clients,
)
from calyx.simulation.workers import WorkerPool
from calyx.tasks.task import Task
from client.config import Site
from client.rows.data import prepare_rows, read_rows, rows_of, task_of
from server.sampling import required_replies
from strategies.local import contents_of, load_objective

log = logging.getLogger(__name__)

_PATIENCE_S = 60.0
_WAY_OUT = (
    "something draws from what no seed reaches, such as numpy.random.default_rng() or "
    "random.SystemRandom(); draw from torch, numpy.random or random, whose global generators are "
    "seeded, or from the seed that `load` is given"
)
_CHILD = "import json, sys; from client.rows.data import version_of; print(version_of(*json.load(sys.stdin)))"


@dataclass(frozen=True)
class Rehearsal:
    """What a worker is asked: a run, its clients, and whether it trains."""

    terms: Terms
    preprocessing: PreprocessingConfig
    training: TrainingConfig
    clip: float  # of the section `privacy`
    sites: tuple[Site, ...]  # whose rows were read
    others: int  # clients whose rows nobody has read yet
    is_trained: bool
    needed: int  # clients of a round, without which it cannot be summed


@dataclass(frozen=True)
class Found:
    """What is to be said before a run, in sentences; or why it cannot be run."""

    said: tuple[str, ...] = ()  # on what is another each time, though the seed is the same
    unable: tuple[str, ...] = ()  # on clients that cannot train
    odd: tuple[str, ...] = ()  # on how the model judges rows
    cut: tuple[str, ...] = ()  # on what moves farther than what is sent of it
    refused: str = ""

    @property
    def events(self) -> list[tuple[str, str]]:
        """Each sentence with the name of its event."""
        named = {
            "cannot-train": self.unable,
            "odd-model": self.odd,
            "unrepeatable": self.said,
            "clipped": self.cut,
        }
        return [(event, one) for event, sentences in named.items() for one in sentences]


def rehearse(pool: WorkerPool, plan: Plan) -> Found:
    """What is to be said before the run.

    Raises ConfigError where a model begins differently each time, where training moves what does
    not travel, where too few clients can make a step, and where a model cannot be evaluated. A worker
    that dies of it says nothing here: the run itself says what of its clients fails.
    """
    answers: list[Found] = []

    def on_result(index: int, result: Result) -> None:
        if isinstance(result, Done):
            answers.append(result.value)

    pool.run([Job(0, look, (rehearsal_of(plan),))], _PATIENCE_S, on_result)
    for one in answers:
        if one.refused:
            raise ConfigError(one.refused)
        return one
    return Found()


def rehearsal_of(plan: Plan) -> Rehearsal:
    """What is rehearsed of a run."""
    run, privacy = plan.run, plan.run.privacy
    replies = required_replies(run.min_replies, run.cohort_size or len(plan.task.clients))
    return Rehearsal(
        plan.terms,
        plan.preprocessing,
        run.training,
        privacy.clip,
        plan.sites,
        others=plan.others,
        is_trained="train" in run.phases,
        needed=max(replies, privacy.n_min if privacy.is_encrypted else 1),
    )


def look(asked: Rehearsal) -> Found:
    """Rehearse in a worker process."""
    try:
        if not asked.is_trained:
            return Found(said=tuple(_rows(asked)))
        return _try_out(asked, tuple(_rows(asked)))
    except CalyxError as error:
        if error.__cause__ is not None and log.isEnabledFor(logging.DEBUG):
            log.warning("The rehearsal has failed.", exc_info=True)
        return Found(refused=str(error))


def _try_out(asked: Rehearsal, said: tuple[str, ...]) -> Found:
    """What comes of the model on the clients' rows. Raises ConfigError."""
    terms = asked.terms
    cfg = asked.preprocessing
    people = [prepare_rows(terms, cfg, site.name, site.data_dir) for site in asked.sites]
    people.sort(key=lambda person: -len(person.parts["train"]))
    task, width = people[0].task, people[0].num_inputs
    models = [initial_model(task, width, terms.seed) for _ in range(2)]
    if len({hash_weights(weights_of(model)) for model in models}) > 1:
        raise ConfigError(
            f"The model of task={task.name} begins with other weights each time that it is made, so that "
            f"no two clients begin alike; {_WAY_OUT}."
        )
    hardware = resolve(asked.sites[0].hardware)
    trial = make_trial(task, models[0], asked.training, hardware, terms.seed)
    unable = unable_clients(trial, people)
    _check_enough(asked, unable)
    names = {name for one in unable for name in one.clients}
    able = next(person for person in people if person.name not in names)
    rows = some(able.parts["train"], min(MAX_ROWS, trial.cfg.batch_size))
    trained = train_once(trial, rows)
    makeup = makeup_of(models[1], width)
    moved = find_left_behind(models[1], trained)
    objective = load_objective(terms.strategy.name, terms.strategy.local)
    contents_of(task, replace(makeup, left=tuple(moved)), objective, terms.training)
    check_objective(trial, terms, makeup, able)
    ways = weights_of(trained)
    odd = check_judging(trial, deepcopy(trained), able)
    return Found(
        said=(*said, *_check_repeats(trial, rows, trained)),
        unable=tuple(one.sentence for one in unable),
        odd=tuple(odd),
        cut=_explain_cut(asked.clip, makeup, ways),
    )


def _check_enough(asked: Rehearsal, unable: list[Unable]) -> None:
    """Raise ConfigError where fewer clients can train than a round needs."""
    able = len(asked.sites) - sum(len(one.clients) for one in unable)
    if able == 0:
        raise ConfigError(unable[0].sentence)
    if unable and able + asked.others < asked.needed:
        raise ConfigError(
            f"{able} of {len(asked.sites)} clients can train, and a round needs {asked.needed}. "
            f"{unable[0].sentence}"
        )


def _rows(asked: Rehearsal) -> list[str]:
    """Whether the smallest client's rows are the same, loaded again."""
    terms = asked.terms
    site = min(
        asked.sites,
        key=lambda site: len(read_rows(terms, site.name, site.data_dir).parts["train"]),
    )
    version = read_rows(terms, site.name, site.data_dir).version
    if rows_of(terms.task, terms.seed, site.name, site.data_dir).version != version:
        return [_sentence(f"The rows of {site.name} are others each time they are loaded")]
    if _repeats_elsewhere(terms, site, version):
        return []
    return [
        f"The rows of {site.name} are others in another process: the same seed will not give the same "
        "model. The order of a set of words and hash() of a word differ between processes: sort the "
        "words, or set PYTHONHASHSEED=0."
    ]


def _sentence(what: str) -> str:
    return f"{what}: the same seed will not give the same model; {_WAY_OUT}."


def _repeats_elsewhere(terms: Terms, site: Site, version: str) -> bool:
    """Whether another process, which hashes words otherwise, loads the same; tried if code hashes."""
    if os.environ.get("PYTHONHASHSEED", "random") != "random" or not _hashes(task_of(terms)):
        return True
    asked = [terms.task, terms.seed, site.name, site.data_dir and str(site.data_dir)]
    try:
        child = subprocess.run(  # noqa: S603 - this interpreter, and words of ours
            [sys.executable, "-c", _CHILD],
            input=json.dumps(asked),
            env=os.environ | {"PYTHONHASHSEED": "1"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        log.debug("The rows could not be loaded in another process.", exc_info=True)
        return True
    return child.stdout.split()[-1:] == [version]


def _hashes(task: Task) -> bool:
    """Whether the task's file, if it is not ours, has a set in it, or a call of hash()."""
    if type(task).__module__.startswith("calyx."):
        return False
    try:
        tree = ast.parse(Path(inspect.getfile(type(task))).read_text())
    except (OSError, TypeError, ValueError, SyntaxError):
        return False
    return any(
        isinstance(node, ast.Set | ast.SetComp)
        or (isinstance(node, ast.Name) and node.id in ("hash", "set", "frozenset"))
        for node in ast.walk(tree)
    )


def _check_repeats(trial: Trial, rows: Part, trained: nn.Module) -> list[str]:
    """Whether a second training ends alike, and a second evaluation says the same."""
    again = train_once(trial, rows)
    if hash_weights(weights_of(again)) != hash_weights(weights_of(trained)):
        return [_sentence("Training begins alike and ends differently each time")]
    one, other = (evaluate(trained, rows, torch.device("cpu")).loss for _ in range(2))
    if one == other:  # of a loss that is not finite nothing is told, twice
        return []
    return [_sentence("The same model on the same rows is judged differently each time")]


def _explain_cut(clip: float, makeup: Makeup, after: Weights) -> tuple[str, ...]:
    """Sentences on buffers that one batch moves beyond privacy.clip, to which all that is sent is cut."""
    ways = {k: float(np.abs(after[k] - makeup.weights[k]).max(initial=0)) for k in makeup.still}
    return tuple(
        f"One batch moves the model's {name} by {way:g}, and what is sent of a round is cut to "
        f"privacy.clip={clip:g}: it lags behind, or no longer fits its other half. Use a larger "
        "privacy.clip, or scale the inputs."
        for name, way in sorted(ways.items())
        if way > clip
    )
