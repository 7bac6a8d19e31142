"""One job of a sweep, in whichever process the launcher has chosen for it."""

import logging
import math
import signal
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calyx.cli.main import accept_any_terminal
from calyx.cli.meanings import explain
from calyx.cli.sweep.folders import make_ready
from calyx.cli.sweep.outcomes import (
    Outcome,
    compared_figure,
    objective_of,
    settings_of,
    write_outcome,
)
from calyx.cli.sweep.pruning import Pruned, watch_trial
from calyx.composing.compose import settle
from calyx.errors import CalyxError
from calyx.machine.hardware import cores
from calyx.run.folder import RunFolder
from calyx.run.summary import Summary
from calyx.simulation.planning import Plan, plan
from calyx.words.digits import number_texts


@dataclass(frozen=True)
class _Place:
    """Where a job runs, by Hydra's own config."""

    at_once: int | None  # jobs that share this machine's cores; None if there is one at a time
    is_elsewhere: bool  # in a process of its own
    is_searched: bool  # by Optuna, which may prune it


def run_job(cfg: Any) -> float:  # noqa: ANN401 - OmegaConf's DictConfig
    """Run, go on with, or skip a job; returns what its sweep compares, NaN if there is no such figure.

    A failure is written into the job's folder, and not raised: the other jobs go on.
    Raises KeyboardInterrupt.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    place = _place(hydra)
    if place.is_elsewhere:
        accept_any_terminal()
        # Ctrl-C goes to the whole group; the parent decides, and ends this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = Path(hydra.runtime.output_dir)
    number = int(hydra.job.num)
    before = Outcome(number, folder, tuple(hydra.overrides.task), "unfinished")
    try:
        workers = max(1, cores() // place.at_once) if place.at_once else None
        checked = plan(settle(cfg, single=False, workers=workers))
        with watch_trial(hydra, checked.run, number) if place.is_searched else nullcontext():
            return _run(checked, before, is_alone=not place.is_elsewhere)
    except Pruned as reason:
        write_outcome(replace(before, status="pruned"))
        _say(before, f"pruned: {reason}")
    except Exception as error:  # noqa: BLE001 - the boundary of a job
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        why = explain(_one_line(error))
        write_outcome(replace(before, status="failed", error=why))
        _say(before, f"failed: {why}")
    return math.nan


def _place(hydra: Any) -> _Place:  # noqa: ANN401 - OmegaConf's DictConfig
    launcher = hydra.runtime.choices["hydra/launcher"]
    return _Place(
        at_once=int(hydra.launcher.n_jobs) if launcher == "joblib" else None,
        is_elsewhere=launcher != "basic",
        is_searched=hydra.runtime.choices["hydra/sweeper"] == "optuna",
    )


def _run(checked: Plan, before: Outcome, *, is_alone: bool) -> float:
    from calyx.cli.display import Display

    folder, objective = RunFolder(before.folder), checked.run.stopping.objective
    todo = make_ready(folder, checked)
    if todo == "nothing":
        summary = folder.read_summary()
        write_outcome(replace(before, status="finished"))
        _say(before, f"{_words(before)}, finished before")
        return _objective(summary, objective)
    from calyx.cli.running import run_shown  # late: it loads PyTorch

    write_outcome(before)
    _say(before, f"{_words(before)}{', which goes on' if todo == 'resume' else ''}")
    display = Display(checked, "" if is_alone else f"[{before.job}] ")
    summary, _ = run_shown(checked, folder.path, display, resume=todo == "resume")
    write_outcome(replace(before, status="finished"))
    _say(
        before,
        f"{_figures(summary, objective)} after {summary.rounds} rounds in {summary.seconds or 0:.1f} s",
    )
    return _objective(summary, objective)


def _objective(summary: Summary, objective: str) -> float:
    """What the sweep compares; NaN if there is no such figure."""
    value = objective_of(summary, objective)
    return math.nan if value is None else value


def _figures(summary: Summary, objective: str) -> str:
    """What is compared, and what a test says of it."""
    own = [f"{model}_{summary.metric}" for model in ("test", "personal")]
    names = [compared_figure(summary, objective), *(n for n in own if n in summary.tested)]
    texts = number_texts([summary.figure(name) for name in names])
    return ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))


def _say(outcome: Outcome, what: str) -> None:
    print(f"job {outcome.job}: {what}", flush=True)


def _words(outcome: Outcome) -> str:
    return " ".join(f"{k}={v}" for k, v in settings_of(outcome.overrides).items())


def _one_line(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "no message")
    return first if isinstance(error, CalyxError) else f"{type(error).__name__}: {first}"
