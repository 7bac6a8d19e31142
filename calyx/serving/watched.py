"""Files of the operator that a running gateway reads again when they change: keys and certificates."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from calyx.errors import CalyxError, UserError
from calyx.files.outputs import show_path

log = logging.getLogger(__name__)
LOOK_S = 0.2  # between two looks whether a file has changed


class Watched:
    """Small files that are read again when they change; what cannot be read leaves the last good ones."""

    def __init__(self, read: Callable[[], None], *paths: Path) -> None:
        """Call `read` at once, which reads them; whatever it raises is raised."""
        self._read, self._paths = read, paths
        self._state = self._find_state()
        read()
        self._next = time.monotonic() + LOOK_S

    def look(self) -> None:
        """Read them again if one has changed; a look costs nothing within `LOOK_S` of the last."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_S
        state = self._find_state()
        if state == self._state:
            return
        self._state = state
        try:
            self._read()
        except CalyxError as error:
            log.error("%s What it said before stays in force.", error)
        else:
            log.info("%s has changed, and is in force", show_path(self._paths[0]))

    def _find_state(self) -> list[tuple[int, ...] | None]:
        return [_state_of(path) for path in self._paths]


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        now = os.stat(path)
    except (OSError, ValueError):
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_mode


def refuse_writable(path: Path, mode: int) -> None:
    """Raise UserError where others than its owner may change a file that says who is let in."""
    if mode & 0o022:
        raise UserError(
            f"{show_path(path)} can be changed by others than its owner (mode {mode:04o}), who could let "
            f"themselves in; look at who is in it, then `chmod go-w` it."
        )
