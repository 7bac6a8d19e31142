"""Which callers are stopped, and until when: one small file each, which all replicas of a gateway see.

The files outlive a restart; deleting one lets its caller in again. They hold a caller's name, and no rows.
A replica looks for the file at each request of a caller, which takes microseconds.
"""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field

from calyx.config.section import config, parse
from calyx.errors import ConfigError
from calyx.files.foreign import read_object
from calyx.files.plain import write_json

_MOST_BYTES = 10_000
Instant = Annotated[float, Field(ge=0, le=1e11)]  # seconds since 1970


@config
class Hold:
    """A caller that is not answered until `until`."""

    caller: str
    since: Instant
    until: Instant
    reason: str  # a sentence


class Holds:
    """The folder of holds. Raises OSError where it cannot be made or written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def find(self, caller: str, now: float) -> Hold | None:
        """The hold of a caller at `now` (seconds since 1970); a file that is damaged holds for good.

        Raises OSError where the file cannot be read.
        """
        path = self.path_of(caller)
        try:
            hold = parse(Hold, read_object(path, _MOST_BYTES), "")
        except FileNotFoundError:
            return None
        except (ValueError, ConfigError):
            return Hold(caller=caller, since=0, until=1e11, reason=f"{path.name} is damaged.")
        return hold if hold.until > now else None

    def add(self, hold: Hold) -> None:
        """Stop a caller, for all replicas. Raises OSError, as on a full disk."""
        write_json(self.path_of(hold.caller), asdict(hold))

    def path_of(self, caller: str) -> Path:
        """Where a caller's hold is: a name of our own, since a caller's may be a path."""
        return self._folder / f"{hashlib.sha256(caller.encode()).hexdigest()[:32]}.json"
