"""Files that are whole or absent: written beside, synced, renamed. And JSON lines that grow."""

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

_MOST_BYTES = 2**30  # of one file of a run that is read whole
_MOST_VALUES, _DEEPEST = 1_000_000, 50  # of a run's config, which Calyx has written


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """The system's error of a full disk names no file, or one beside `path` that nobody knows."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


def write_synced(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write and fsync a new file; for files in a folder that is itself renamed later.

    Raises FileExistsError where anything of that name is there, a link too.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with named_in_errors(path), os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` by `data`, whole or not at all; `mode` are its rights, less the umask.

    A link of that name is replaced itself, and never followed.
    """
    beside = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.part")  # nobody can guess it
    try:
        with named_in_errors(path):
            write_synced(beside, data, mode)
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a file's lock inside the block: whether it was free. It is made, and never emptied.

    Raises OSError, for a link too.
    """
    import fcntl

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o666), "rb") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # forks do not inherit it
        except OSError:
            yield False
            return
        yield True


def strict_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - any JSON value
    """JSON without NaN or infinity. Raises ValueError for those."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one indented JSON object atomically."""
    write_atomically(path, (strict_json(value, indent=2) + "\n").encode())


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append one JSON object a line, and fsync. What a full disk cut off is taken back."""
    data = "".join(strict_json(row) + "\n" for row in rows).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with named_in_errors(path), os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0) as file:
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
    lines = read_plain(path).split(b"\n")[:-1]
    return [_read_line(line, f"{path.name}, line {n}") for n, line in enumerate(lines, start=1)]


def read_plain(path: Path, limit: int = _MOST_BYTES) -> bytes:
    """The bytes of a plain file; a link, a pipe or a device is none. Raises OSError, also if it is longer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        if found.st_size > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
        return file.read()


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not a JSON object")
    return row


def check_tree(tree: object) -> None:
    """That a YAML file's values are few and flat: a few aliases can stand for billions.

    Raises ValueError.
    """
    waiting, left = [(tree, 0)], _MOST_VALUES
    while waiting:
        value, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise ValueError(f"more than {_MOST_VALUES:,} values or {_DEEPEST} levels")
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(one, depth + 1) for one in inner]


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


def read_bounded(path: Path, limit: int) -> bytes:
    """A small file's bytes. Raises UserError where it cannot be read or has more than `limit`."""
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
