"""How much of a served model can be stolen, and who is alarmed: `python -m benchmarks.stealing`.

Models are those of default runs; answers are written by the gateway's own code and policies, in process.
Four thieves train substitutes on up to 10,000 answers, with the detector and without; ordinary callers
say how often it is wrong, and PRADA beside it; and attackers tell who was trained on. The tables of
docs/serve.md come from it.
"""

import argparse
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from benchmarks.stealing import membership, table
from benchmarks.stealing.thieves import THIEVES, measure_agreement
from benchmarks.stealing.traffic import cut_requests, each_ordinary, watch
from benchmarks.stealing.victims import POLICIES, Victim, read_victim, train_victim
from calyx.serving import stealing

TASKS = ("heart", "digits", "vowel")
ASKED = (100, 1000, 10_000)
GUARDED = (POLICIES[1], POLICIES[3])
CALLERS = 10  # of each kind, and of each site where a kind is by site


def measure_thefts(victim: Victim, asked: Sequence[int]) -> Iterator[table.Theft]:
    """Agreements without a detector and without a budget."""
    for thief in THIEVES:
        rows = thief.draw(victim, max(asked))
        for policy in POLICIES:
            for count in asked:
                agreement = measure_agreement(victim, rows[:count], policy)
                yield table.Theft(victim.name, thief.name, policy.name, count, agreement)


def measure_guarded(victim: Victim, asked: int) -> Iterator[table.Guarded]:
    """The same with the detector, in requests of a hundred rows."""
    for thief in THIEVES:
        rows = thief.draw(victim, asked)
        seen = watch(victim, cut_requests(thief.name, rows))
        own = rows[: seen.answered]
        agreements = [measure_agreement(victim, own, p) if len(own) else None for p in GUARDED]
        yield table.Guarded(
            victim.name,
            thief.name,
            seen.slowed_after,
            seen.stopped_after,
            seen.answered,
            tuple(agreements),
            seen.prada_after,
        )


def measure_alarms(victim: Victim, callers: int) -> Iterator[table.Alarms]:
    """False alarms of the detector and of PRADA."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for traffic in each_ordinary(victim, callers):
        seen = watch(victim, traffic)
        alarms = (seen.slowed_after, seen.stopped_after, seen.prada_after)
        row = [1, *(after is not None for after in alarms)]
        counts[traffic.kind] = [a + b for a, b in zip(counts[traffic.kind], row, strict=True)]
    for kind, own in counts.items():
        yield table.Alarms(victim.name, kind, *own)


@contextmanager
def _without_alerts() -> Iterator[None]:
    """The detector says nothing meanwhile: its alerts are counted."""
    log = logging.getLogger(stealing.__name__)
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables as Markdown or all of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stealing", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--asked", nargs="+", type=int, default=ASKED, help="rows a thief asks")
    parser.add_argument(
        "--callers", type=int, default=CALLERS, help="ordinary callers of each kind"
    )
    parser.add_argument("--shadows", type=int, default=32, help="models that LiRA trains")
    parser.add_argument(
        "--data-dir", type=Path, help="folders heart and vowel, in place of downloads"
    )
    parser.add_argument(
        "--runs", nargs="*", type=Path, default=(), help="finished runs, for false alarms alone"
    )
    parser.add_argument("--with", dest="overrides", nargs="*", default=(), help="for the runs")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    thefts: list[table.Theft] = []
    guarded: list[table.Guarded] = []
    alarms: list[table.Alarms] = []
    told: list[table.Told] = []
    console = Console(stderr=True)
    with TemporaryDirectory() as folder, _without_alerts():
        for task in track(options.tasks, "stealing", console=console):
            own = options.data_dir / task if options.data_dir else None
            data = [f"task.data_dir={own.resolve()}"] if own and own.is_dir() else []
            victim = train_victim(task, Path(folder), (*data, *options.overrides))
            thefts += measure_thefts(victim, options.asked)
            guarded += measure_guarded(victim, max(options.asked))
            alarms += measure_alarms(victim, options.callers)
            attacks = membership.attack_all(victim, POLICIES, options.shadows)
            told += [table.Told(task, attack) for attack in attacks]
        for run in options.runs:
            alarms += measure_alarms(read_victim(run), options.callers)
    if options.json:
        everything: dict[str, list[Any]] = {
            "thefts": thefts,
            "guarded": guarded,
            "alarms": alarms,
            "membership": told,
        }
        text = json.dumps({name: [asdict(o) for o in of] for name, of in everything.items()})
    else:
        policies = [policy.name for policy in GUARDED]
        parts: tuple[Iterator[str], ...] = (
            table.thefts(thefts),
            table.guarded(guarded, policies),
            table.alarms(alarms),
            table.memberships(told),
        )
        text = "\n".join(line for part in parts for line in part)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
