"""When a site reads its rows anew: for every new run, and whenever a file of its folder has changed.

A file that changes while it is read is read again: what came of it may be half of two versions.

Its process lives for months, and keeps in memory what it has read. In simulation a process serves
one run, and goes on with the rows that it began with.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calyx.config.section import digest
from calyx.run.folds import own_run
from calyx.run.order import Order
from calyx.wire.messages import FailureCode
from client.config import Site
from client.failures import ClientFailure
from client.rows.data import Rows, forget, read_rows

READINGS = 3  # of files that change meanwhile
State = tuple[str, int, int, int, int]  # of a file: its path, inode, bytes, and two times


@dataclass
class _Seen:
    """What this process has read its rows of: which files, and for which runs."""

    files: tuple[State, ...]
    runs: set[str]


_seen = _Seen((), set())


def read_settled(site: Site, order: Order) -> Rows:
    """The site's rows for an order, read while no file changed, or where that made no difference.

    Raises ClientFailure: as `read_rows` does, and with ROWS_CHANGED where files keep changing.
    """
    before = ""
    for _ in range(READINGS):
        _look_again(site, order.run)
        result: Rows | ClientFailure
        try:
            result = read_rows(order.terms, site.name, site.data_dir)
        except ClientFailure as failure:
            result = failure
        version = result.version if isinstance(result, Rows) else ""
        is_still = not site.is_deployed or tuple(_files(site)) == _seen.files
        if is_still and isinstance(result, ClientFailure):
            read = [order.terms.task, order.terms.seed, [list(state) for state in _seen.files]]
            result.cause = digest([result.code, *read])
            raise result
        if isinstance(result, Rows) and (is_still or version == before):
            return result
        before = version
    forget()
    raise ClientFailure(
        FailureCode.ROWS_CHANGED,
        f"A file below {site.data_dir} changed each of {READINGS} times that the rows were read. Write a "
        "new file elsewhere, and move it there when it is whole.",
    )


def _look_again(site: Site, run: str) -> None:
    """Forget the rows in memory where the run is a new one, or a file below the folder has changed."""
    if not site.is_deployed:
        return
    files, own = tuple(_files(site)), own_run(run)
    if files != _seen.files:
        _seen.runs.clear()
    if own not in _seen.runs:
        forget()
    _seen.files = files
    _seen.runs.add(own)


def _files(site: Site) -> Iterator[State]:
    """Every file below the site's folder of data, in one order; links are followed, each folder once.

    The site's own state, which may lie there as well, is no data.
    """
    waiting = [] if site.data_dir is None else [site.data_dir]
    own = None if site.state_dir is None else site.state_dir.resolve()
    known: set[Path] = set()
    while waiting:
        path = waiting.pop()
        try:
            stat, real = path.stat(), path.resolve()
            if not path.is_dir():
                times = stat.st_mtime_ns, stat.st_ctime_ns
                yield str(path), stat.st_ino, stat.st_size, *times
            elif real not in known and real != own:
                known.add(real)
                waiting += [path / name for name in sorted(os.listdir(path))]
        except OSError:
            continue  # gone, or not ours to read: reading the rows says so
