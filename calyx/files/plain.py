"""The one reader and the one writer of files. Whole or absent; never through a link that is planted.

Every file that the program reads or writes goes through here, through `calyx.files.outputs` (what a
command's `--out` names) or `calyx.files.foreign` (what a folder made by somebody else may hold); a test
of the architecture says so. What is written lies beside its place, is synced, and then renamed;
and JSON lines grow. The decision is docs/decisions/0060.
"""

import errno
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calyx.errors import UserError, printable

MOST_BYTES = 2**30  # of one file of a run or a site that is read whole
MOST_TENSOR_BYTES = (
    2**34
)  # of a model, or of masked sums: what they stand for is as long as they are
MOST_LINES = 10_000_000  # of JSON lines
LONGEST_LINE = (
    2**24
)  # bytes of one of them; a round that names a million clients has some 12 million
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_GROWING = os.O_RDWR | os.O_CREAT | os.O_APPEND
_ROW = json.JSONEncoder(allow_nan=False, ensure_ascii=False)  # as `strict_json`, made once


def plain(path: str, flags: int) -> int:
    """An opener for `open`: a plain file only. Nobody is kept waiting by a pipe, or read from a device.

    For a path that the user names: it may be a link. Raises OSError.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is neither a file nor a folder", path)


def inner(path: str, flags: int) -> int:
    """As `plain`, an opener of a file in a run's or a site's own folder, where no name is a link."""
    try:
        return plain(path, flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # Linux and macOS; FreeBSD
            raise OSError(
                error.errno, "it is a link, and no link is followed there", path
            ) from None
        raise


def read_plain(path: Path, limit: int = MOST_BYTES) -> bytes:
    """The bytes of a file of a run's or a site's folder. Raises OSError, also for more than `limit`.

    A file that says it is longer is not read: one with a hole of a terabyte takes nobody a byte to make.
    """
    with open(path, "rb", opener=inner) as file:
        is_longer = os.fstat(file.fileno()).st_size > limit
        data = b"" if is_longer else file.read(limit + 1)
    if is_longer or len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return data


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a small file that the user names: a link, or a pipe of the shell, is one too.

    Raises UserError where it cannot be read or has more than `limit`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > limit:
        raise UserError(
            f"{path} has more than {limit:,} bytes, the most that Calyx reads of such a file; is it the "
            "right one?"
        )
    return data


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_lines(path: Path) -> None:
    """Make lines that were appended unsynced survive a loss of power, where there are any."""
    if os.path.lexists(path):
        with name_in_errors(path), open(path, "ab", opener=inner) as file:
            os.fsync(file.fileno())


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """The system's error of a full disk names no file, or one beside `path` that nobody knows."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


def write_synced(path: Path, data: bytes, mode: int = 0o666, *, is_secret: bool = False) -> None:
    """Write and fsync a new file; for files in a folder, or under a name, that is put in place later.

    `mode` are its rights, less the umask; those of a secret are never wider, not even for a moment.
    Raises OSError, also where anything of that name is there: a link is not followed.
    """
    _write_new(path, data, mode, is_secret=is_secret)


def _write_new(
    path: Path, data: bytes, mode: int, *, is_secret: bool = False, is_synced: bool = True
) -> None:
    descriptor = os.open(path, _NEW, mode)
    with name_in_errors(path), os.fdopen(descriptor, "wb") as file:
        if is_secret and stat.S_IMODE(os.fstat(descriptor).st_mode) & ~mode:
            raise OSError(0, "this disk keeps no file modes, so that others could read it")
        file.write(data)
        file.flush()
        if is_synced:
            os.fsync(descriptor)


def beside(path: Path) -> Path:
    """A new name in the folder of `path` that nobody can have put something under."""
    return path.with_name(f".calyx-{os.urandom(8).hex()}.part")


def write_atomically(path: Path, data: bytes, mode: int = 0o666, *, is_synced: bool = True) -> None:
    """Replace `path` by `data`, whole or not at all; `mode` are its rights, less the umask.

    What is not synced survives a kill; a loss of power soon after may leave an empty file, or none. What
    is there under that name is replaced itself: a link is not followed. Raises OSError.
    """
    part = beside(path)
    try:
        with name_in_errors(path):
            _write_new(part, data, mode, is_synced=is_synced)
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if is_synced:
        sync_folder(path.parent)


@contextmanager
def lock_file(path: Path, *, is_inherited: bool = False) -> Iterator[bool]:
    """Hold a file's lock inside the block; whether it was free. The file is made, and never emptied.

    `is_inherited`: processes that are forked inside hold it, too. Raises OSError, also for a link.
    """
    import fcntl

    descriptor = inner(str(path), os.O_RDWR | os.O_CREAT)
    take = fcntl.flock if is_inherited else fcntl.lockf
    try:
        try:
            take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def strict_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - any JSON value
    """JSON without NaN or infinity. Raises ValueError for those."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one indented JSON object atomically."""
    write_atomically(path, (strict_json(value, indent=2) + "\n").encode())


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]], *, is_synced: bool = True) -> None:
    """Append one JSON object a line, and fsync. What a full disk or a crash cut off is taken back.

    Lines that are not synced survive a kill, and a loss of power after `sync_lines`. A file that has
    another name elsewhere, as copies by hard links have, is first made one of its own.
    """
    data = "".join(_ROW.encode(row) + "\n" for row in rows).encode()
    with name_in_errors(path):
        if path.exists() and path.lstat().st_nlink > 1:
            write_atomically(path, read_plain(path), stat.S_IMODE(path.lstat().st_mode))
        with os.fdopen(inner(str(path), _GROWING), "ab", buffering=0) as file:
            start = _cut_torn(file.fileno(), file.tell())
            try:
                while data:
                    data = data[file.write(data) or 0 :]
                if is_synced:
                    os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), start)
                raise


def _cut_torn(descriptor: int, end: int) -> int:
    """Take back a last line that a crash cut off, as readers leave it out; where the file ends then."""
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        end = max(0, end - LONGEST_LINE)
        tail = os.pread(descriptor, LONGEST_LINE, end)
        end += tail.rfind(b"\n") + 1
        os.ftruncate(descriptor, end)
    return end


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; none if it is absent.

    A last line that a crash cut off is left out. Raises ValueError that names another damaged one.
    """
    return list(each_line(path))


def each_line(path: Path) -> Iterator[dict[str, Any]]:
    """As `read_lines`, one object at a time: those of a long file take more room than its text."""
    if not os.path.lexists(path):
        return
    lines = split_lines(read_plain(path), path.name)[:-1]
    for n, line in enumerate(lines, start=1):
        yield _read_line(line, f"{path.name}, line {n}")


def split_lines(data: bytes, name: str) -> list[bytes]:
    """The lines of a file called `name`; the last is what follows the last line's end.

    Raises ValueError for lines that are too many or too long.
    """
    if data.count(b"\n") > MOST_LINES:
        raise ValueError(f"{name}: more than {MOST_LINES:,} lines")
    lines = data.split(b"\n")
    longest = max(range(len(lines)), key=lambda n: len(lines[n]))
    if len(lines[longest]) > LONGEST_LINE:
        raise ValueError(f"{name}, line {longest + 1}: more than {LONGEST_LINE:,} bytes")
    return lines


def ends_whole(path: Path) -> bool:
    """Whether a JSON-lines file is absent or ends with a whole line; else a crash has cut one off."""
    if not os.path.lexists(path):
        return True
    with open(path, "rb", opener=inner) as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not a JSON object")
    return row


def at_home(text: str) -> str:
    """A path that begins with `~` or `~NAME`, with that user's home folder in its place; others as they are.

    Raises UserError where there is no such home.
    """
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise UserError(
            f"{printable(text)}: there is no home folder {printable(text.partition('/')[0])} here; write the "
            f"whole path, or ./{printable(text)} for a folder that is called so."
        ) from None


def user_folder(variable: str, below_home: str) -> Path:
    """The folder that a variable of the XDG kind names, or else one of this user's home. Raises UserError."""
    named = os.environ.get(variable)
    try:
        return Path(at_home(named)) if named else Path.home() / below_home
    except RuntimeError:
        raise UserError(
            f"This user has no home folder here; set {variable} to a folder that it may write to."
        ) from None


def absolute(text: str) -> Path:
    """`at_home`, from the root. Raises UserError for a name that no file of a run could hold."""
    path = Path(at_home(text)).absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{printable(str(path))} is not written in this terminal's encoding "
            f"({sys.getfilesystemencoding()}); start Calyx with LC_ALL=C.UTF-8, or rename it."
        ) from None
    return path
