"""The log of decisions as the section `serve.log` asks for it: where it lies, and whose key signs."""

import os
from contextlib import suppress
from pathlib import Path

from calyx.errors import UserError
from calyx.serving.decisions import DecisionLog
from calyx.serving.kept_rows import KeptRows
from calyx.serving.log_config import LogConfig
from calyx.trust.key_files import make_key, read_own
from calyx.trust.recipients import read_recipient

OWN_KEY = "log"  # name of the key that a gateway makes itself


def open_log(config: LogConfig, state_dir: Path, release: str, replica: int = 1) -> DecisionLog:
    """One replica's log, which signs by the key that is named, or by one in `state_dir` (made at first).

    `release` is the SHA-256 of the manifest of the release that answers, in hex. Raises UserError.
    """
    folder, key = _folder_of(config, state_dir), _read_key(config, state_dir)
    rows = None
    if config.keep_rows and config.rows_key is not None:
        rows = KeptRows(folder, read_recipient(Path(config.rows_key)).key, config, replica)
    return DecisionLog(folder, key, release, config, replica=replica, rows=rows)


def _folder_of(config: LogConfig, state_dir: Path) -> Path:
    return Path(config.folder) if config.folder is not None else state_dir / "log"


def _read_key(config: LogConfig, state_dir: Path) -> bytes:
    if config.key is not None:
        return read_own(Path(config.key), "log", "make one with `calyx keys log NAME`")
    path = state_dir / f"{OWN_KEY}.key"
    if not os.path.lexists(path):
        with suppress(UserError):  # another replica has made it just now; else reading it says why
            make_key("log", OWN_KEY, state_dir)
    return read_own(path, "log", "make one with `calyx keys log NAME`")
