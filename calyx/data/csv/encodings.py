"""Which encoding a CSV file is of: what its first bytes show, else the schema's.

A mark at the beginning of a file (U+FEFF) says for this one file what it is, whatever the schema says
of all of them. Where the bytes contradict the schema otherwise the file is refused: nothing is guessed.
"""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calyx.errors import DataError, printable
from calyx.files.plain import plain

BEGINNINGS = {  # what a file begins with, the encoding that it shows, and those that read it
    b"\xef\xbb\xbf": ("utf-8", ("utf8",)),
    b"\xff\xfe\0\0": ("utf-32", ("utf32", "utf32le")),
    b"\0\0\xfe\xff": ("utf-32", ("utf32", "utf32be")),
    b"\xff\xfe": ("utf-16", ("utf16", "utf16le")),
    b"\xfe\xff": ("utf-16", ("utf16", "utf16be")),
}
WIDE = {"utf-16-le": slice(1, None, 2), "utf-16-be": slice(0, None, 2)}  # where Latin letters are 0
ZEROS = 0.8  # share of these bytes from which on a text is taken for UTF-16
FORMATS = {  # what is no text, by its first bytes
    b"PK\x03\x04": "an Excel workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
    b"%PDF-": "a PDF",
}
LOOKED_AT = 4096  # bytes at the beginning
BLOCK_BYTES = 1_000_000


@contextmanager
def translate_errors(path: Path, encoding: str) -> Iterator[None]:
    """What a system or a codec says of a file, in a sentence. Raises DataError."""
    try:
        yield
    except UnicodeError:
        raise DataError(_undecodable(path, encoding)) from None
    except LookupError:
        raise DataError(f"There is no encoding {printable(encoding)}; see the schema.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def encoding_of(path: Path, encoding: str) -> str:
    """The encoding to read a file by, where the schema says `encoding`. Raises DataError, OSError."""
    check_is_kept(path)
    with open(path, "rb", opener=plain) as file:
        first = file.read(LOOKED_AT)
    check_is_text(path, first)
    name = re.sub("[^a-z0-9]", "", encoding.lower()).removesuffix("sig")
    for mark, (shown, readers) in BEGINNINGS.items():
        if first.startswith(mark):
            return encoding if name in readers else shown
    is_wide, shown = name.startswith(("utf16", "utf32")), wide(first)
    if is_wide and first and 0 not in first:
        raise DataError(
            f"{path} is not {printable(encoding)}: it holds no zero bytes, and begins with no mark; save "
            "it so, or say in the schema's encoding how all files are."
        )
    if shown and not is_wide:
        raise DataError(
            f"{path} is not {printable(encoding)}, but {shown}, as it seems; say encoding: {shown} in the "
            "schema if all files are so, or save it otherwise."
        )
    if not name.startswith("utf") and _is_utf_8(path):
        raise DataError(
            f"{path} is not {printable(encoding)}, but utf-8: its letters beyond A to Z are. Say encoding: "
            f"utf-8 in the schema if all files are so, or save it as {printable(encoding)}."
        )
    return encoding


def check_is_kept(path: Path) -> None:
    """Raise DataError for what cannot be read again, or never ends."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(
            f"{path} is a pipe or a device, which can be read once; save its rows first."
        )


def check_is_text(path: Path, first: bytes) -> None:
    """Raise DataError for what begins as a file of another program does."""
    for mark, what in FORMATS.items():
        # A column may be called PAR1, and has no zero byte after it.
        if first.startswith(mark) and (not mark.isalnum() or 0 in first):
            raise DataError(
                f"{path} is {what}, whatever its name says; save its table as a CSV file."
            )


def wide(first: bytes) -> str:
    """The kind of UTF-16, if a file without a mark begins as one with Latin letters does; else ""."""
    for name, places in WIDE.items():
        zeros = first[places]
        if zeros.count(0) > ZEROS * len(zeros) and first.count(0) == zeros.count(0):
            return name
    return ""


def _is_utf_8(path: Path) -> bool:
    """Whether the file holds more than ASCII, and all of it is UTF-8: no other text is by chance."""
    decoder, is_ascii = codecs.getincrementaldecoder("utf-8")(), True
    try:
        with open(path, "rb", opener=plain) as file:
            while block := file.read(BLOCK_BYTES):
                is_ascii &= block.isascii()
                if not is_ascii:
                    decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_ascii


def _undecodable(path: Path, encoding: str) -> str:
    where, byte = "", ""
    try:
        with open(
            path, encoding=encoding, newline="", errors="surrogateescape", opener=plain
        ) as file:
            for number, line in enumerate(file, start=1):
                lost = re.search("[\udc80-\udcff]", line)
                if lost:
                    where, byte = f", line {number}", f" (byte {ord(lost.group()) - 0xDC00:#04x})"
                    break
    except UnicodeError:
        pass  # a codec that does not go on after a fault: the line stays unsaid
    is_utf_8 = re.sub("[^a-z0-9]", "", encoding.lower()).startswith("utf8")
    cure = ", such as cp1252 of Windows programs," if is_utf_8 else ""
    return (
        f"{path}{where} is not {printable(encoding)}{byte}; save it so, or name the encoding of all "
        f"files{cure} by encoding in the schema."
    )
