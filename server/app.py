"""The server: config → wrap the grid → run the rounds → test the best model → summary."""

import logging
import uuid
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from calyx.config import RunConfig, parse
from calyx.errors import ConfigError, RoundFailed
from calyx.layouts import Contents
from calyx.order import run_digest, terms_of
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.privacy import PrivacyConfig, guarantee, weaknesses
from calyx.registry import load_task
from calyx.secagg.roster import Roster, read_roster
from calyx.tasks.base import Task
from calyx.weights import Weights, initial_model, weights_of
from server.checkpoints import RunState, load_newest, save
from server.cohort_grid import CohortGrid
from server.federation import Federation
from server.finish import finish, test_best
from server.folder import RunFolder, Severity
from server.job import Job, read_job
from server.nodes import read_nodes
from server.rounds import run_rounds
from server.sampling import check_sizes, deal_groups, sample_cohort
from server.setting import Setting
from server.underway import Underway, check_rounds, read_record
from strategies.base import make_strategy
from strategies.loading import load_objective
from strategies.local import contents_of

log = logging.getLogger(__name__)
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run a job to its end. Raises CalyxError; what is on disk can then be resumed."""
    job = read_job(context.run_config)
    folder = RunFolder(Path(job.run_dir))
    with folder.alone():
        _run(job, folder, grid)


def _run(job: Job, folder: RunFolder, grid: Grid) -> None:
    run = job.run
    task = load_task(run.task)
    model = initial_weights(run, task)
    objective = load_objective(run.strategy.name, run.strategy.local)
    template = model | objective.beside(model)
    contents = contents_of(task, model, objective, run.training)
    state = _resumed(job, folder) if job.resume else _fresh(job, folder, template)
    federation = _federation(job, folder, (contents, template), (grid, state))
    _say_guarantee(federation, folder)
    try:
        if federation.grid.underway and federation.grid.underway.kind == "test":
            state = test_best(federation, state)  # it is asked for once, also in a longer run
        state, why = run_rounds(federation, state)
        finish(federation, task, state, why)
    except RoundFailed as error:
        folder.event("stopped", "error", f"{error}.", round=state.round)
        raise RoundFailed(
            f"{error}. What was done before it is saved: go on with `calyx resume {folder.path}`."
        ) from None


def initial_weights(run: RunConfig, task: Task) -> Weights:
    """The weights before round 1, which every party derives from the seed."""
    cfg = parse(PreprocessingConfig, run.preprocessing, "preprocessing")
    return weights_of(initial_model(task, num_inputs(task.schema, cfg), run.seed))


def _fresh(job: Job, folder: RunFolder, template: Weights) -> RunState:
    folder.refuse_if_used()
    run = job.run
    strategy = make_strategy(run, parse(PrivacyConfig, run.privacy, "privacy"), template)
    state = RunState(
        run=uuid.uuid4().hex,
        config=run_digest(run, job.config),
        round=0,
        weights=template,
        strategy=strategy.state,
        best=None,
    )
    folder.write_config(job.config)
    save(folder.checkpoints, state, run.keep_checkpoints)
    return state


def _resumed(job: Job, folder: RunFolder) -> RunState:
    state, damaged = load_newest(folder.checkpoints)
    for sentence in damaged:
        folder.event("checkpoint-damaged", "warning", sentence, round=state.round)
    check_rounds(read_record(folder.underway, state.run), state.round, job.run.rounds)
    # The rest is validated as far as there are rows.
    tested = state.best.round if state.best and state.best.test else -1
    done = {"train": state.round, "test": tested}
    folder.truncate(folder.rounds, lambda row: int(row["round"]) <= state.rows)
    folder.truncate(
        folder.clients, lambda row: int(row["round"]) <= done.get(row["kind"], state.rows)
    )
    if damaged:
        folder.unfinish()
    folder.write_config(job.config)
    folder.event(
        "resumed", "info", f"The run goes on after round {state.round}.", round=state.round
    )
    return state


def _federation(
    job: Job, folder: RunFolder, model: tuple[Contents, Weights], start: tuple[Grid, RunState]
) -> Federation:
    run, (contents, template), (grid, state) = job.run, model, start
    privacy = parse(PrivacyConfig, run.privacy, "privacy")
    nodes = read_nodes(grid, run.deadline_s)
    roster = _roster(job, privacy)
    if roster is not None:
        nodes = {name: node for name, node in nodes.items() if name in roster.indices}
    strategy = make_strategy(run, privacy, template, len(nodes))
    strategy.state = state.strategy
    check_sizes(privacy, len(nodes), run.cohort_size, len(roster or nodes))
    # Sites remember what they were asked for; a simulation's clients are made anew.
    lasting = run.engine["name"] == "superlink"
    setting = Setting(
        run=state.run,
        terms=terms_of(run),
        contents=contents,
        privacy=privacy,
        template=template,
        rounds=run.rounds,
        deadline_s=run.deadline_s,
        min_replies=run.min_replies,
        roster=roster,
        underway=Underway(folder.underway, state.run, roster) if roster and lasting else None,
    )
    dealt = deal_groups(list(nodes), privacy.groups, run.seed)
    own = frozenset(initial_weights(run, contents.task))
    return Federation(run, CohortGrid(grid, nodes, setting), strategy, folder, dealt, template, own)


def _say_guarantee(federation: Federation, folder: RunFolder) -> None:
    privacy = parse(PrivacyConfig, federation.run.privacy, "privacy")
    roster = federation.grid.roster_size
    smallest = min(map(len, sample_cohort(federation.dealt, federation.run.cohort_size, 0, 1)))
    severity: Severity = "info" if privacy.is_encrypted else "warning"
    folder.event("privacy", severity, guarantee(privacy, roster, smallest))
    for weakness in weaknesses(privacy, roster):
        folder.event("privacy", "warning", f"{weakness}; it was written by hand.")


def _roster(job: Job, privacy: PrivacyConfig) -> Roster | None:
    if not privacy.is_encrypted:
        return None
    if job.roster is None:
        raise ConfigError(
            "privacy=secagg needs a roster of the clients' keys, and the run was started without "
            "one; give it with --roster=FILE."
        )
    return read_roster(job.roster)
