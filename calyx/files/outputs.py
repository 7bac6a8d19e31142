"""Files that a command writes where its user says: looked at before the work, whole or absent after it.

No command destroys what it reads, and none writes over a file unasked. The decision is
docs/decisions/0045.
"""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calyx.errors import UserError
from calyx.files.plain import beside, sync_folder, write_synced

_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # as exFAT says it


@dataclass(frozen=True)
class Output:
    """A place that may be written to: a file, or a stream such as /dev/stdout."""

    path: Path
    is_stream: bool
    replace: bool  # whether what is there now may go

    def write(self, data: bytes) -> None:
        """Write all of it, or nothing; who could not read what is replaced cannot read it after.

        Raises UserError, also where a file has come there since.
        """
        if not self.is_stream:
            is_there = self.replace and self.path.exists()
            mode = stat.S_IMODE(self.path.stat().st_mode) if is_there else 0o666
            write_whole(self.path, data, mode, replace=self.replace)
            return
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise UserError(
                f"{show_path(self.path)} cannot be written: {error.strerror}."
            ) from None


def claim_output(
    path: Path, *, inputs: Sequence[Path], folders: Sequence[Path], replace: bool
) -> Output:
    """The file that `--out` names, unless writing it would destroy something; nothing is written.

    `inputs` are files that the command reads; `folders` hold the clients' rows, and nothing in them
    is touched. Links and other spellings of a path are seen through. Raises UserError.
    """
    for one in inputs:
        if is_same(path, one):
            name = "" if one == path else f" {show_path(one)}"
            raise UserError(
                f"{show_path(path)} is the input{name} itself, which would be lost; choose another --out."
            )
    is_stream = _is_stream(path)
    if is_stream:
        return Output(path, is_stream=True, replace=False)
    for folder in folders:
        if is_within(path, folder):
            raise UserError(
                f"{show_path(path)} lies in {show_path(folder)}, in which no command changes anything; "
                "choose another --out."
            )
    _check_place(path)
    if os.path.lexists(path) and not replace:
        raise UserError(
            f"{show_path(path)} is there already; add --replace to write over it, or choose another --out."
        )
    return Output(path, is_stream=False, replace=replace)


def _check_place(path: Path) -> None:
    """Raise UserError unless a file could be written there."""
    if path.is_dir():
        raise UserError(f"{show_path(path)} is a folder; name a file in it as --out.")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UserError(f"{show_path(path)} lies in no folder; make {show_path(parent)} first.")
    closed = parent if not os.access(parent, os.W_OK | os.X_OK) else path
    if closed is parent or (path.exists() and not os.access(path, os.W_OK)):
        raise UserError(f"{show_path(closed)} cannot be written; choose another --out.")


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths are of one file or folder that is there, whatever they are spelt like."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def is_within(path: Path, folder: Path) -> bool:
    """Whether `path`, which need not be there, lies below `folder`, itself or what it links to."""
    places = {path.absolute().parent.resolve(), path.resolve().parent}
    return any(is_same(up, folder) for place in places for up in (place, *place.parents))


def _is_stream(path: Path) -> bool:
    if str(path.absolute()).startswith(_STREAMS):
        return True
    return path.exists() and not (path.is_file() or path.is_dir())


def write_whole(path: Path, data: bytes, mode: int = 0o666, *, replace: bool = False) -> None:
    """Write `path` whole or not at all; a private `mode` is never wider, not even for a moment.

    Raises UserError where it exists (unless `replace`) or cannot be written.
    """
    part = beside(path)
    try:
        try:
            write_synced(part, data, mode, is_secret=not mode & 0o077)
            if replace:
                part.replace(path)
            else:
                _name(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError:
        raise UserError(f"{show_path(path)} exists, and is not replaced.") from None
    except OSError as error:
        raise UserError(f"{show_path(path)} cannot be written: {error.strerror}.") from None


def _name(part: Path, path: Path) -> None:
    """Give a file its name, where none has it. Raises FileExistsError."""
    try:
        os.link(part, path)  # unlike a rename, it never replaces
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        write_synced(path, b"")
        part.replace(path)


def show_path(path: Path) -> str:
    """A path for a sentence: one line, whatever it holds."""
    text = str(path)
    return text if text.isprintable() else repr(text)
