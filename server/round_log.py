"""A run's rounds on disk, written beside the rounds that follow: a state first, and then what is told of it.

A round is told (its line in `rounds.jsonl`, on the screen, to who listens) once a checkpoint that holds its
row is durable, so that a crash loses nothing that was told. One thread writes, one state at a time; what
has come meanwhile goes with the next one, whose checkpoint holds the rows of all rounds that were
not told yet. See docs/decisions/0075.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from threading import Lock, Thread
from types import TracebackType

from calyx.files.plain import append_lines, sync_lines
from calyx.machine.spans import span
from calyx.run.folder import RunFolder
from calyx.run.json_rows import as_json
from calyx.run.rows import RoundRow
from server.checkpoints import RunState, save

PROMPT_S = 1.0  # a round that took longer is written and told before the next one begins
REST = 9  # times as long as it has written (at most PROMPT_S), the disk is left to others
MOST_BEHIND = 12  # rounds that no checkpoint holds; of its own a client keeps more (`Store.KEPT`)

_is_at_once: ContextVar[bool] = ContextVar("is_at_once", default=False)
_AT_WORK = Lock()
# A process that is forked has no thread but the one that forked it: what another had locked stays so.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_AT_WORK.acquire, after_in_parent=_AT_WORK.release, after_in_child=_AT_WORK.release
    )


@contextmanager
def tell_at_once() -> Iterator[None]:
    """Inside, each round is written and told before the next begins: for who may end a run by one."""
    token = _is_at_once.set(True)
    try:
        yield
    finally:
        _is_at_once.reset(token)


class RoundLog:
    """What a run's rounds leave on disk. Use as a context manager: inside, rounds are written beside.

    Leaving it, whatever happened, waits until all is durable and told. Errors of writing are raised
    by the next call, as `save` raises them.
    """

    def __init__(self, folder: RunFolder, keep: int, tell: Callable[[RoundRow], None]) -> None:
        """`keep` checkpoints stay; `tell` is called once a round, in this thread, and may raise."""
        self._folder, self._keep, self._tell = folder, keep, tell
        self._untold: list[RoundRow] = []
        self._newest: RunState | None = None  # not handed to the thread yet
        self._thread: Thread | None = None
        self._durable = 0  # the last round whose row a checkpoint holds, and rounds.jsonl
        self._saved = 0  # the round of the last checkpoint
        self._error: BaseException | None = None
        self._kept_at, self._rests_until = time.monotonic(), 0.0
        rows = folder.read_rounds()
        self.last = rows[-1] if rows else None  # the last round that is done
        self.trained = set[str]()  # who took part in a training so far
        for row in rows:
            self._note(row)
            self._saved = row.round

    def __enter__(self) -> "RoundLog":
        """The log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all is durable. Raises OSError."""
        self.drain()

    def add(self, row: RoundRow) -> None:
        """A round is done; it is told when a state that comes after it is durable."""
        self._note(row)
        self._untold.append(row)

    def keep(self, state: RunState) -> None:
        """Have a checkpoint of `state` written, which holds the rounds so far. Raises OSError."""
        self._newest = replace(state, untold=tuple(self._untold))
        now = time.monotonic()
        took, self._kept_at = now - self._kept_at, now
        is_free, behind = self._collect(), state.round - self._saved
        if took > PROMPT_S or behind >= MOST_BEHIND or _is_at_once.get():
            self.drain()
        elif is_free and (now >= self._rests_until or 2 * behind >= MOST_BEHIND):
            # Ctrl-C may come between any two of these: then the same state is written twice.
            thread = Thread(target=self._write, args=(self._newest,), name="checkpoint")
            thread.start()
            self._thread, self._newest = thread, None

    def drain(self) -> None:
        """Return when all that was kept is durable and told. Raises OSError."""
        if self._thread is not None:
            self._thread.join()
        self._collect()
        if self._newest is not None:
            self._write(self._newest)
            self._newest = None
            self._collect()

    def _note(self, row: RoundRow) -> None:
        self.last = row
        self.trained.update(name for name in row.cohort if name not in row.dropped)

    def _collect(self) -> bool:
        """Tell what is durable by now; whether nothing is being written."""
        if self._thread is not None:
            if self._thread.is_alive():
                return False
            self._thread = None
        if self._error is not None:
            error, self._error, self._newest = self._error, None, None
            raise error
        while self._untold and self._untold[0].round <= self._durable:
            self._tell(self._untold.pop(0))
        return True

    def _write(self, state: RunState) -> None:
        started = time.monotonic()
        try:
            with _AT_WORK, span("write"):
                save(self._folder.checkpoints, state, self._keep)
                self._saved = state.round
                sync_lines(self._folder.events)
                rows = [row for row in state.untold if row.round > self._durable]
                if rows:
                    append_lines(self._folder.rounds, map(as_json, rows))
                    self._durable = rows[-1].round
        except BaseException as error:  # noqa: BLE001 - raised where the rounds are run
            self._error = error
        ended = time.monotonic()
        self._rests_until = ended + min(PROMPT_S, REST * (ended - started))


def restore(folder: RunFolder, state: RunState) -> RunState:
    """Make rounds.jsonl what it was after the rounds of a checkpoint, which a crash may have forestalled.

    Rows of later rounds are dropped, and those written that only the checkpoint holds. Raises UserError.
    """
    folder.truncate(folder.rounds, RoundRow, lambda row: row.round <= state.rows)
    told = len(folder.read_rounds())
    rows = [row for row in state.untold if row.round > told]
    if rows:
        append_lines(folder.rounds, map(as_json, rows))
    return replace(state, untold=())
