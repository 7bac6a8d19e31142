"""What a site finds in its own rows of each fault of `task.faults`: `python -m benchmarks.faults`.

Each client in turn gets each fault, drawn anew for each seed, and is asked what it finds: with the
client's checks of the schema alone; with `local_findings` besides; with the quantiles that an audit
of all sites would add; and with the quantiles of the site's last version, here its sound rows
drawn with replacement. A fault is found where there is a warning about its column (or of its
kind, for faults of whole rows) which the sound rows do not give. It is named where the finding
also says what it is. Warnings about sound rows are counted too.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table as Page

from calyx.composing import compose, resolved
from calyx.errors import DataError
from calyx.faults import STRENGTHS, Fault, Kind, drawn, inject
from calyx.registry import load_task
from calyx.seeding import rng
from calyx.statistics.local import known_findings, local_findings
from calyx.statistics.local_finding import LocalFinding
from calyx.statistics.references import reference_of
from calyx.tasks.base import Schema, Table
from client.checks import Finding, check_table

KINDS: tuple[Kind, ...] = (*STRENGTHS, "swapped")
WAYS = ("schema", "own rows", "federated", "last version")
NAMES: dict[Kind, tuple[str, ...]] = {  # of a finding that says what the fault is
    "missing": ("missing", "missing-more"),
    "outliers": ("outliers",),
    "labels": ("labels",),
    "duplicates": ("duplicates",),
    "unit": ("unit",),
    "swapped": ("swapped",),
}
HEART = Path("../shared/data/heart")

Key = tuple[str, str | None]
Warned = Mapping[Key, int]  # rows by check and column
Warnings = Mapping[str, Warned]  # by way


@dataclass(frozen=True)
class Found:
    """Of `cases` of a fault, how many each way finds, and how many the site names by its own rows."""

    task: str
    kind: Kind
    strength: float | None
    cases: int
    found: dict[str, int]
    named: int


@dataclass(frozen=True)
class Quiet:
    """Warnings about sound rows, by way and check, from so many tables."""

    task: str
    tables: int
    warnings: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Outcome:
    """One fault at one site; `kind` None: none."""

    task: str
    kind: Kind | None
    strength: float | None
    sound: Warnings
    found: frozenset[str]


@dataclass(frozen=True)
class Site:
    """A client's sound rows among those of all others."""

    client: str
    schema: Schema
    sound: Table
    others: Sequence[Table]
    seed: int


def sites(task: str, data_dir: Path | None, seed: int) -> list[Site]:
    """All clients of a task with its default config."""
    made = load_task(resolved(compose([f"task={task}"]))["task"])
    tables = {client: made.load(client, data_dir, seed) for client in made.clients}
    return [
        Site(client, made.schema, table, [t for c, t in tables.items() if c != client], seed)
        for client, table in tables.items()
    ]


def warnings(site: Site, table: Table) -> Warnings:
    """What each way warns of; a way includes those before it, but the last is not on the third."""
    schema = site.schema
    pool = Table(
        np.concatenate([table.x, *(other.x for other in site.others)]),
        np.concatenate([table.y, *(other.y for other in site.others)]),
    )
    draw = rng(site.seed, "benchmark-version", 0, site.client)
    before = site.sound.take(np.sort(draw.integers(0, len(site.sound), len(site.sound))))
    checked: list[Finding | LocalFinding] = [*check_table(table, schema)]
    own = [*checked, *local_findings(table, schema)]
    federated = known_findings(table, schema, reference_of(pool, schema), None)
    version = known_findings(table, schema, None, reference_of(before, schema))
    every = (checked, own, [*own, *federated], [*own, *version])
    return {way: _keys(found) for way, found in zip(WAYS, every, strict=True)}


def _keys(findings: Iterable[Finding | LocalFinding]) -> Warned:
    counts: dict[Key, int] = {}
    for finding in findings:
        if finding.severity == "warning":
            key = (finding.check, finding.column)
            counts[key] = max(counts.get(key, 0), finding.count)
    return counts


def is_found(fault: Fault, sound: Warned, faulty: Warned, *, named: bool = False) -> bool:
    """Whether a warning that fits the fault is new, or of more rows than before."""
    names = NAMES[fault.kind]
    columns = (fault.column, fault.other) if fault.column else (None,)
    return any(
        count > sound.get((check, column), 0)
        for (check, column), count in faulty.items()
        if column in columns and (check in names or (fault.column is not None and not named))
    )


def ways_that_find(site: Site, kind: Kind, strength: float | None, sound: Warnings) -> set[str]:
    """The ways that find such a fault in the site's rows, and "named". Raises DataError."""
    fault = Fault(client=site.client, kind=kind, strength=strength)
    fault = drawn(site.sound, site.schema, fault, site.seed)
    faulty = warnings(site, inject(site.sound, site.schema, fault, site.seed))
    found = {way for way in WAYS if is_found(fault, sound[way], faulty[way])}
    own = WAYS[1]
    return found | ({"named"} if is_found(fault, sound[own], faulty[own], named=True) else set())


def run(task: str, data_dir: Path | None, seed: int, scale: float) -> Iterator[Outcome]:
    """All clients with all faults; `scale` times the usual share of rows."""
    for site in sites(task, data_dir, seed):
        sound = warnings(site, site.sound)
        yield Outcome(task, None, None, sound, frozenset())
        for kind in KINDS:
            usual = STRENGTHS.get(kind)
            strength = usual if usual is None or kind == "unit" else min(1.0, usual * scale)
            try:
                found = ways_that_find(site, kind, strength, sound)
            except DataError:
                continue  # nothing to change at this site
            yield Outcome(task, kind, strength, sound, frozenset(found))


def summarise(outcomes: Sequence[Outcome]) -> tuple[list[Found], list[Quiet]]:
    """Counts over sites and seeds."""
    found, quiet = [], []
    for task in dict.fromkeys(o.task for o in outcomes):
        for kind in KINDS:
            cases = [o for o in outcomes if (o.task, o.kind) == (task, kind)]
            if cases:
                counts = {way: sum(way in o.found for o in cases) for way in (*WAYS, "named")}
                named = counts.pop("named")
                found.append(Found(task, kind, cases[0].strength, len(cases), counts, named))
        clean = [o.sound for o in outcomes if (o.task, o.kind) == (task, None)]
        told = {
            way: dict(Counter(check for sound in clean for check, _ in sound[way])) for way in WAYS
        }
        quiet.append(Quiet(task, len(clean), told))
    return found, quiet


def pages(found: Sequence[Found], quiet: Sequence[Quiet]) -> list[Page]:
    """What a person reads."""
    first = Page("task", "fault", "strength", "cases", *WAYS, "named", title="Faults found")
    for f in found:
        shares = (f"{count / f.cases:.0%}" for count in (*f.found.values(), f.named))
        strength = "–" if f.strength is None else f"{f.strength:g}"
        first.add_row(f.task, f.kind, strength, str(f.cases), *shares)
    second = Page("task", "tables", *WAYS, title="Warnings about sound rows")
    for q in quiet:
        told = (", ".join(f"{n} {check}" for check, n in q.warnings[way].items()) for way in WAYS)
        second.add_row(q.task, str(q.tables), *(text or "none" for text in told))
    return [first, second]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--json` prints the figures alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual share of rows")
    parser.add_argument("--heart", type=Path, default=HEART, help="folder with heart's data")
    parser.add_argument("--tasks", nargs="+", default=["heart", "digits"])
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    folders = {"heart": options.heart}
    outcomes: list[Outcome] = []
    for task in options.tasks:
        for seed in track(range(1, options.seeds + 1), f"faults in {task}", console=console):
            outcomes += run(task, folders.get(task), seed, options.scale)
    found, quiet = summarise(outcomes)
    if options.json:
        figures = {"found": [asdict(f) for f in found], "sound": [asdict(q) for q in quiet]}
        Console().print_json(json.dumps(figures))
    else:
        console.print(*pages(found, quiet))


if __name__ == "__main__":
    main()
