"""Sixteen tables of other people's, with no key but the data: `python -m benchmarks.tables`.

`--make DIR` writes them there, a folder each, as their owners have them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables.makers import MAKERS
from benchmarks.tables.sources import SourceError


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--make", type=Path, metavar="DIR", help="a new folder")
    parser.add_argument("--only", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    options = parser.parse_args(arguments)
    try:
        for name in options.only:
            MAKERS[name]().write(options.make / name)
    except SourceError as error:
        raise SystemExit(str(error)) from None
    sys.stdout.write(f"{len(options.only)} tables are in {options.make}\n")


if __name__ == "__main__":
    main()
