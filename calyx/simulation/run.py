"""A whole run in simulation, from a plan.

It assembles what others do: the program composes the config, the server runs the rounds, workers
run the clients, the observer looks on, baselines are trained beside it.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.serverapp import Grid

from calyx.errors import DataError, RoundFailed, UserError, quote_command
from calyx.files.plain import append_lines
from calyx.flower.messages import SERVER_NODE, quiet_flower
from calyx.machine import spans
from calyx.machine.hardware import cores
from calyx.model.metrics import PERSONAL
from calyx.run.folder import RunFolder
from calyx.run.json_rows import as_json
from calyx.run.profile import rows_of
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
from calyx.simulation.reading import Remarks, why_broken
from calyx.simulation.rehearsal import Found, rehearse
from calyx.simulation.together import obstacle_of
from calyx.simulation.workers import WorkerPool
from calyx.wire.messages import FailureCode
from calyx.words.sentences import join_names
from client.journal import Note
from client.learning.store import Store
from server.attendance import explain
from server.job import to_run_config

log = logging.getLogger(__name__)
_SPAWNED = (
    "A thread is running that something imported has started ({}), and a forked process would wait for "
    "it forever: workers are started afresh, which takes some seconds."
)


def simulate(plan: Plan, folder: Path, *, resume: bool, progress: Progress) -> RunFolder:
    """Run a plan in `folder`, to its end or on from where it stopped.

    Raises CalyxError, or KeyboardInterrupt; the folder can then be resumed, and no process is left.
    """
    prepare = partial(_prepare_process, is_profiled=plan.run.profile)
    prepare()
    run_folder = RunFolder(folder)
    onlooker = _Onlooker(run_folder, plan, progress, resume)
    with (
        _frozen(),
        _profiled(run_folder),
        blackboard.share(),
        WorkerPool(_workers(plan), prepare) as pool,
    ):
        rehearsed = Found() if resume else rehearse(pool, plan)
        said = [] if resume else [("start", one) for one in plan.warnings] + rehearsed.events
        for _, sentence in rehearsed.events:
            log.warning(sentence)
        if pool.threads:
            said.append(("start", _SPAWNED.format(join_names(pool.threads))))
            log.warning(said[-1][1])
        obstacle = _obstacle(plan)
        if obstacle:
            sentence = f"engine.cohort=true has no effect: {obstacle}."
            log.warning(sentence)
            said.append(("start", sentence))
        _serve(plan, pool, run_folder, onlooker, resume=resume, is_together=obstacle == "")
        onlooker.flush()
        for event, sentence in said:
            run_folder.event(event, "warning", sentence)
        _add_causes(run_folder)
        _add_left_out(run_folder)
        if plan.run.baselines and "train" in plan.run.phases:
            _add_baselines(pool, plan, run_folder, progress)
    return run_folder


def _serve(
    plan: Plan,
    pool: WorkerPool,
    folder: RunFolder,
    onlooker: "_Onlooker",
    *,
    resume: bool,
    is_together: bool,
) -> None:
    """Run the server's app to its end; once more from its last round where a worker's death ended it.

    Between two stages of a sum clients keep secrets that die with their process, and those that are left
    may be too few to end it or to give it up: with new keys everybody is asked again. Raises CalyxError.
    """
    from server.app import app  # late: it needs nothing before the plan is sound

    ended_after = -1  # rounds that were done when a death last ended the run
    while True:
        deaths, is_encrypted = onlooker.deaths, plan.run.privacy.is_encrypted
        identities = throw_away(plan.task.clients, is_encrypted=is_encrypted)
        roster, engine = identities.roster, tell(plan.engine)
        job = to_run_config(plan.config, folder.path, resume=resume, roster=roster, engine=engine)
        try:
            with _grid(plan, pool, identities, onlooker, folder.path / "clients") as grid:
                if is_together and isinstance(grid, EmbeddedGrid):
                    grid.compute_together()
                app(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), dict(job)))
            return
        except RoundFailed:
            onlooker.flush()
            done = len(folder.read_rounds())
            if onlooker.deaths == deaths or done == ended_after:
                raise
            resume, ended_after = True, done
            folder.warn(
                "worker-died", "A worker died within that sum: everybody is asked for it again."
            )


def _obstacle(plan: Plan) -> str | None:
    """Why clients are not trained together though it is asked for; "" where they are, None if not asked."""
    if isinstance(plan.engine, RayConfig) or not plan.engine.cohort:
        return None
    return obstacle_of(plan)


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


@contextmanager
def _frozen() -> Iterator[None]:
    """Inside, no search for garbage looks at what there is by now, which is modules and data.

    It costs time in each process, and workers would copy the pages that they share.
    """
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _profiled(folder: RunFolder) -> Iterator[None]:
    """On leaving write where the time inside went, if it was recorded; a run that went on has more lines."""
    try:
        yield
    finally:
        recorded = spans.finish()
        if recorded is not None and folder.path.exists():
            rows = map(as_json, rows_of(recorded, time.monotonic()))
            append_lines(folder.profile, rows, is_synced=False)


def _prepare_process(*, is_profiled: bool) -> None:
    """Of this process and of each worker."""
    quiet_flower()
    if is_profiled:
        spans.record()
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
    kept = {name: Store(store, str(summary.run), name).round_of(number) for name in plan.names}
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


class _Onlooker:
    """Passes what the engine sees to the observer and to the display, and ends a run whose data is broken."""

    def __init__(self, folder: RunFolder, plan: Plan, progress: Progress, resume: bool) -> None:
        self._observer, self._progress = Observer(folder, resume=resume), progress
        self._folder, self._remarks = folder, Remarks(plan.run, plan.task)
        self._new: dict[str, list[Note]] = {}  # of clients that have read their rows meanwhile
        is_ray = isinstance(plan.engine, RayConfig)  # there nobody sees what single clients do
        for client, note in plan.notes:
            self._remarks.take(client, note)
            if not (is_ray and note.kind == "data"):
                self._observer.note(client, note)
        self._remarks.draw()  # the plan has said these
        self._has_begun = False
        self.deaths = 0  # of workers

    def _begin(self) -> None:
        """Write what the plan has read before all else, in the folder that the server has made by now."""
        if not self._has_begun:
            self._has_begun = True
            self._observer.flush()

    def on_answer(self, client: str, account: Account) -> None:
        """Let the observer see it. Raises DataError where the client could not read its rows.

        Nobody had read them before, so that this is no failure of a round: the data is the user's own.
        """
        self._begin()
        for note in account.notes:
            if note.kind == "failure" and not self._observer.knows(client):
                self._check(client, note)
            if note.kind in ("data", "finding"):
                self._new.setdefault(client, []).append(note)
        self._observer.on_answer(client, account)

    def on_death(self, client: str, reason: str) -> None:
        """Say at once that a client's work is done again."""
        self.deaths += 1
        self._folder.warn("worker-died", f"{client} is asked again: {reason}.", client=client)

    def _check(self, client: str, note: Note) -> None:
        why = why_broken(client, FailureCode(note.fields["code"]), note.fields["message"])
        if why is None:
            return
        self._folder.event("stopped", "error", why, client=client)
        again = quote_command("calyx", "resume", self._folder.path)
        raise DataError(
            f"{why} What was done before it is saved: mend it, and go on with `{again}`."
        )

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """Tell the display; write what was seen when a stage ends, whatever came first."""
        self._begin()
        self._observer.on_progress(kind, done, total)
        if done == total and self._new:
            for client in sorted(self._new):
                self._remarks.take(client, *self._new[client])
            self._new = {}
            for sentence in self._remarks.draw():
                self._folder.warn("start", sentence)
        self._progress(kind, done, total)

    def flush(self) -> None:
        """Write what is left."""
        self._observer.flush()
