"""`calyx audit task=… overrides`: what is wrong with the clients' data, as far as sums over them tell."""

import os
from collections.abc import Sequence
from typing import Any

from calyx.cli.audit_table import print_audit
from calyx.cli.display import Display
from calyx.cli.facts import print_warnings
from calyx.cli.hydra_program import compose_config
from calyx.cli.idle import idle_settings, refuse_undone
from calyx.cli.outputs import run_place
from calyx.cli.stages import Waiting
from calyx.composing.compose import settle
from calyx.errors import CalyxError, ConfigError
from calyx.run.audit import read_audit
from calyx.run.folder import RunFolder
from calyx.simulation.planning import plan

ALWAYS = ("phases=[audit]", "baselines=false")


def run_audit(arguments: Sequence[str]) -> int:
    """Audit in simulation, show what was found; exit code 1 where it would stop a run.

    Raises CalyxError.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    overrides = list(arguments)
    for word in overrides:
        if "=" not in word.lstrip("~+"):
            raise ConfigError(f"{word!r} is no KEY=VALUE; see `calyx audit --help`.")
    cfg = compose_config([*overrides, *ALWAYS])
    config = settle(cfg, single=True)
    refuse_undone(overrides, config, "audit")
    with run_place(cfg, config) as place:
        print_warnings(idle_settings(overrides, config))
        return _audit(config, RunFolder(place.path.absolute()))


def _audit(config: dict[str, Any], folder: RunFolder) -> int:
    with Waiting() as waiting:
        checked, stopped = plan(config, progress=waiting.progress), None
    from calyx.pages.page import write_report
    from calyx.simulation.run import simulate  # late: a mistake is said without PyTorch

    with Display(checked) as display:
        try:
            simulate(checked, folder.path, resume=False, progress=display.progress)
        except CalyxError as error:
            if not folder.audit.exists():
                raise
            stopped = error
    print_audit(read_audit(folder.audit), folder.path)
    own = [one for one in folder.read_events() if one.event == "finding"]
    if own:
        print(
            f"sites   {len(own)} findings of single sites, which only they see and audit.fail_on does "
            f"not read: {folder.events}"
        )
    print(f"report  {write_report(folder.path)}")
    if stopped is not None:
        raise stopped
    return 0
