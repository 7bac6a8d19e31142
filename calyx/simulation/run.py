"""A whole run in simulation, from a plan.

It assembles what others do: the program composes the config, the server runs the rounds, workers
run the clients, the observer looks on, baselines are trained beside it.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.serverapp import Grid

from calyx.errors import UserError
from calyx.files.plain import read_lines
from calyx.flower.messages import SERVER_NODE, quiet_flower
from calyx.machine.hardware import cores
from calyx.model.metrics import PERSONAL
from calyx.run.folder import RunFolder
from calyx.run.rows import ClientRow
from calyx.run.summary import Summary
from calyx.secagg import blackboard
from calyx.simulation.baselines import Federated, Figure, compute_baselines, question_of, scores_of
from calyx.simulation.clients import RUN_ID, Account
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.engine import RayConfig, tell
from calyx.simulation.identities import Identities, throw_away
from calyx.simulation.observer import Observer
from calyx.simulation.planning import Plan
from calyx.simulation.progress import Progress
from calyx.simulation.ray import open_grid
from calyx.simulation.rehearsal import Found, rehearse
from calyx.simulation.workers import WorkerPool
from client.learning.store import Store
from client.rows.begun import Beginning, begin
from client.rows.data import read_rows
from server.attendance import explain
from server.checkpoints import load_newest
from server.job import to_run_config

log = logging.getLogger(__name__)


def simulate(plan: Plan, folder: Path, *, resume: bool, progress: Progress) -> RunFolder:
    """Run a plan in `folder`, to its end or on from where it stopped.

    Raises CalyxError, or KeyboardInterrupt; the folder can then be resumed, and no process is left.
    """
    quiet_flower()
    _compute_elsewhere()
    from server.app import app  # late: it needs nothing before the plan is sound

    run_folder = RunFolder(folder)
    onlooker = _Onlooker(run_folder, plan, progress, resume)
    with blackboard.share(), WorkerPool(_workers(plan)) as pool:
        rehearsed = Found() if resume else rehearse(pool, plan)
        said = [] if resume else [("start", one) for one in plan.warnings] + rehearsed.events
        for _, sentence in rehearsed.events:
            log.warning(sentence)
        identities = throw_away(plan.task.clients)
        roster, engine = identities.roster, tell(plan.engine)
        job = to_run_config(plan.config, folder, resume=resume, roster=roster, engine=engine)
        with _grid(plan, pool, identities, onlooker, folder / "clients") as grid:
            app(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), dict(job)))
        onlooker.flush()
        for event, sentence in said:
            run_folder.event(event, "warning", sentence)
        _add_causes(run_folder)
        _add_left_out(run_folder)
        if plan.run.baselines and "train" in plan.run.phases:
            _add_baselines(pool, plan, run_folder, progress)
    return run_folder


def _workers(plan: Plan) -> int:
    if isinstance(plan.engine, RayConfig):
        # They train the baselines only, but a fork after Ray has started its threads may hang.
        return min(cores(), len(plan.task.clients)) if plan.run.baselines else 0
    return plan.engine.count(len(plan.task.clients))


def _grid(
    plan: Plan, pool: WorkerPool, identities: Identities, onlooker: "_Onlooker", store: Path
) -> AbstractContextManager[Grid]:
    if isinstance(plan.engine, RayConfig):
        return open_grid(plan, plan.engine, identities, onlooker, RUN_ID, store=store)
    return nullcontext(EmbeddedGrid(pool, identities, plan.run.client, onlooker, store))


def _compute_elsewhere() -> None:
    # A fork of a process that has used several OpenMP threads hangs.
    import torch

    torch.set_num_threads(1)


def _add_baselines(pool: WorkerPool, plan: Plan, folder: RunFolder, progress: Progress) -> None:
    summary = folder.read_summary()
    epochs = plan.run.training.epochs * plan.run.rounds
    baselines = compute_baselines(pool, question_of(plan, epochs), progress)
    is_none = isinstance(baselines, str)
    failed = (
        {"all rows in one place": baselines} if isinstance(baselines, str) else baselines.failed
    )
    for whose, why in failed.items():
        rows = whose if is_none else f"{whose}'s rows alone"
        sentence = f"The baseline of {rows} could not be trained: {why}."
        folder.warn("baselines-failed", sentence)
    if isinstance(baselines, str):
        return
    scores = scores_of(baselines, _federated(folder, summary, plan))
    folder.write_summary(replace(summary, baselines=scores))


def _federated(folder: RunFolder, summary: Summary, plan: Plan) -> Federated:
    """The run's figures, by whose models they are of; only an observer knows who has its own."""

    def figure(prefix: str) -> Figure:
        name = f"{prefix}{summary.metric}"
        of = summary.whose(name)
        if of is None:
            raise UserError(f"{folder.summary} is damaged: it does not say of whom {name} is.")
        score = summary.figure(name), summary.absent.get(name)
        return Figure(score, of.clients, of.rows)

    common = None if summary.models == "own" else figure("test_")
    if summary.models == "common":
        return Federated(common)
    own = figure(PERSONAL)
    store, number = folder.path / "clients", summary.released_round or 0
    there = [site.name for site in plan.sites]
    kept = {name: Store(store, str(summary.run), name).round_of(number) for name in there}
    return Federated(common, own, tuple(name for name in kept if kept[name] is not None))


def _add_causes(folder: RunFolder) -> None:
    """Why clients were away in their own words, where the server knows a code."""
    summary = folder.read_summary()
    if summary.absentees:
        told = explain(summary.absentees, folder.read_events())
        folder.write_summary(replace(summary, absentees=told))


def _add_left_out(folder: RunFolder) -> None:
    """Each left-out client's score, which only an observer of a simulation sees."""
    summary = folder.read_summary()
    cv = summary.cv
    if cv is None or cv.k != "clients":
        return
    rows = {row.client: row for row in folder.read_clients() if row.kind == "cv"}
    own = [rows.get(name) for name in cv.clients]
    scores = tuple(row.score("test_") if row else None for row in own)
    if rows:
        absent = {name: why for name, why in cv.absent.items() if name != "folds"}
        absent |= {
            f"folds.{i}": _why_none(row, f"test_{cv.metric}")
            for i, row in enumerate(own)
            if scores[i] is None
        }
        known = replace(cv, folds=scores, absent=absent)
        folder.write_summary(replace(summary, cv=known))


def _why_none(row: ClientRow | None, name: str) -> str:
    return "it gave no answer" if row is None else row.absent.get(name, "unknown")


def _keep_beginnings(plan: Plan, folder: RunFolder) -> None:
    """What each client began with, also of those that no round has asked yet."""
    run = load_newest(folder.checkpoints)[0].run
    for site in plan.sites:
        where = Beginning(folder.path / "clients", run, site.name)
        if not where.path.exists():
            rows = read_rows(plan.terms, site.name, site.data_dir)
            begin(where, rows, plan.preprocessing)


class _Onlooker:
    """Passes what the engine sees to the observer and to the display."""

    def __init__(self, folder: RunFolder, plan: Plan, progress: Progress, resume: bool) -> None:
        self._observer, self._progress = Observer(folder), progress
        self._plan, self._folder = plan, folder
        is_ray = isinstance(plan.engine, RayConfig)  # there nobody sees what single clients do
        self._notes = [n for n in plan.notes if not (is_ray and n[1].kind == "data")]
        told = folder.events if is_ray else folder.clients
        self._told_data = resume and bool(read_lines(told))

    def on_answer(self, client: str, account: Account) -> None:
        """Let the observer see it."""
        self._observer.on_answer(client, account)

    def on_death(self, client: str, reason: str) -> None:
        """Say at once that a client's work is done again."""
        self._folder.warn("worker-died", f"{client} is asked again: {reason}.", client=client)

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """Tell the display; write what was seen when a stage ends."""
        if not self._told_data:
            # The server makes the folder; it exists by the time that clients are asked anything.
            self._told_data = True
            for client, note in self._notes:
                self._observer.note(client, note)
            _keep_beginnings(self._plan, self._folder)
        self._observer.on_progress(kind, done, total)
        self._progress(kind, done, total)

    def flush(self) -> None:
        """Write what is left."""
        self._observer.flush()
