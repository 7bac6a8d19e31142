"""Files that are whole or absent: written beside, synced, renamed. And JSON lines that grow."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from calyx.errors import UserError


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write and fsync a file in place; for files in a folder that is itself renamed later."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` by `data`, whole or not at all; `mode` are its rights, less the umask."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    write_synced(beside, data, mode)
    beside.replace(path)
    sync_folder(path.parent)


def strict_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - any JSON value
    """JSON without NaN or infinity. Raises ValueError for those."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one indented JSON object atomically."""
    write_atomically(path, (strict_json(value, indent=2) + "\n").encode())


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append one JSON object a line, and fsync. What a full disk cut off is taken back."""
    data = "".join(strict_json(row) + "\n" for row in rows).encode()
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            while data:
                data = data[file.write(data) or 0 :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; none if it is absent.

    A last line that a crash cut off is left out. Raises ValueError that names another damaged one.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_read_line(line, f"{path.name}, line {n}") for n, line in enumerate(lines, start=1)]


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not a JSON object")
    return row


def read_bounded(path: Path, limit: int) -> bytes:
    """A small file's bytes. Raises UserError where it cannot be read or has more than `limit`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > limit:
        raise UserError(f"{path} has more than {limit} bytes and cannot be what is wanted.")
    return data
