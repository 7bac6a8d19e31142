"""How fast Calyx simulates, beside a plain PyTorch loop and other simulators: `python -m benchmarks.engine`.

Five thousand images of MNIST, dealt once and given to all; docs/speed.md says what is measured and how.
Without `--peers` it installs nothing and ends in five minutes.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.engine import figures, machine, table
from benchmarks.engine.dealing import SETTINGS, deal_workload
from benchmarks.engine.environments import peer_programs
from benchmarks.engine.measurement import Run, own_programs, repeat
from benchmarks.engine.workload import Setting

MINUTES_OF_ALL = 5.0
MINUTES_OF_FIGURES = 1.5
MINUTES_WITH_PEERS = 30.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _parser().parse_args(arguments)
    summary = json.loads(options.source.read_text()) if options.source else _measure(options)
    if options.out:
        options.out.write_text(f"{json.dumps(summary, indent=1)}\n")
    if options.page:
        table.write_into(options.page, table.to_markdown(summary))
    if options.json:
        json.dump(summary, sys.stdout)
        return
    for shown in table.print_tables(summary):
        Console().print(shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--settings", type=_settings, default=SETTINGS, help="S100-mlp,S100-cnn,…")
    parser.add_argument(
        "--only", default="", help="programs whose name has this, and the plain loop"
    )
    parser.add_argument("--peers", type=Path, help="a folder for other simulators, to run them too")
    parser.add_argument("--repeats", type=int, default=3, help="of everything, if the time allows")
    parser.add_argument("--minutes", type=float, help="no repetition begins that would end later")
    parser.add_argument("--short", action="store_true", help="a few clients and rounds, for tests")
    parser.add_argument("--out", type=Path, help="a file to keep the JSON in")
    parser.add_argument("--from", dest="source", type=Path, help="print what such a file holds")
    parser.add_argument("--write", dest="page", type=Path, help="put the tables into docs/speed.md")
    return parser


def _settings(text: str) -> tuple[Setting, ...]:
    known = {setting.label: setting for setting in SETTINGS}
    try:
        return tuple(known[label] for label in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(
            f"no setting {error}; there are {', '.join(known)}"
        ) from None


def _measure(options: argparse.Namespace) -> dict[str, object]:
    settings = options.settings
    if options.short:
        settings = [replace(s, num_clients=10, cohort_size=5, rounds=3) for s in settings]
    programs = own_programs() + (peer_programs(options.peers.absolute()) if options.peers else [])
    chosen = [p for p in programs[1:] if options.only in p.name]
    allowed = MINUTES_WITH_PEERS if options.peers else MINUTES_OF_ALL - MINUTES_OF_FIGURES
    minutes = options.minutes or allowed
    with tempfile.TemporaryDirectory() as folder:
        works = [deal_workload(setting) for setting in settings]
        runs = []
        for run in repeat(
            works, [programs[0], *chosen], Path(folder), options.repeats, minutes * 60
        ):
            _say(run)
            runs.append(run)
        found = figures.measure(Path(folder), is_short=options.short)
    return table.summarise(runs, found, machine.describe())


def _say(run: Run) -> None:
    said = run.note or f"{1e3 * (run.median_s or 0.0):.1f} ms a round"
    Console(stderr=True).print(f"{run.repetition} {run.setting}, {run.program}: {said}")


if __name__ == "__main__":
    main()
