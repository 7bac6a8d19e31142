"""`calyx submit`: a run on separate machines, from the same config, with the same run folder.

--roster=FILE              the signed roster, of whose sites the run is
--control-port=PORT        where the server listens to its operator
--authority=FILE           the certificate that says so
KEY=VALUE                  overrides, as of `calyx simulate`
"""

from collections.abc import Sequence
from typing import Any

from calyx.cli.facts import print_warnings
from calyx.cli.following import drive, read_pinned, show_help, split_options
from calyx.cli.hydra_program import compose_config
from calyx.cli.idle import idle_settings, refuse_undone
from calyx.cli.outputs import chosen_folder, run_place
from calyx.cli.template_check import a_days_runs, outside_template
from calyx.composing.compose import resolve
from calyx.composing.defaults import room_of_sums
from calyx.errors import ConfigError, UserError
from calyx.files.plain import absolute, read_plain
from calyx.run.folder import RunFolder
from calyx.secagg.roster import Roster, write_roster
from calyx.simulation.planning import Checked, check_config
from calyx.tasks.task import NamedClients, Task
from calyx.words.sentences import join_names
from server.sampling import check_sizes, check_whole

ENGINE = "engine=superlink"


def main(arguments: Sequence[str]) -> int:
    """Start a run, follow it to its end. Raises CalyxError."""
    if show_help(arguments, __doc__):
        return 0
    options, overrides = split_options(list(arguments), "submit")
    for override in overrides:
        if "=" not in override.lstrip("~"):
            raise UserError(
                f"{override!r} is none of submit's options, and no KEY=VALUE; a sweep is a "
                "`calyx submit` a job, or runs in simulation: calyx simulate -m KEY=A,B."
            )
    cfg = compose_config([*overrides, ENGINE])
    pinned = read_pinned(options, RunFolder(chosen_folder(cfg.hydra.run)[0]))
    config = resolve(_of_sites(cfg, pinned))
    refuse_undone(overrides, config, "submit")
    if config["audit"]["baseline"] is not None:  # the server's process has another folder
        config["audit"]["baseline"] = str(absolute(config["audit"]["baseline"]))
    with run_place(cfg, config) as place:
        folder = RunFolder(place.path.absolute())
        _refuse_other_roster(folder, pinned)
        if pinned is not None and not any(o.startswith("privacy.n_max=") for o in overrides):
            config["privacy"]["n_max"] = room_of_sums(len(pinned), config["privacy"]["groups"])
        checked = _check(config, pinned)
        run, task = checked.run, checked.task
        said = [*idle_settings(overrides, config), *outside_template(run, checked.terms, task)]
        print_warnings([*said, *(a_days_runs(run, task, len(pinned)) if pinned else [])])
        drive(config, run, folder, options, resume=False)
    return 0


def _refuse_other_roster(folder: RunFolder, pinned: Roster | None) -> None:
    """Raise UserError where the run's copy of its roster would take the place of another one."""
    if pinned is None or not folder.roster.exists():
        return
    if read_plain(folder.roster) != write_roster(pinned).encode():
        raise UserError(
            f"{folder.roster} is there already and is another roster; choose another hydra.run.dir."
        )


def _of_sites(cfg: Any, roster: Roster | None) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    """The config with the roster's sites as the clients of a task that is told whose rows there are.

    Raises UserError where there is no roster, or the clients were named and are others.
    """
    from omegaconf import OmegaConf

    if roster is None and OmegaConf.select(cfg, "privacy.name") == "secagg":
        raise UserError("privacy=secagg needs the consortium's roster: --roster=roster.json.")
    if roster is None or "clients" not in cfg.task:
        return cfg
    sites = sorted(roster.indices)
    if cfg.task.clients is None:
        cfg.task.clients = sites
    elif sorted(map(str, cfg.task.clients)) != sites:
        raise UserError(
            f"task.clients names other clients than the roster ({join_names(sites)}), whose sites the run "
            "asks; leave it out."
        )
    return cfg


def _refuse_strangers(task: Task, roster: Roster | None) -> None:
    """Raise UserError where sites of the roster are none of a task's clients, which it knows itself."""
    if roster is None or not isinstance(task, NamedClients):
        return
    try:
        for name in sorted(roster.indices):
            task.check_client(name, None)
    except ConfigError as error:
        raise UserError(
            f"{str(error).removesuffix('.')}, and the roster names such a site: sites have rows of their "
            "own, which task=csv reads, or a task of yours."
        ) from None


def _check(config: dict[str, Any], roster: Roster | None) -> Checked:
    """The run, with everything checked that can be known before a site is asked. Raises UserError."""
    checked = check_config(config)
    _refuse_strangers(checked.task, roster)
    sites = len(checked.task.clients if roster is None else roster)
    check_whole(checked.run.privacy, sites)
    if roster is not None:
        check_sizes(checked.run.privacy, sites, checked.run.cohort_size, sites)
    return checked
