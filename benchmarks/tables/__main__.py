"""Tables of other people's, with no key but the data: `python -m benchmarks.tables`.

Each of sixteen tables is written as its owners have it (`--make DIR` does that and no more), drafted
(`calyx audit --draft-schema`), simulated (`calyx simulate task=csv`), and given to scikit-learn, row
by row the same. It prints Markdown; what came out is kept in `--out FILE`, beside what it holds of
other tables, and `--from FILE` prints it again. See docs/decisions/0053.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.tables import page
from benchmarks.tables.makers import MAKERS
from benchmarks.tables.running import Outcome, compare, outcome_of
from benchmarks.tables.sources import SourceError

SHORT = ("wine", "diabetes")  # of scikit-learn's own
SHORT_ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the tables, or compare."""
    options = _parser().parse_args(arguments)
    names = options.only or (SHORT if options.short else list(MAKERS))
    try:
        if options.make is not None:
            tables = [MAKERS[name]() for name in names]
            for table in tables:
                table.write(options.make / table.name)
            sys.stdout.write(f"{page.described(tables)}\n")
            return
        outcomes = _read(options.read) if options.read else _compared(options, names)
    except SourceError as error:
        raise SystemExit(str(error)) from None
    sys.stdout.write(f"{page.table(outcomes)}\n")


def _compared(options: argparse.Namespace, names: Sequence[str]) -> list[Outcome]:
    words = [*options.overrides, *([f"rounds={SHORT_ROUNDS}"] if options.short else [])]
    found: list[Outcome] = []
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(TemporaryDirectory()))
        for name in names:
            found += compare(MAKERS[name](), options.seeds, work, words)
            if options.out is not None:
                _keep(options.out, found)
            sys.stderr.write(f"{page.table(found[-1:]).splitlines()[2]}\n")
    return found


def _read(path: Path) -> list[Outcome]:
    return [outcome_of(values) for values in json.loads(path.read_text())]


def _keep(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes in the order of the tables, with what the file holds of others."""
    of_all = {(one.table, one.seed): one for one in (_read(path) if path.exists() else [])}
    new = {one.table for one in outcomes}
    of_all = {key: one for key, one in of_all.items() if one.table not in new}
    of_all |= {(one.table, one.seed): one for one in outcomes}
    places = list(MAKERS)
    ordered = sorted(of_all.values(), key=lambda one: (places.index(one.table), one.seed))
    path.write_text(
        json.dumps([asdict(one) for one in ordered], indent=1, ensure_ascii=False) + "\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--make", type=Path, metavar="DIR", help="write the tables there")
    parser.add_argument(
        "--only", nargs="+", choices=list(MAKERS), metavar="NAME", help="these tables"
    )
    parser.add_argument("--short", action="store_true", help="two tables of few rows, three rounds")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keep rows, schemas and runs there"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep what came out, as JSON")
    parser.add_argument(
        "--from", dest="read", type=Path, metavar="FILE", help="print what was kept"
    )
    parser.add_argument(
        "--with", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help="of every run"
    )
    return parser


if __name__ == "__main__":
    main()
