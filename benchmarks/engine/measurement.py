"""Repetitions that take turns, so that a noisy machine is noisy for all; and what they come to.

A figure counts only where the model is as good as the plain loop's: who trains less is no faster.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import loop, ours
from benchmarks.engine.programs import Failed, start
from benchmarks.engine.workload import Outcome, Workload, accuracy, read_outcome

SEQ = "plain loop"
TOLERANCE = (
    0.03  # of accuracy: three standard errors of a thousand test rows, of which all have the same
)
WARM_UP = 0.25  # of the rounds, which are left out of the figures


@dataclass(frozen=True)
class Program:
    """Something that trains a workload: its name in the table, and how it is run."""

    name: str
    run: Callable[[Workload, Path], Outcome]  # in a folder of its own; raises Failed
    of_models: tuple[str, ...] = ("mlp", "cnn")
    most_rounds: int | None = (
        None  # of one that takes too long; compared with as many of the loop's
    )


@dataclass(frozen=True)
class Run:
    """A program on a setting, once: figures, or a note of why there are none."""

    setting: str
    program: str
    repetition: int
    median_s: float | None = None  # of the rounds after the warm-up
    best_s: float | None = None
    accuracy: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Cell:
    """A program on a setting, over all repetitions."""

    median_s: float | None  # of the repetitions' medians
    best_s: float | None  # round of all
    over_seq: float | None  # median of the ratios of medians, each of one repetition
    note: str | None


def own_programs() -> list[Program]:
    """The plain loop, and Calyx in each of its modes."""
    return [
        Program(SEQ, _run_loop),
        *(Program(f"Calyx, {mode.name}", _runner_of(mode), mode.of_models) for mode in ours.MODES),
    ]


def _run_loop(work: Workload, folder: Path) -> Outcome:
    source, target = folder / "work.npz", folder / "outcome.npz"
    work.save(source)
    command = [sys.executable, "-m", "benchmarks.engine.loop", str(source), str(target)]
    start(command, os.environ, ours.LIMIT_S)
    return read_outcome(target)


def _runner_of(mode: ours.Mode) -> Callable[[Workload, Path], Outcome]:
    return lambda work, folder: ours.run(work.setting, mode, folder)


def repeat(
    works: Sequence[Workload],
    programs: Sequence[Program],
    folder: Path,
    repeats: int,
    limit_s: float,
) -> Iterator[Run]:
    """Each program on each workload, in turn, so often as asked for and as the time allows.

    The first of `programs` is what the others are compared with. A further repetition is not begun where
    it would not end within `limit_s` seconds of all; a program that failed is not run again.
    """
    begun, longest = time.monotonic(), 0.0
    failed: set[tuple[str, str]] = set()
    for number in range(1, repeats + 1):
        started = time.monotonic()
        if number > 1 and started - begun + longest > limit_s:
            return
        for work in works:
            wanted = None
            for program in programs:
                what = (work.setting.label, program.name)
                if work.setting.model not in program.of_models or what in failed:
                    continue
                one = _run_once(work, program, _fresh(folder, number, what), number, wanted)
                wanted = one.accuracy if wanted is None else wanted
                if one.note is not None:
                    failed.add(what)
                yield one
        longest = max(longest, time.monotonic() - started)


def _fresh(folder: Path, number: int, what: tuple[str, str]) -> Path:
    where = folder / f"{number}-{'-'.join(what)}".replace(" ", "_").replace(",", "")
    where.mkdir(parents=True)
    return where


def _run_once(
    work: Workload, program: Program, folder: Path, number: int, wanted: float | None
) -> Run:
    """One run; `wanted` is the plain loop's accuracy, None where this is the plain loop."""
    of_run = (work.setting.label, program.name, number)
    if program.most_rounds is not None:
        work = work.first(program.most_rounds)
        wanted = accuracy(work, loop.run(work).weights)
    try:
        outcome = program.run(work, folder)
    except Failed as error:
        return Run(*of_run, note=str(error))
    reached = accuracy(work, outcome.weights)
    if wanted is not None and abs(reached - wanted) > TOLERANCE:
        note = f"its accuracy is {reached:.3f}, and the plain loop's {wanted:.3f}"
        return Run(*of_run, accuracy=reached, note=note)
    warm = outcome.seconds[int(len(outcome.seconds) * WARM_UP) :]
    return Run(*of_run, statistics.median(warm), min(warm), reached)


def cell_of(runs: Sequence[Run], setting: str, program: str) -> Cell | None:
    """A program's figures on a setting; None where it was not run on it."""
    its = [r for r in runs if (r.setting, r.program) == (setting, program)]
    if not its:
        return None
    note = next((r.note for r in its if r.note is not None), None)
    if note is not None:
        return Cell(None, None, None, note)
    return Cell(
        median_s=statistics.median(r.median_s for r in its if r.median_s is not None),
        best_s=min(r.best_s for r in its if r.best_s is not None),
        over_seq=ratio(runs, setting, program, SEQ),
        note=None,
    )


def ratio(runs: Sequence[Run], setting: str, program: str, other: str) -> float | None:
    """How many times as long a round of one takes as one of another: the median over repetitions.

    None where one of them has no figures that count.
    """
    of_both = [
        {r.repetition: r.median_s for r in runs if (r.setting, r.program) == (setting, name)}
        for name in (program, other)
    ]
    found = [
        above / below
        for number, above in of_both[0].items()
        if above is not None and (below := of_both[1].get(number)) is not None
    ]
    is_whole = all(None not in medians.values() for medians in of_both)
    return statistics.median(found) if found and is_whole else None
