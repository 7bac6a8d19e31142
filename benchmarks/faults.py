"""What is found of each fault of `task.faults`, and by whom: `python -m benchmarks.faults`.

Each client in turn gets each fault, drawn anew for each seed, and is asked what it finds: with the
client's checks of the schema alone; with `local_findings` besides; and with the reference of the
site's last version, here its sound rows drawn with replacement. The last way is the server's: what
the audit says of the sums of all sites, small cells hidden by each.

A site finds a fault where there is a warning about its column (or of its kind, for faults of whole
rows) which the sound rows do not give; the audit, where a finding is new, graver, or of more rows.
A fault is named where the site's finding also says what it is. Warnings about sound rows are
counted too.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table as Page

from calyx.composing.compose import compose, resolve
from calyx.data.faults import STRENGTHS, WHOLE_TABLE, Fault, Kind, draw_columns, inject
from calyx.data.schema import Table
from calyx.errors import DataError
from calyx.findings.figures import Sums, read_sums
from calyx.findings.finding import SEVERITIES
from calyx.findings.findings import find
from calyx.inspection.finding import LocalFinding
from calyx.inspection.labels import label_findings
from calyx.inspection.local import findings_in_columns, local_findings
from calyx.inspection.references import reference_of, version_findings
from calyx.inspection.repeats import repeat_findings
from calyx.seeding import rng
from calyx.survey.blocks import ALL, ITEMS, Survey
from calyx.survey.measuring import measure
from calyx.tasks.registry import load_task
from client.rows.checks import check_table

KINDS: tuple[Kind, ...] = (*STRENGTHS, "swapped")
WAYS = ("schema", "own rows", "last version", "audit")
NAMES: dict[Kind, tuple[str, ...]] = {  # of a finding that says what the fault is
    "missing": ("missing", "missing-more"),
    "outliers": ("outliers",),
    "labels": ("labels", "label-shift"),
    "duplicates": ("duplicates",),
    "unit": ("unit",),
    "swapped": ("swapped",),
}
HEART = Path("../shared/data/heart")
BINS, MIN_CELL = 16, 10  # of the audit and of a client's policy, by default
IMAGE = "image"  # all pixels are one variable of the audit
GRAVER = 10**9  # more than any count: a finding of the next severity

Key = tuple[str, str | None]
Warned = Mapping[Key, int]  # rows by check and column; of the audit, GRAVER for each severity too
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
    """A site's warnings about sound rows, by way and check, from so many tables."""

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
    """A client's sound rows, and the sums of all others' sound rows."""

    client: str
    survey: Survey
    sound: Table
    others: Sums
    clients: int  # of the task
    seed: int


def sites(task: str, data_dir: Path | None, seed: int) -> list[Site]:
    """All clients of a task with its default config."""
    made = load_task(resolve(compose([f"task={task}"]))["task"])
    survey = Survey(made.schema, BINS, (ALL,))
    tables = {client: made.load(client, data_dir, seed) for client in made.clients}
    counted = {client: measured(survey, table) for client, table in tables.items()}

    def others(client: str) -> Sums:
        return reduce(added, (sums for c, sums in counted.items() if c != client))

    return [Site(c, survey, table, others(c), len(tables), seed) for c, table in tables.items()]


def measured(survey: Survey, table: Table) -> Sums:
    """What a client with the default policy adds to the audit."""
    return measure(survey, {ALL: table}, MIN_CELL, ITEMS)


def added(first: Sums, second: Sums) -> Sums:
    """The sums of both."""
    return {name: cells + second[name] for name, cells in first.items()}


def warnings(site: Site, table: Table, kind: Kind | None) -> Warnings:
    """What each way warns of; those of the site include the ways before them.

    Of `local_findings` only the part that can tell a fault of this `kind` is asked, all for None:
    to look for wrong labels takes nine tenths of the time.
    """
    schema = site.survey.schema
    draw = rng(site.seed, "benchmark-version", 0, site.client)
    before = site.sound.take(np.sort(draw.integers(0, len(site.sound), len(site.sound))))
    checked: list[LocalFinding] = [*check_table(table, schema)]
    if kind in WHOLE_TABLE:
        found = label_findings(table, schema) if kind == "labels" else repeat_findings(table)
    else:
        found = iter((findings_in_columns if kind else local_findings)(table, schema))
    own = [*checked, *found]
    version = [*own, *version_findings(table, schema, reference_of(before, schema))]
    every = (*map(_keys, (checked, own, version)), _audited(site, table))
    return dict(zip(WAYS, every, strict=True))


def _audited(site: Site, table: Table) -> Warned:
    """What the audit says of the sums over all clients; `table` are the site's rows."""
    sums = added(measured(site.survey, table), site.others)
    findings = find(read_sums(sums, site.survey, site.clients), site.survey.schema)
    weights = {severity: i * GRAVER for i, severity in enumerate(reversed(SEVERITIES))}
    return {(f.check, f.column): weights[f.severity] + (f.count or 1) for f in findings}


def _keys(findings: Iterable[LocalFinding]) -> Warned:
    counts: dict[Key, int] = {}
    for finding in findings:
        if finding.severity == "warning":
            key = (finding.check, finding.column)
            counts[key] = max(counts.get(key, 0), finding.count)
    return counts


def is_found(fault: Fault, sound: Warned, faulty: Warned, *, named: bool = False) -> bool:
    """Whether a warning that fits the fault is new, graver, or of more rows than before."""
    names = NAMES[fault.kind]
    columns = (fault.column, fault.other, IMAGE) if fault.column else (None,)
    return any(
        count > sound.get((check, column), 0)
        for (check, column), count in faulty.items()
        if column in columns and (check in names or (fault.column is not None and not named))
    )


def ways_that_find(site: Site, kind: Kind, strength: float | None, sound: Warnings) -> set[str]:
    """The ways that find such a fault in the site's rows, and "named". Raises DataError."""
    fault = Fault(client=site.client, kind=kind, strength=strength)
    schema = site.survey.schema
    fault = draw_columns(site.sound, schema, fault, site.seed)
    faulty = warnings(site, inject(site.sound, schema, fault, site.seed), kind)
    found = {way for way in WAYS if is_found(fault, sound[way], faulty[way])}
    own = WAYS[1]
    return found | ({"named"} if is_found(fault, sound[own], faulty[own], named=True) else set())


@dataclass(frozen=True)
class Job:
    """One draw of all faults at all clients of a task."""

    task: str
    data_dir: Path | None
    seed: int
    scales: tuple[float, ...]  # times the usual share of rows


def run(job: Job) -> list[Outcome]:
    """All clients with all faults."""
    found = []
    for site in sites(job.task, job.data_dir, job.seed):
        sound = warnings(site, site.sound, None)
        found.append(Outcome(job.task, None, None, sound, frozenset()))
        for kind, strength in cases(job.scales):
            try:
                ways = ways_that_find(site, kind, strength, sound)
            except DataError:
                continue  # nothing to change at this site
            found.append(Outcome(job.task, kind, strength, sound, frozenset(ways)))
    return found


def cases(scales: Sequence[float]) -> list[tuple[Kind, float | None]]:
    """Each kind at each strength; a factor is none of rows, and no pair is swapped by half."""
    found: list[tuple[Kind, float | None]] = []
    for kind in KINDS:
        usual = STRENGTHS.get(kind)
        if usual is None or kind == "unit":
            found.append((kind, usual))
        else:
            found += [(kind, min(1.0, usual * scale)) for scale in scales]
    return found


def summarise(outcomes: Sequence[Outcome]) -> tuple[list[Found], list[Quiet]]:
    """Counts over sites and seeds."""
    found, quiet = [], []
    for task in dict.fromkeys(o.task for o in outcomes):
        mine = [o for o in outcomes if o.task == task]
        for kind, strength in dict.fromkeys((o.kind, o.strength) for o in mine):
            if kind is None:
                continue
            of = [o.found for o in mine if (o.kind, o.strength) == (kind, strength)]
            counts = {way: sum(way in ways for ways in of) for way in (*WAYS, "named")}
            named = counts.pop("named")
            found.append(Found(task, kind, strength, len(of), counts, named))
        clean = [o.sound for o in mine if o.kind is None]
        told = {
            way: dict(Counter(check for sound in clean for check, _ in sound[way]))
            for way in WAYS[:-1]
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
    second = Page("task", "tables", *WAYS[:-1], title="Warnings about sound rows")
    for q in quiet:
        told = (", ".join(f"{n} {check}" for check, n in w.items()) for w in q.warnings.values())
        second.add_row(q.task, str(q.tables), *(text or "none" for text in told))
    return [first, second]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--json` prints the figures alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--scale", type=float, nargs="+", default=[1.0], help="times the usual share of rows"
    )
    parser.add_argument("--heart", type=Path, default=HEART, help="folder with heart's data")
    parser.add_argument("--tasks", nargs="+", default=["heart", "digits"])
    parser.add_argument("--workers", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    folders, scales = {"heart": options.heart}, tuple(options.scale)
    jobs = [
        Job(task, folders.get(task), seed, scales)
        for task in options.tasks
        for seed in range(1, options.seeds + 1)
    ]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for found_by_all in track(pool.map(run, jobs), "faults", len(jobs), console=console):
            outcomes += found_by_all
    found, quiet = summarise(outcomes)
    if options.json:
        figures = {"found": [asdict(f) for f in found], "sound": [asdict(q) for q in quiet]}
        Console().print_json(json.dumps(figures))
    else:
        console.print(*pages(found, quiet))


if __name__ == "__main__":
    main()
