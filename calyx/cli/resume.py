"""`calyx resume RUN [rounds=N]`: go on where a run stopped, to the same bytes as if it had not.

--without-changed          without the clients whose rows have changed
--roster=FILE              of a run on separate machines: whose keys count
--control-port=PORT        where its server listens to its operator
--authority=FILE           the certificate that says so
KEY=VALUE                  what may change: rounds, baselines, task.data_dir, engine.workers, …
"""
# Why rows may have changed, and for whom: see docs/decisions/0060.

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calyx.cli.arguments import path_of
from calyx.cli.changed_rows import WITHOUT_CHANGED, check_changed, find_changed
from calyx.cli.facts import print_warnings
from calyx.cli.idle import value_of
from calyx.cli.overrides import parse_override, quote_overrides, why_unreadable
from calyx.cli.stages import Waiting
from calyx.cli.template_check import outside_template
from calyx.composing.compose import PATH_KEYS
from calyx.composing.defaults import fill_in_defaults
from calyx.errors import UserError, printable, quote_command
from calyx.files.foreign import check_own
from calyx.files.outputs import is_same
from calyx.files.plain import absolute
from calyx.run.folder import RunFolder
from calyx.run.order import run_digest, terms_of
from calyx.simulation.engine import read_engine
from calyx.simulation.planning import plan
from calyx.tasks.registry import load_task
from server.checkpoints import RunState, load_newest
from server.config import RunConfig, read_run
from server.exchange.underway import check_rounds, read_record
from server.left_out import leave_out, read_left_out
from server.stopping import reason_to_stop
from strategies.flower import HOME, TARGET

# What may change on resume without changing the bytes of the model; all else is the run itself.
MAY_CHANGE = (
    "rounds",
    "baselines",
    "tensorboard",
    "mlflow",
    "profile",
    "deadline_s",
    "retries",
    "keep_checkpoints",
    "engine.workers",
    "engine.address",
    "task.data_dir",
    "audit.fail_on",
    "audit.baseline",
)
_CLASS = f"strategy.server.{TARGET}"


def main(arguments: Sequence[str]) -> int:
    """Resume; returns the exit code. Raises CalyxError."""
    from calyx.cli.following import Options, drive, show_help, split_options

    if show_help(arguments, __doc__):
        return 0
    options, rest = split_options([a for a in arguments if a != WITHOUT_CHANGED], "resume")
    is_without = WITHOUT_CHANGED in arguments
    folders = [a for a in rest if "=" not in a and not a.startswith("-")]
    overrides = [a for a in rest if "=" in a]
    if len(folders) != 1 or len(folders) + len(overrides) != len(rest):
        raise UserError("Give the folder of one run: calyx resume RUN [rounds=N].")
    folder = RunFolder(path_of(folders[0]))
    # Nothing follows anew: but of an older run the config lacks keys, and its checkpoints say why.
    config = fill_in_defaults(_apply(_read_config(folder, overrides), overrides))
    run = read_run(config)
    if run.audit.baseline is not None and is_same(folder.path, Path(run.audit.baseline)):
        raise UserError(
            f"audit.baseline={run.audit.baseline} is this run itself; name another one."
        )
    state, _ = load_newest(folder.checkpoints)
    _refuse(folder, run, config, state)
    terms = terms_of(config)
    changed = find_changed(folder, run, terms, state.run)
    check_changed(folder, run, changed, overrides, is_without=is_without)
    if read_engine(run.engine).clients_remember:
        _refuse_on_sites(overrides)
        leave_out(folder, changed if is_without else {}, state.round + 1)
        print_warnings(outside_template(run, terms, load_task(run.task)))
        drive(config, run, RunFolder(folder.path.absolute()), options, resume=True)
        return 0
    if options != Options():
        raise UserError(
            f"The run in {folder.path} is a simulation, which needs no server: leave --roster, "
            "--control-port and --authority out."
        )
    left_out = {*changed, *(one.client for one in read_left_out(folder))}
    with Waiting() as waiting:
        checked = plan(config, left_out, waiting.progress, state.round + 1)
    # A path of this machine is for who resumes the run, and not for its summary.
    leave_out(folder, {k: v.partition(": ")[0] for k, v in changed.items()}, state.round + 1)
    from calyx.cli.running import run_plan  # late: it loads PyTorch

    run_plan(checked, folder.path, resume=True)
    return 0


def _read_config(folder: RunFolder, overrides: Sequence[str]) -> dict[str, Any]:
    """The folder's config. Whom it would call, and what it would import, the user says again.

    Nothing has been imported or called until then. Raises UserError.
    """
    config = folder.read_config()
    check_own(folder.path)
    words = dict(one.split("=", 1) for one in overrides)
    address = value_of(config, "engine.address")
    if address is not None and "engine.address" not in words:
        shown = printable(str(address), 100)
        raise UserError(
            f"The run in {folder.path} was at engine.address={shown}, and no address is taken from a "
            "folder: if you trust it, give it again; engine.address=null is this machine."
        )
    target = value_of(config, _CLASS)
    is_flowers = isinstance(target, str) and target.startswith(f"{HOME}.")
    if target is not None and not is_flowers and words.get(_CLASS) != target:
        shown = printable(str(target), 100)
        raise UserError(
            f"The run in {folder.path} is of the class {shown}, and nothing is imported because a folder "
            f"names it: if it is yours, go on with `{quote_command('calyx', 'resume', folder.path)} "
            f"{quote_command(f'{_CLASS}={shown}')}`."
        )
    return config


def _apply(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        key = override.partition("=")[0]
        if key == _CLASS and value_of(config, key) == override.partition("=")[2]:
            continue  # the same, repeated
        if key not in MAY_CHANGE:
            raise UserError(
                f"The key {key} cannot change on resume; these can: {', '.join(MAY_CHANGE)}."
            )
        value = _value(override)
        _set(config, key, value)
        if key == "task.data_dir":
            _set(config, "client.data_dir", value)
    return config


def _set(config: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - as the config has it
    """Put a value under a dotted key. Raises UserError where a folder's config has no such section."""
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise UserError(
                f"The run's config.yaml is damaged: {name} is no section; restore it from a copy."
            )
    section[last] = value


def _value(override: str) -> Any:  # noqa: ANN401 - as the config has it
    """Read as `calyx simulate` reads it. Raises UserError."""
    [word] = quote_overrides([override])
    parsed = parse_override(word)
    if parsed is None:
        raise UserError(why_unreadable(word))
    if parsed.is_sweep_override():
        raise UserError(f"{printable(override)} has several values, and a run has one of each.")
    value = parsed.value()
    if isinstance(value, str) and value and parsed.key_or_group in PATH_KEYS:
        return str(absolute(value))
    return value


def _refuse_on_sites(overrides: Sequence[str]) -> None:
    """Raise UserError for what has an effect in a simulation only."""
    for override in overrides:
        if override.split("=", 1)[0] in ("engine.workers", "task.data_dir", "baselines"):
            raise UserError(f"{override} is of simulations, and this run's clients are sites.")


def _refuse(folder: RunFolder, run: RunConfig, config: dict[str, Any], state: RunState) -> None:
    """Raise UserError for a foreign run, or one that has nothing left to do."""
    if run_digest(config) != state.config:
        raise UserError(
            f"The checkpoints in {folder.path} are of another run than its config.yaml; "
            "put the original config.yaml back, or start a new run."
        )
    if run.rounds < state.round:
        raise UserError(
            f"rounds={run.rounds} is less than the {state.round} rounds already done; use more."
        )
    check_rounds(read_record(folder.underway, state.run), state.round, run.rounds)
    if not (folder.summary.exists() and folder.report.exists()):
        return  # the report is the last file of a run
    reason = reason_to_stop(state, run.stopping)
    if reason:
        raise UserError(
            f"The run in {folder.path} is finished: {reason}. More rounds would not change that."
        )
    if run.rounds == state.round:
        raise UserError(
            f"The run in {folder.path} is finished after {state.round} rounds; go on with "
            f"`{quote_command('calyx', 'resume', folder.path, f'rounds={2 * state.round}')}`."
        )
