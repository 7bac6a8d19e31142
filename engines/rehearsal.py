"""Before a simulation: one client's rows, model and first steps, twice, to see whether they repeat.

Equal seeds give equal bytes as long as a task draws from generators that are seeded
(`calyx.seeding.global_scope`). One that it makes itself without a seed, and what differs from
process to process, is found by doing the same twice. What no client can do is found, too.
"""

import ast
import inspect
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from calyx.config import parse
from calyx.errors import CalyxError, ConfigError, printable
from calyx.hardware import Hardware
from calyx.makeup import left_behind, makeup_of
from calyx.order import Terms
from calyx.privacy import PrivacyConfig
from calyx.tasks.base import Task
from calyx.weights import hash_weights, initial_model, weights_of
from client.config import Site
from client.data import Part, Participant, prepare, read_again, read_rows, task_of
from client.evaluation import evaluate
from client.training import LocalJob, train
from client.training_config import TrainingConfig
from engines.planning import Plan
from engines.workers import Done, Job, Result, WorkerPool
from strategies.loading import load_objective
from strategies.local import LocalObjective, contents_of

log = logging.getLogger(__name__)

MAX_ROWS = 256  # of the one batch that is trained
TRIED = 3  # clients, of those with the most rows
_CPU = Hardware("cpu", 1, "float32", True)
_PATIENCE_S = 60.0
_WAY_OUT = (
    "something draws from what no seed reaches, such as numpy.random.default_rng() or "
    "random.SystemRandom(); draw from torch, numpy.random or random, whose global generators are "
    "seeded, or from the seed that `load` is given"
)
_CHILD = (
    "import json, sys; from client.data import version_of; print(version_of(*json.load(sys.stdin)))"
)


@dataclass(frozen=True)
class Rehearsal:
    """What a worker is asked: the terms of a run, its clients, and whether it trains."""

    terms: Terms
    sites: tuple[Site, ...]
    is_trained: bool


@dataclass(frozen=True)
class Found:
    """What is to be said before a run, in sentences; or why it cannot be run."""

    said: tuple[str, ...] = ()  # on what is another each time, though the seed is the same
    cut: tuple[str, ...] = ()  # on what moves farther than what is sent of it
    refused: str = ""

    @property
    def events(self) -> list[tuple[str, str]]:
        """Each sentence with the name of its event."""
        return [("unrepeatable", one) for one in self.said] + [("clipped", one) for one in self.cut]


def rehearse(pool: WorkerPool, plan: Plan) -> Found:
    """What is to be said before the run.

    Raises ConfigError where a model begins differently each time, where training moves what does
    not travel, and where none of the clients tried can make a step. A worker that dies of it says
    nothing here: the run itself says what of its clients fails.
    """
    found: list[Found] = []

    def on_result(index: int, result: Result) -> None:
        if isinstance(result, Done):
            found.append(result.value)

    asked = Rehearsal(plan.terms, plan.sites, "train" in plan.run.phases)
    pool.run([Job(0, look, (asked,))], _PATIENCE_S, on_result)
    for one in found:
        if one.refused:
            raise ConfigError(one.refused)
        return one
    return Found()


def look(asked: Rehearsal) -> Found:
    """In a worker: the rehearsal itself."""
    try:
        if not asked.is_trained:
            return Found(said=tuple(_rows(asked)))
        return Found(said=(*_rows(asked), *_steps(asked)), cut=_cut(asked))
    except CalyxError as error:
        return Found(refused=str(error))


def _rows(asked: Rehearsal) -> list[str]:
    """Whether the smallest client's rows are the same, loaded again."""
    terms = asked.terms
    site = min(asked.sites, key=lambda site: len(_prepared(asked, site).raw["train"]))
    version = read_rows(terms, site.name, site.data_dir).version
    if read_again(terms, site.name, site.data_dir).version != version:
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


def _prepared(asked: Rehearsal, site: Site) -> Participant:
    return prepare(asked.terms, site.name, site.data_dir)


def _steps(asked: Rehearsal) -> list[str]:
    """Whether one batch of a client trains, and to the same weights twice."""
    sites = sorted(asked.sites, key=lambda site: -len(_prepared(asked, site).raw["train"]))
    problems: list[str] = []
    for site in sites[:TRIED]:
        try:
            return _twice(asked.terms, _prepared(asked, site))
        except CalyxError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a task's model says of rows
            problems.append(printable(f"{site.name}: {type(error).__name__}: {error}", 200))
    raise ConfigError(
        f"The model of task={task_of(asked.terms).name} cannot be trained on its clients' rows "
        f"({problems[0].rstrip('.')}); mend the task's model or load."
    )


def _twice(terms: Terms, participant: Participant) -> list[str]:
    task, width, seed = participant.task, participant.num_inputs, terms.seed
    pristine, *models = (initial_model(task, width, seed) for _ in range(3))
    if len({hash_weights(weights_of(model)) for model in models}) > 1:
        raise ConfigError(
            f"The model of task={task.name} begins with other weights each time that it is made, so that "
            f"no two clients begin alike; {_WAY_OUT}."
        )
    cfg = replace(parse(TrainingConfig, terms.training, "training"), epochs=1)
    rows = _some(participant.parts["train"], min(MAX_ROWS, cfg.batch_size))
    for model in models:
        train(
            model, rows, _some(rows, 0), LocalJob(cfg, LocalObjective(), _CPU, seed, 0, "rehearsal")
        )
    makeup, moved = makeup_of(pristine, width), left_behind(pristine, models[0])
    objective = load_objective(terms.strategy.name, terms.strategy.local)
    contents_of(task, replace(makeup, left=tuple(moved)), objective, terms.training)
    if len({hash_weights(weights_of(model)) for model in models}) > 1:
        return [_sentence("Training begins alike and ends differently each time")]
    one, other = (evaluate(models[0], rows, torch.device("cpu")).loss for _ in range(2))
    if one == other:  # of a loss that is not finite nothing is told, twice
        return []
    return [_sentence("The same model on the same rows is judged differently each time")]


def _cut(asked: Rehearsal) -> tuple[str, ...]:
    """Of buffers that one batch moves beyond privacy.clip, to which all that is sent is cut."""
    terms = asked.terms
    site = max(asked.sites, key=lambda site: len(_prepared(asked, site).raw["train"]))
    participant = _prepared(asked, site)
    model = initial_model(participant.task, participant.num_inputs, terms.seed)
    makeup = makeup_of(model, participant.num_inputs)
    if not makeup.still:
        return ()
    cfg = replace(parse(TrainingConfig, terms.training, "training"), epochs=1)
    rows = _some(participant.parts["train"], min(MAX_ROWS, cfg.batch_size))
    train(model, rows, _some(rows, 0), LocalJob(cfg, LocalObjective(), _CPU, terms.seed, 0, "cut"))
    clip, after = parse(PrivacyConfig, terms.privacy, "privacy").clip, weights_of(model)
    ways = {k: float(np.abs(after[k] - makeup.weights[k]).max(initial=0)) for k in makeup.still}
    return tuple(
        f"One batch moves the model's {name} by {way:g}, and what is sent of a round is cut to "
        f"privacy.clip={clip:g}: it lags behind, or no longer fits its other half. Use a larger "
        "privacy.clip, or scale the inputs."
        for name, way in sorted(ways.items())
        if way > clip
    )


def _some(part: Part, rows: int) -> Part:
    exact = None if part.exact is None else part.exact[:rows]
    return replace(part, x=part.x[:rows], y=part.y[:rows], exact=exact)
