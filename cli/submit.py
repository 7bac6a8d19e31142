"""`calyx submit`: a run on separate machines, from the same config, with the same run folder."""

import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from calyx.composing import compose, resolved
from calyx.config import parse
from calyx.errors import CalyxError, UserError
from calyx.files import read_lines
from calyx.flower import Operator
from calyx.installed import bundle
from calyx.key_files import read_roster_file
from calyx.privacy import PrivacyConfig
from calyx.secagg.roster import Roster, write_roster
from cli.operating import AUTHORITY, CONTROL_PORT, connect
from cli.report.page import write_report
from cli.results import print_results
from engines.planning import check_config
from server.folder import RunFolder
from server.job import to_run_config
from server.sampling import check_sizes

ENGINE = "engine=superlink"
FOLDER = "hydra.run.dir="
POLL_S = 1.0


def main(arguments: Sequence[str]) -> int:
    """Start a run, follow it to its end. Raises CalyxError."""
    options, overrides = _split(arguments)
    config = resolved(compose([o for o in overrides if not o.startswith(FOLDER)] + [ENGINE]))
    roster = read_roster_file(Path(options["roster"])) if "roster" in options else None
    folder = _folder(overrides)
    _check(config, roster)
    text = write_roster(roster) if roster else None
    job = to_run_config(config, folder.path, resume=False, roster=text)
    console = Console(highlight=False)
    where = Namespace(control_port=int(options["control_port"]), authority=options["authority"])
    with connect(where) as operator:
        run_id = operator.start(bundle(), job)
        console.print(f"run {run_id} in {folder.path}", markup=False)
        try:
            _follow(operator, run_id, folder, console)
        except KeyboardInterrupt:
            operator.stop(run_id)
            raise
    report = write_report(folder.path)
    print_results(folder.read_summary(), folder.path, report)
    return 0


def _folder(overrides: Sequence[str]) -> RunFolder:
    """The run folder, as Hydra would name it. Raises UserError if it holds a run."""
    given = [o.removeprefix(FOLDER) for o in overrides if o.startswith(FOLDER)]
    now = datetime.now().astimezone().strftime("%Y-%m-%d/%H-%M-%S")
    folder = RunFolder(Path(given[-1] if given else f"runs/{now}").absolute())
    folder.refuse_if_used()
    return folder


def _split(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    options = {"control_port": str(CONTROL_PORT), "authority": AUTHORITY}
    overrides = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.startswith("--"):
            name = key.removeprefix("--").replace("-", "_")
            if name not in ("control_port", "authority", "roster") or not value:
                raise UserError(
                    f"{argument!r} is none of submit's options: --roster=FILE, "
                    "--control-port=PORT, --authority=FILE; the rest are config overrides."
                )
            options[name] = value
        else:
            overrides.append(argument)
    if not options["control_port"].isdecimal():
        raise UserError(f"--control-port={options['control_port']} is no port.")
    return options, overrides


def _check(config: dict[str, Any], roster: Roster | None) -> None:
    """Everything that can be known before a site is asked. Raises UserError."""
    run, _, _ = check_config(config)
    privacy = parse(PrivacyConfig, run.privacy, "privacy")
    if privacy.is_encrypted and roster is None:
        raise UserError("privacy=secagg needs the consortium's roster: --roster=roster.json.")
    if roster is not None:
        check_sizes(privacy, len(roster), run.cohort_size, len(roster))


def _follow(operator: Operator, run_id: int, folder: RunFolder, console: Console) -> None:
    shown = 0
    while True:
        status, outcome, details = operator.status(run_id)
        rows = read_lines(folder.rounds)
        for row in rows[shown:]:
            console.print(
                f"round {row['round']}  train_loss {row['train_loss']:.4f}  "
                f"val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}  "
                f"clients {row['replies']}/{len(row['cohort'])}  {row['seconds']:.2f} s",
                markup=False,
            )
        shown = len(rows)
        if status == "finished":
            if outcome != "completed":
                raise CalyxError(details.removeprefix("ServerApp failed with exception: "))
            return
        time.sleep(POLL_S)
