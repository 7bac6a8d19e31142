"""The gateway's log of decisions: a line for every request, chained and signed. Decision 0091.

A line names who asked, which release answered and what came of it; never rows, keys, headers or paths.
Who reads a log again is `calyx.serving.log_check`. A gateway writes one chain of files for each replica:

    with DecisionLog(folder, private_key, release, settings) as log:
        log.append(Decision(request="01J…", caller="ward 3", …))
"""

import errno
import logging
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from calyx.errors import UserError, printable
from calyx.files.outputs import show_path
from calyx.files.plain import lock_file
from calyx.secagg.keys import Identity
from calyx.serving.kept_rows import KeptRows
from calyx.serving.log_config import LogConfig
from calyx.serving.log_files import LastLine, LogFile, NotLogged, find_end
from calyx.serving.log_lines import (
    BIGGEST,
    MOST_LINE_BYTES,
    SIGNATURE_TAG,
    Begin,
    Field,
    Why,
    hash_line,
    name_file,
    signed_items,
    write_line,
)

log = logging.getLogger(__name__)
Outcome = Literal["answered", "refused", "slowed", "stopped", "failed"]
MOST_TEXT = 200  # characters of a name in a line
_TICK_S = 1.0  # between two looks at what must be synced or signed


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gateway decided about one request. Texts are cut at 200 characters as they are logged."""

    request: str  # its id, as the answer's header names it
    caller: str | None  # name of the key or the token's subject; None: nobody that is known
    asked: str  # the scope that the request needs, as `predict`
    outcome: Outcome
    status: int  # of the answer, 100 to 599
    release: str  # SHA-256 of the manifest of the release that answered, in hex
    version: int  # of that release
    rows: int = 0  # of the request
    unusual: int = 0  # rows with a value far from what the training saw
    microseconds: int = 0  # from the request's first byte to this line
    kept: str | None = None  # SHA-256 of the rows' sealed bytes, in hex, where they are kept

    def __post_init__(self) -> None:
        """Raise ValueError for a number that no line can hold."""
        for number in (self.status, self.version, self.rows, self.unusual, self.microseconds):
            if type(number) is not int or not 0 <= number <= BIGGEST:
                raise ValueError(f"{number!r} is no whole number from 0 to 2^53 - 1")

    def fields(self) -> dict[str, Field]:
        """What its line says, with names that somebody else chose made printable."""
        return {
            "asked": _clean(self.asked),
            "caller": None if self.caller is None else _clean(self.caller),
            "kept": self.kept,
            "microseconds": self.microseconds,
            "outcome": self.outcome,
            "release": self.release,
            "request": _clean(self.request),
            "rows": self.rows,
            "status": self.status,
            "unusual": self.unusual,
            "version": self.version,
        }


def _clean(text: str) -> str:
    is_fit = len(text) <= MOST_TEXT and text.isprintable()
    return text if is_fit else printable(text, MOST_TEXT)


class DecisionLog:
    """One replica's chain of lines, open for more; only one process writes it at a time.

    A line that `append` has returned of is the system's: a kill of the process does not lose it. A loss
    of power may lose the last second, as lines are synced once a second and with every signature.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        release: str,
        config: LogConfig,
        *,
        replica: int = 1,
        rows: KeptRows | None = None,
    ) -> None:
        """Go on where the replica's last file ended, in a new file, with a signature at once.

        `key` is an Ed25519 private key, 32 bytes; `release` the SHA-256 of a manifest, in hex; `rows` is
        where rows are kept, None where they are not, and is closed with the log. Raises UserError where the
        folder cannot be written, another gateway writes to it, or its last line is damaged.
        """
        self._folder, self._config, self._replica = folder, config, replica
        self._rows = rows
        self._identity, self._release = Identity(key), release
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._is_dirty = False
        self._failure: OSError | None = None
        self._file: LogFile | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._held.enter_context(
                lock_file(folder / f"replica-{replica}.lock", is_inherited=True)
            ):
                raise UserError(
                    f"Another gateway writes the log of replica {replica} in {show_path(folder)}; stop "
                    "it, or give this one another serve.log.folder."
                )
            self._begin(find_end(folder, replica))
            self._sign_and_sync("start")
        except OSError as error:
            self._let_go()
            raise UserError(
                f"The log of decisions in {show_path(folder)} cannot be written: {error.strerror}."
            ) from None
        except BaseException:
            self._let_go()
            raise
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="calyx-log", daemon=True)
        self._keeper.start()

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As `close`."""
        self.close()

    @property
    def head(self) -> tuple[int, str]:
        """Number and SHA-256 (hex) of the last line: who remembers it sees later whether it was cut."""
        return self._number, self._before

    def append(self, decision: Decision) -> None:
        """Write one line, before the answer is given. Raises NotLogged where there is no room for it.

        Nothing of it is left then, and a later line is tried anew.
        """
        now = datetime.now(UTC)
        with self._lock:
            try:
                if self._failure is not None:
                    raise self._failure
                self._rotate(now)
                self._write("decision", decision.fields(), now)
            except OSError as error:
                raise NotLogged(
                    f"The log of decisions in {show_path(self._folder)} cannot be written "
                    f"({error.strerror}), and nothing is answered without it; make room."
                ) from None

    def keep_rows(self, request: str, rows: bytes) -> str | None:
        """Keep what a request sent, where that is asked for; the SHA-256 (hex) for its decision's `kept`.

        Raises NotLogged where there is no room.
        """
        return None if self._rows is None else self._rows.keep(request, rows)

    def take_release(self, release: str) -> None:
        """From now on files begin with this release, whose manifest has the SHA-256 `release` (hex)."""
        with self._lock:
            self._release = release

    def close(self) -> None:
        """Sign the end and let the files go. What cannot be signed any more is said, and raises nothing."""
        self._stop.set()
        self._keeper.join()
        with self._lock:
            if self._file is None:
                return
            try:
                self._sign_and_sync("end")
            except OSError as error:
                log.error("The end of the log of decisions is not signed: %s.", error.strerror)
            self._let_go()

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._rows is not None:
            self._rows.close()
        self._held.close()

    def _begin(self, end: LastLine) -> None:
        """Start the file after `end`. Raises OSError, and leaves the present one as it is then."""
        now = datetime.now(UTC)
        begin = Begin(
            log=end.log,
            replica=self._replica,
            file=end.file + 1,
            release=self._release,
            key=self._identity.public.hex(),
            torn_bytes=end.torn_bytes,
            torn_sha256=end.torn_sha256,
        )
        line = write_line("begin", end.number + 1, end.hash, _say_time(now), vars(begin))
        file = LogFile.start(self._folder / name_file(begin.replica, begin.file), line + b"\n")
        if self._file is not None:
            self._file.close()
        self._file, self._begun, self._day = file, begin, now.date()
        self._number, self._before = end.number + 1, hash_line(line)

    def _rotate(self, now: datetime) -> None:
        """Begin another file where this one is full or of another day. Raises OSError."""
        is_full = self._present.size + MOST_LINE_BYTES > self._config.file_bytes
        if not is_full and now.date() == self._day:
            return
        if self._signed_number != self._number:  # else the last try got no further
            self._sign_and_sync("rotation")
        begun = self._begun
        self._begin(LastLine(begun.log, begun.file, self._number, self._before))
        self._sign_and_sync("start")

    def _sign_and_sync(self, why: Why) -> None:
        """Vouch for all lines so far, and make them survive a loss of power. Raises OSError."""
        self._sign(why)
        self._present.sync()
        self._is_dirty = False

    def _sign(self, why: Why) -> None:
        """Vouch for all lines so far. Raises OSError."""
        now = datetime.now(UTC)
        items = signed_items(self._begun.log, self._number + 1, self._before, _say_time(now), why)
        signature = self._identity.sign(SIGNATURE_TAG, *items)
        self._write("signature", {"why": why, "signature": signature.hex()}, now)
        self._signed_at, self._signed_number = time.monotonic(), self._number
        log.info("Signed the log of decisions: line %d, head %s.", self._number, self._before)

    def _write(self, what: str, fields: dict[str, Field], now: datetime) -> None:
        """Append a line, whole or not at all. Raises OSError."""
        line = write_line(what, self._number + 1, self._before, _say_time(now), fields)
        self._present.append(line + b"\n")
        self._number, self._before, self._is_dirty = self._number + 1, hash_line(line), True

    @property
    def _present(self) -> LogFile:
        if self._file is None:
            raise OSError(errno.EBADF, "it is closed")
        return self._file

    def _keep(self) -> None:
        """Once a second: sync what was written, and sign where the last signature is an hour old."""
        while not self._stop.wait(_TICK_S):
            try:
                self._sync_or_sign()
                self._failure = None
            except OSError as error:
                if self._failure is None:
                    log.error("The log of decisions cannot be synced: %s.", error.strerror)
                self._failure, self._is_dirty = error, True  # nothing is answered until it can be

    def _sync_or_sign(self) -> None:
        if self._rows is not None:
            self._rows.sync()  # first: lines name what is kept
        with self._lock:
            if time.monotonic() - self._signed_at >= self._config.sign_every_s:
                self._sign("hour")
            if not self._is_dirty:
                return
            self._is_dirty = False
            synced = self._present.twin()
        with closing(synced):  # outside the lock: requests do not wait for the disk
            synced.sync()


def _say_time(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds")
