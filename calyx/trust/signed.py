"""What a consortium or a signer of releases has signed, kept beside its key: a version is one content.

Without it, a consortium that signs from an old copy makes a second "version 2", in which a key may
stand again that the first one removed. Sites refuse it too, where they have seen the other.
See docs/decisions/0062 and 0082.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from calyx.errors import UserError
from calyx.files.outputs import show_path
from calyx.files.plain import append_lines, lock_file, read_lines

_END = ".signed.jsonl"
_RELEASE = "release "  # and the name of its chain


@dataclass(frozen=True)
class Signed:
    """One content that has been signed."""

    time: str  # ISO 8601, UTC
    what: str  # "roster", "manifest", or "release NAME"
    version: int
    digest: str  # of the roster, the code or the release, in hex

    def __post_init__(self) -> None:
        """Raise ValueError for what no register holds."""
        is_text = isinstance(self.time, str) and isinstance(self.digest, str)
        what = self.what if isinstance(self.what, str) else ""
        is_known = is_text and (what in ("roster", "manifest") or what.startswith(_RELEASE))
        if not is_known or type(self.version) is not int:
            raise ValueError("no line of a register")

    @property
    def day(self) -> str:
        """The day on which it was signed, as YYYY-MM-DD."""
        return self.time[:10]


def register_of(key: Path) -> Path:
    """The file beside a consortium's key: `consortium.signed.jsonl`."""
    return key.with_suffix(_END)


def check_unsigned(key: Path, what: str, version: int, digest: str) -> None:
    """Raise UserError where `key` has signed another content (`digest`, in hex) as this version."""
    signed = [one for one in read_register(register_of(key)) if one.what == what]
    for one in signed:
        if one.version == version and one.digest != digest:
            raise UserError(_second(key, one, max(other.version for other in signed)))


def note_signed(key: Path, what: str, version: int, digest: str) -> None:
    """Keep that `key` has signed this content.

    Raises UserError where that cannot be written, or where another content has been signed meanwhile.
    """
    path, day = register_of(key), datetime.now(UTC).isoformat(timespec="seconds")
    line = vars(Signed(day, what, version, digest))
    try:
        # flock's kind of lock: the other one ends when the file is read and closed.
        with lock_file(path, is_inherited=True) as is_free:
            if not is_free:
                raise UserError(
                    f"Something else is being signed with {show_path(key)}; try again when it is done."
                )
            check_unsigned(key, what, version, digest)
            if not any((one.what, one.version) == (what, version) for one in read_register(path)):
                append_lines(path, [line])
    except OSError as error:
        raise UserError(
            f"The {what} is signed, but {show_path(path)} cannot be written ({error.strerror}), which keeps "
            "what this key has signed; make its folder writable, and sign again."
        ) from None


def is_register(path: Path) -> bool:
    """Whether a file has the name of a register."""
    return path.name.endswith(_END)


def read_register(path: Path) -> list[Signed]:
    """What a key has signed, in that order; nothing where there is no file. Raises UserError."""
    try:
        return [Signed(**line) for line in read_lines(path)]
    except (ValueError, TypeError, OSError):
        raise UserError(
            f"{show_path(path)} is damaged: it keeps what the key beside it has signed; restore it from a "
            "copy."
        ) from None


def _second(key: Path, old: Signed, newest: int) -> str:
    said = (
        f"{show_path(key)} has signed another {old.what} of version {old.version} already ({old.day}), and "
        "a version stands for one content: "
    )
    if old.what == "manifest":
        return f"{said}sign this one with --version {newest + 1}."
    if old.what.startswith(_RELEASE):
        return (
            f"{said}sign that one ({old.digest[:16]}…), or release this model as version {newest + 1}, after "
            "it."
        )
    return (
        f"{said}give the roster of version {newest} as --previous. Where it is lost, each site that "
        "took it has the file."
    )
