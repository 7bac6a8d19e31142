"""A run is planned before it is begun: everything checked, the first rows read, nothing on disk.

It loads neither PyTorch nor the apps, so that a mistake is answered at once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from calyx.data.faults import parse_faults
from calyx.data.schema import split_of
from calyx.errors import ConfigError, DataError, UserError
from calyx.machine.hardware import check
from calyx.preprocessing.choice import choose
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.federated import check_ranges
from calyx.preprocessing.imputation import check_fill
from calyx.questions.registry import question_of
from calyx.run.order import Terms, terms_of, with_preprocessing
from calyx.simulation.engine import (
    EmbeddedConfig,
    EngineConfig,
    RayConfig,
    check_installed,
    read_engine,
)
from calyx.simulation.progress import Progress, silent
from calyx.simulation.reading import Remarks, first_asked, why_broken
from calyx.tasks.registry import load_task
from calyx.tasks.task import Task, WarnedFolder, own_split
from calyx.words.extras import advise_extra
from client import journal
from client.config import Site, node_config, read_site
from client.failures import ClientFailure
from client.gate.policy import PolicyConfig, all_beyond
from client.rows.data import describe, prepare_rows
from server.baseline import read_baseline
from server.config import RunConfig, read_run
from server.phase_order import check_phases, list_questions
from server.sampling import check_combination, check_cv, check_folds, check_replies, check_sizes
from server.stopping import check_monitor
from strategies.base import check_strategy
from strategies.local import check_attacks


@dataclass(frozen=True)
class Checked:
    """A run's config, typed once, with all that can be checked of it without data."""

    config: dict[str, Any]  # resolved; JSON values
    run: RunConfig
    terms: Terms  # what its orders say of it, as far as it is known before one is sent
    task: Task
    preprocessing: PreprocessingConfig
    engine: EngineConfig


@dataclass(frozen=True)
class Plan(Checked):
    """A run that can start: it was checked against this machine and its data, too."""

    names: Sequence[str]  # of the clients that take part
    sites: tuple[Site, ...]  # of the clients whose rows were read, those that can train
    others: int  # clients whose rows nobody has read yet
    notes: tuple[tuple[str, journal.Note], ...]  # (client, what it wrote when it read its data)
    warnings: tuple[str, ...] = ()  # sentences for the one who starts it


def check_config(config: dict[str, Any]) -> Checked:
    """Type a resolved config and check what can be checked without data. Raises UserError."""
    run = read_run(config)
    for key in ("tensorboard", "mlflow"):
        if getattr(run, key) and find_spec(key) is None:
            raise ConfigError(f"{key}=true needs the extra {key}: {advise_extra(key)}")
    task = load_task(run.task)
    if not task.clients:
        raise ConfigError(
            f"task={task.name} has no clients: see task.clients, and what lies in task.data_dir."
        )
    engine = read_engine(run.engine)
    check_installed(engine)
    parse_faults(run.task.get("faults"), task.clients, task.schema)
    if run.task.get("faults") and engine.clients_remember:
        raise ConfigError("task.faults are for simulations; sites refuse them.")
    preprocessing = choose(run.preprocessing, task.schema, run.phases).cfg
    if preprocessing.fitted is not None:
        raise ConfigError("preprocessing.fitted is what a run fits itself; leave it out.")
    check_ranges(task.schema, preprocessing)
    check_fill(task.schema, preprocessing)
    check_phases(run.phases, preprocessing.name)
    clients = len(task.clients)
    terms = with_preprocessing(terms_of(config), name=preprocessing.name)
    check_strategy(terms, run.strategy.server, run.privacy, clients)
    check_monitor(run, task)
    check_attacks(terms, task.schema, preprocessing)
    check_sizes(run.privacy, clients, run.cohort_size, clients, run.census_size)
    if run.census_size is not None and engine.clients_remember:
        raise ConfigError("census_size is for simulations; sites are asked all.")
    check_cv(run.cv.k, run.privacy, clients, run.cohort_size, clients)
    check_folds(run.cv.k, own_split(task))
    check_combination(run.cv.combine, task.schema)
    check_replies(run, clients)
    if run.audit.baseline is not None:
        if "audit" not in run.phases:
            raise ConfigError("audit.baseline needs the phase audit, which does the comparison.")
        read_baseline(run.audit.baseline, task, run.audit.bins)
    check(run.hardware)
    check(read_site(node_config("any", run.client)).hardware)
    return Checked(config, run, terms, task, preprocessing, engine)


def check_simulated(checked: Checked) -> None:
    """Refuse what only separate machines have, and a policy that no order of this run would meet.

    Raises ConfigError.
    """
    run = checked.run
    if checked.engine.clients_remember:
        raise ConfigError("engine=superlink is what `calyx submit` runs on; simulate without it.")
    for key in ("identity", "roster", "state_dir"):
        if run.client.get(key) is not None:
            raise ConfigError(
                f"client.{key} is of a site's own file; a simulation's clients have keys that are made "
                "for the run, and leave nothing but the run's folder."
            )
    privacy, policy = run.privacy, read_site(node_config("any", run.client)).policy
    if policy.privacy != privacy.name:
        raise ConfigError(
            f"client.policy.privacy={policy.privacy} refuses every order of privacy={privacy.name}; set "
            "one of them, and the other follows."
        )
    _check_questions(run, policy)
    for key in ("n_min", "h_min"):
        least, given = getattr(policy, key), getattr(privacy, key)
        if privacy.is_encrypted and least > given:
            raise ConfigError(
                f"client.policy.{key}={least} refuses every sum of privacy.{key}={given}; set the "
                "latter, and the former follows."
            )
    if run.cv.k == "clients" and not policy.leave_one_out:
        raise ConfigError(
            "client.policy.leave_one_out=false refuses cv.k=clients; set one of them."
        )
    asked = asked_of(run, checked.terms)
    if outside := "; ".join(all_beyond(asked, (run.rounds, run.deadline_s), policy)):
        raise ConfigError(
            f"client.policy.bounds refuse every order of this run: {outside}. Change these keys, or "
            "the bounds."
        )


def _check_questions(run: RunConfig, policy: PolicyConfig) -> None:
    is_attacked, has_folds = run.robust.every is not None, run.cv.k is not None
    asked = list_questions(run.phases, has_folds=has_folds, is_attacked=is_attacked)
    asked += ["ensemble"] * (run.cv.combine is not None)
    for kind in asked:
        question_of(kind)  # two packages may bring it, or none: say so now, and not after the audit
        if kind not in policy.answered:
            raise ConfigError(
                f"client.policy.questions does not list {kind}, which this run asks; add it there."
            )


def asked_of(run: RunConfig, terms: Terms) -> Terms:
    """The terms of those orders of a run that ask the most of a site."""
    return terms if run.cv.k is None else replace(terms, cv=run.cv.of_all())


def plan(
    config: dict[str, Any],
    without: Collection[str] = (),
    progress: Progress = silent,
    round: int = 1,
) -> Plan:
    """Check a resolved config and read the rows of who is asked first; nothing is written.

    `round` is the run's next one, and `without` who takes no part in it. Rows are prepared here, before
    workers are forked, so that these inherit them. Raises UserError.
    """
    checked = check_config(config)
    check_simulated(checked)
    run, task = checked.run, checked.task
    names = [name for name in task.clients if name not in without] if without else task.clients
    if not names:
        raise UserError("Every client is left out of the rest of the run; start a new one.")
    # What Ray's actors say of their rows reaches nobody, so that nobody is left for later.
    is_seen = not isinstance(checked.engine, RayConfig)
    first = first_asked(run, names, round) if is_seen else names
    sites, notes, remarks = [], [], Remarks(run, task)
    failures: list[ClientFailure] = []
    for number, name in enumerate(first):
        progress("reading", number, len(first))
        site = site_of(name, run)
        try:
            prepared = prepare_rows(checked.terms, checked.preprocessing, name, site.data_dir)
            check_folds(run.cv.k, split_of(prepared.raw["train"]))
            own = describe(prepared)
            remarks.take(name, *own)
            notes += [(name, note) for note in own]
            sites.append(site)
        except ClientFailure as error:
            if why := why_broken(name, error.code, str(error)):
                raise DataError(why) from error
            remarks.take(name)
            failures.append(error)
    if not sites:
        whose = "client" if len(first) == len(names) else "client of those asked first"
        raise DataError(f"No {whose} can train; the first says: {failures[0]}")
    warnings = remarks.draw()
    if isinstance(checked.engine, EmbeddedConfig):
        warnings += checked.engine.remarks(len(names))
    if isinstance(task, WarnedFolder) and sites[0].data_dir is not None:
        warnings += task.warnings_of(sites[0].data_dir)
    return Plan(
        **vars(checked),
        names=names,
        sites=tuple(sites),
        others=len(names) - len(first),
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def site_of(client: str, run: RunConfig) -> Site:
    """A client of a simulated run, as it has no keys and no folder yet."""
    return read_site(node_config(client, run.client))
