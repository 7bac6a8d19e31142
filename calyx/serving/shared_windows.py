"""Counts that all replicas of a gateway share, and that outlive a restart: a storage for `limits`, in SQLite.

`limits` has storages for servers of their own (Redis and others) and one in a process's memory; a gateway
of two processes on one machine needs something between. A count is one short transaction. It is not
synced: a kill loses nothing, a loss of power the last moments. Decision 0089.
"""

import contextlib
import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from limits.storage.base import SlidingWindowCounterSupport, Storage, TimestampedSlidingWindow
from typing_extensions import override

from calyx.errors import UserError
from calyx.files.outputs import show_path
from calyx.files.plain import write_synced
from calyx.trust.key_files import PRIVATE_MODE

_BUSY_S = 2.0  # that a replica waits for another's transaction
_EVERY = 1000  # counts, after which those of windows that are over are deleted
_TABLE = "CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER, expires REAL) WITHOUT ROWID"
_ADD = (
    "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "count = CASE WHEN expires > ? THEN count + excluded.count ELSE excluded.count END, "
    "expires = excluded.expires RETURNING count"
)


class SharedWindows(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Counts of sliding windows in one file. Methods raise sqlite3.Error where it fails, as on a full disk.

    A process that is forked opens the file for itself, at its first count.
    """

    STORAGE_SCHEME = None

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Make the file, readable by its owner only, or look at it. Raises UserError."""
        super().__init__()
        self._path, self._now = path, now
        self._connection: sqlite3.Connection | None = None
        self._counted = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # of before, or another replica's
                write_synced(path, b"", PRIVATE_MODE, is_secret=True)
            self._prepare()
            self.get("")
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UserError(
                f"The budgets in {show_path(path)} cannot be read: {reason}; move the file away to begin "
                "with fresh ones, or choose another serve.state_dir, on a disk of this machine."
            ) from None
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; the next count opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA synchronous = OFF")
        return self._connection

    def _prepare(self) -> None:
        """Make the table, in a file that readers and a writer use at a time.

        Another replica that does so just now makes SQLite refuse at once, in place of waiting.
        """
        end = time.monotonic() + _BUSY_S
        while True:
            try:
                self._connect().execute("PRAGMA journal_mode = WAL")
                self._connect().execute(_TABLE)
                return
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

    @override
    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = self._now()
        found = self._connect().execute(_ADD, (key, amount, now + expiry, now)).fetchone()
        self._counted += 1
        if self._counted % _EVERY == 0:
            self._connect().execute("DELETE FROM counts WHERE expires <= ?", (now,))
        return int(found[0])

    @override
    def get(self, key: str) -> int:
        query = "SELECT count FROM counts WHERE key = ? AND expires > ?"
        found = self._connect().execute(query, (key, self._now())).fetchone()
        return 0 if found is None else int(found[0])

    @override
    def get_expiry(self, key: str) -> float:
        found = self._connect().execute("SELECT expires FROM counts WHERE key = ?", (key,))
        return next((float(row[0]) for row in found), self._now())

    @override
    def check(self) -> bool:
        return self.get("") == 0

    @override
    def reset(self) -> int | None:
        return self._connect().execute("DELETE FROM counts").rowcount

    @override
    def clear(self, key: str) -> None:
        self._connect().execute("DELETE FROM counts WHERE key = ?", (key,))

    @override
    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count `amount` if it is within the limit; another replica's count cannot come between."""
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            before, left_s, current, _ = self.get_sliding_window(key, expiry)
            fits = math.floor(before * left_s / expiry) + current + amount <= limit
            if fits:
                _, own = self.sliding_window_keys(key, expiry, self._now())
                self.incr(own, 2 * expiry, amount)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return fits

    @override
    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        now = self._now()
        previous, own = self.sliding_window_keys(key, expiry, now)
        left_s = expiry - now % expiry
        return self.get(previous), left_s, self.get(own), left_s + expiry

    @override
    def clear_sliding_window(self, key: str, expiry: int) -> None:
        for one in self.sliding_window_keys(key, expiry, self._now()):
            self.clear(one)
