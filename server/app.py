"""The server: config → who is there → the phases of the run, each in `server/phases/`."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from calyx.errors import ConfigError, RoundFailed, quote_command
from calyx.flower.nodes import names_of
from calyx.model.makeup import Makeup
from calyx.preprocessing.choice import choose
from calyx.privacy.section import guarantee, weaknesses
from calyx.run.folder import RunFolder
from calyx.run.order import Terms, run_digest, terms_of, with_preprocessing
from calyx.run.rows import ClientRow, Severity
from calyx.secagg.roster import Roster, read_roster
from calyx.tasks.registry import load_task
from calyx.tasks.task import own_split
from calyx.words.sentences import join_names, say_count
from server.attendance import AWAY, who_is_away
from server.checkpoints import RunState, load_newest, save
from server.combination import check_models
from server.config import RunConfig
from server.exchange.nodes import Nodes, read_nodes
from server.exchange.sending import Channel
from server.exchange.underway import check_rounds, read_record
from server.federation import Clients
from server.job import Job, read_job
from server.left_out import read_left_out
from server.phase_order import check_phases, run_phases
from server.round_log import restore
from server.run_context import InitialModel, RunContext, begin_state, make_initial
from server.sampling import (
    check_combination,
    check_cv,
    check_folds,
    check_replies,
    check_sizes,
    check_whole,
    count_parts,
    deal_groups,
    deal_members,
    draw_census,
    present,
    sample_cohort,
    smallest_parts,
    too_small,
)
from server.stopping import check_monitor, why_unranked
from strategies.local import check_attacks

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
    task, terms = load_task(run.task), terms_of(job.config)
    choice = choose(run.preprocessing, task.schema, run.phases)
    terms = with_preprocessing(terms, name=choice.cfg.name)
    check_phases(run.phases, choice.cfg.name)
    check_monitor(run, task)
    check_attacks(terms, task.schema, choice.cfg)
    if not job.resume:
        folder.refuse_if_used()
    initial = make_initial(task, terms, choice.cfg)
    state = _resume(job, folder) if job.resume else _begin(job, folder, terms, initial)
    roster = _read_roster(job)
    nodes = _find_nodes(grid, run, folder, roster)
    everybody = tuple(roster.indices) if roster else names_of(nodes)
    state = _with_members(folder, run, state, everybody)
    known, size = len(roster or nodes), run.cohort_size
    members = state.members
    num_clients = sum(map(len, members)) if members else len(nodes)
    check_sizes(run.privacy, num_clients, size, known, run.census_size)
    if job.engine.clients_remember:
        check_whole(run.privacy, num_clients)
    check_cv(run.cv.k, run.privacy, num_clients, size, known)
    check_folds(run.cv.k, own_split(task))
    check_combination(run.cv.combine, task.schema)
    check_replies(run, len(nodes))
    if members is None:
        dealt = deal_groups(names_of(nodes), run.privacy.groups, run.seed)
    else:
        dealt = present(members, nodes)
    context = RunContext(
        run=run,
        engine=job.engine,
        folder=folder,
        clients=Clients(
            Channel(grid, nodes, run.deadline_s),
            roster,
            dealt,
            members,
            draw_census(dealt, run.census_size, run.seed),
        ),
        task=task,
        initial=initial,
        state=state,
        choice=choice,
        preprocessing=choice.cfg,
        terms=terms,
    )
    check_models(context)
    _say_guarantee(context)
    _say_asked(context)
    _say_unranked(context)
    try:
        run_phases(context)
    except RoundFailed as error:
        folder.event("stopped", "error", f"{error}.", round=state.round)
        raise RoundFailed(
            f"{error}. What was done before it is saved: go on with "
            f"`{quote_command('calyx', 'resume', folder.path)}`."
        ) from None


def _find_nodes(grid: Grid, run: RunConfig, folder: RunFolder, roster: Roster | None) -> Nodes:
    """Who is there, may take part and is not left out; who of the roster is not there is said."""
    nodes = read_nodes(grid, run.deadline_s)
    gone = {one.client for one in read_left_out(folder)}
    if gone:
        nodes = {name: node for name, node in nodes.items() if name not in gone}
    if roster is not None:
        nodes = {name: node for name, node in nodes.items() if name in roster.indices}
        if away := who_is_away(roster.indices, {*nodes, *gone}):
            folder.warn(AWAY, away)
    return nodes


def _with_members(
    folder: RunFolder, run: RunConfig, state: RunState, names: Sequence[str]
) -> RunState:
    """The state that knows who is in which group, now and after each resume.

    `names` are all that may take part. Those who came since the groups were dealt are in none.
    """
    if state.members is None:
        members = deal_members(names, run.privacy.groups, run.seed)
        if members is None:
            return state
        state = replace(state, members=members)
        save(folder.checkpoints, state, run.keep_checkpoints)
        if state.round > 0:
            folder.event(
                "groups-dealt",
                "warning",
                "The checkpoint is of an earlier version of Calyx and does not say who is in which "
                "group: groups are dealt over the roster now, and sites that were in another refuse.",
                round=state.round,
            )
        return state
    known = {name for group in state.members for name in group}
    late = sorted(set(names) - known)
    if late:
        sentence = (
            f"{join_names(late)} came after the groups of this run were dealt: it goes on without. A new run "
            "deals them anew."
        )
        folder.warn("no-group", sentence, round=state.round)
    return state


def _begin(job: Job, folder: RunFolder, terms: Terms, initial: InitialModel) -> RunState:
    state = begin_state(job.run, terms, initial, uuid.uuid4().hex, run_digest(job.config))
    folder.write_config(job.config)
    save(folder.checkpoints, state, job.run.keep_checkpoints)
    _say_what_stays(folder, initial.makeup)
    return state


def _say_what_stays(folder: RunFolder, makeup: Makeup) -> None:
    """Of what training moves and nobody sends, where it need not make the model wrong."""
    if makeup.plain:
        sentence = (
            f"Training moves {join_names(makeup.plain)} of the model, which is no tensor of its state: it "
            "does not travel, and begins anew in each round at each client; make it a float32 buffer, which "
            "is averaged, or leave it where the model's output does not depend on it."
        )
        folder.warn("stays-behind", sentence)
    if makeup.counted:
        folder.event(
            "stays-behind",
            "info",
            f"{join_names(makeup.counted)} does not travel: with momentum=None a layer's running statistics "
            "are in each round those of that round's batches alone, averaged over clients.",
        )


def _resume(job: Job, folder: RunFolder) -> RunState:
    folder.check()
    state, damaged = load_newest(folder.checkpoints)
    for sentence in damaged:
        folder.event("checkpoint-damaged", "warning", sentence, round=state.round)
    check_rounds(read_record(folder.underway, state.run), state.round, job.run.rounds)
    # The rest is validated as far as there are rows.
    tested = state.best.round if state.best and state.best.test else -1
    done = {"train": state.round, "test": tested}
    state = restore(folder, state)
    folder.truncate(
        folder.clients, ClientRow, lambda row: row.round <= done.get(row.kind, state.rows)
    )
    folder.check_rounds(state.rows)
    if damaged:
        folder.unfinish()
    folder.write_config(job.config)
    folder.event(
        "resumed", "info", f"The run goes on after round {state.round}.", round=state.round
    )
    return state


def _say_guarantee(context: RunContext) -> None:
    privacy, roster = context.run.privacy, len(context.clients.roster or context.clients.nodes)
    cohort = sample_cohort(context.clients.dealt, context.run.cohort_size, 0, 1)
    parts = smallest_parts(context.clients.asked, privacy.n_max)
    small = too_small(privacy, cohort, roster)
    for i in small:
        _say_small(context, i)
    smallest = min(
        min(len(group), part)
        for i, (group, part) in enumerate(zip(cohort, parts, strict=True))
        if i not in small
    )
    severity: Severity = "info" if privacy.is_encrypted else "warning"
    context.folder.event("privacy", severity, guarantee(privacy, roster, smallest))
    is_simulated = not context.engine.clients_remember
    for weakness in weaknesses(privacy, roster, is_simulated=is_simulated):
        context.folder.event("privacy", "warning", weakness)


def _say_small(context: RunContext, index: int) -> None:
    """Of a group that has no sum while others of it are away."""
    clients = context.clients
    here, group = clients.dealt[index], (clients.members or clients.dealt)[index]
    away = [name for name in group if name not in here]
    sentence = (
        "A group has too few clients for a sum until more of it are there: "
        f"it has {join_names(here) if here else 'nobody'}, and lacks {join_names(away)}."
    )
    context.folder.warn("group-too-small", sentence, round=context.state.round)


def _say_asked(context: RunContext) -> None:
    """Of whom the figures are that are of everybody, where not everybody is asked, or not at once."""
    asked, n_max = context.clients.asked, context.run.privacy.n_max
    parts, number = count_parts(asked, n_max), sum(map(len, asked))
    known = len(context.clients.nodes)
    if parts == 1 and number == known:
        return
    who = f"all {known} clients"
    if number < known:
        who = f"the same {number} of {known} clients (census_size), of whom alone their figures are"
    message = (
        f"Audit, separate validation, test and folds ask {who}, in {say_count(parts, 'part')} of at most "
        f"{n_max} clients a sum."
    )
    context.folder.event_once("census", "info", message)


def _say_unranked(context: RunContext) -> None:
    run = context.run
    why = why_unranked(run, len(context.clients.nodes)) if "train" in run.phases else None
    if why is not None:
        message = (
            f"{why[0].upper()}{why[1:]}: no round is called best, early stopping is off, and the last "
            "model is released. With evaluate=separate everybody validates each round's model."
        )
        context.folder.warn("unranked", message)


def _read_roster(job: Job) -> Roster | None:
    if not job.run.privacy.is_encrypted:
        return None
    if job.roster is None:
        raise ConfigError(
            "privacy=secagg needs a roster of the clients' keys, and the run was started without "
            "one; give it with --roster=FILE."
        )
    return read_roster(job.roster)
