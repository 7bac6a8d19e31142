"""Whether a log of decisions is as its gateway wrote it, and which line is not. Decision 0091.

Each line names the SHA-256 of the line before it. So a line that the next one vouches for is as it was
written; where two neighbours do not fit, the one was changed that its own successor does not vouch for;
and lines that are missing, too many or in another order show by their numbers. Who has no log key can
write a chain anew, but no signature of it. Files are read as streams: memory does not grow.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calyx.secagg.keys import verify
from calyx.serving.log_lines import (
    NO_LINE,
    SIGNATURE_TAG,
    Begin,
    Line,
    Signature,
    parse_begin,
    signed_items,
)
from calyx.serving.log_reading import ChainReader, Seen

MOST_DAMAGES = 20  # that are told of one chain; the others are counted


@dataclass(frozen=True)
class Damage:
    """One place of a log that is not as it was written."""

    file: str  # its name
    line: int  # of that file, from 1
    sentence: str  # what is wrong there


@dataclass
class Chain:
    """What one replica's files hold, and what is wrong with them; filled while they are read."""

    replica: int
    files: int
    lines: int = 0  # that are of the chain
    decisions: int = 0
    signatures: int = 0  # that fit
    first: str = ""  # time of the first line and of the last, ISO 8601, UTC
    last: str = ""
    head: str = NO_LINE  # SHA-256 of the last line, in hex
    head_line: int = 0  # its number in the chain
    signed_line: int = (
        0  # number of the last line with a signature that fits; 0 where there is none
    )
    signed: str = ""  # its time
    has_ended: bool = False  # whether its last line is the signature of a clean end
    damages: list[Damage] = field(default_factory=list)
    more_damages: int = 0  # beyond those
    heads: set[str] = field(default_factory=set)  # of those that were looked for, the ones in it


def check_chain(
    files: Mapping[int, Path],
    keys: Collection[bytes],
    heads: Collection[str] = (),
    *,
    replica: int,
    is_whole: bool = True,
) -> Chain:
    """Read one replica's files, by number, and say what they hold.

    `keys` are public log keys, 32 bytes each; `heads` are hashes of lines (hex) that are looked for. Where
    the chain is not whole, as of a single file, nothing is asked of what was before. Raises OSError.
    """
    return _Walk(Chain(replica, len(files)), keys, heads).go(ChainReader(files), is_whole)


class _Walk:
    """One pass over a chain. `_at` fits what was before it, and waits for what its successor says of it."""

    def __init__(self, chain: Chain, keys: Collection[bytes], heads: Collection[str]) -> None:
        self._chain, self._keys, self._wanted = chain, tuple(keys), frozenset(heads)
        self._begin: Begin | None = None
        self._strange: set[str] = set()  # keys of first lines that were not given, and are said
        self._number = 0  # of the last line, and its hash; None: it was changed, and is unknown
        self._hash: str | None = NO_LINE
        self._file = 0  # number of its file
        self._at: Seen | None = None

    def go(self, reader: ChainReader, is_whole: bool) -> Chain:
        """Walk along all lines."""
        lines = self._watch(reader)
        window = [seen for seen in (next(lines, None), next(lines, None)) if seen is not None]
        if window and not is_whole:
            self._number, self._hash = _number_before(*window), None
            self._file = window[0].file_number - 1
        while window:
            used = self._step(window[0], window[1] if len(window) > 1 else None)
            window = window[used:]
            window += [
                seen for seen in (next(lines, None) for _ in range(used)) if seen is not None
            ]
        self._confirm()
        if reader.torn.bytes:
            end = Seen(*reader.end, "", None, 0)
            self._tell(
                end, f"{reader.torn.bytes} bytes after this line are no whole line: it was cut off"
            )
        return self._chain

    def _watch(self, reader: ChainReader) -> Iterator[Seen]:
        for seen in reader:
            if seen.hash in self._wanted:
                self._chain.heads.add(seen.hash)
            yield seen

    def _step(self, seen: Seen, after: Seen | None) -> int:
        """Judge a line by its neighbours; how many lines are dealt with."""
        if (line := self._follower(seen)) is not None:
            self._confirm()
            self._accept(seen, line)
            return 1
        later = None if after is None else self._follower(after)
        if after is not None and later is not None:
            self._confirm()
            self._accept(after, later)
            if seen.line is not None and self._follower(seen) is not None:
                self._tell(
                    seen, f"lines {later.number} and {seen.line.number} of the log are swapped"
                )
                self._confirm()
                self._accept(seen, seen.line)
            else:
                self._tell(seen, "this line was put in")
            return 2
        if seen.line is not None and self._is_vouched(seen, after):
            self._judge_vouched(seen, seen.line)
        elif after is None and seen.line is not None:
            self._tell(
                seen,
                "this line or the one before it was changed, or lines between them are missing",
            )
            self._at = None
            self._accept(seen, seen.line)
        else:
            self._confirm()
            self._tell(seen, f"line {self._number + 1} of the log was changed")
            self._skip(after)
        return 1

    def _follower(self, seen: Seen) -> Line | None:
        """The line, where it is the next one of the chain."""
        line = seen.line
        if line is None or line.number != self._number + 1:
            return None
        return line if self._hash in (None, line.before) else None

    def _is_vouched(self, seen: Seen, after: Seen | None) -> bool:
        """Whether a line is as it was written: its successor, or its own signature, says so."""
        if after is not None:
            return after.line is not None and after.line.before == seen.hash
        return seen.line is not None and self._is_signature(seen.line)

    def _judge_vouched(self, seen: Seen, line: Line) -> None:
        """A line that is as it was written does not follow the one before it."""
        gap = line.number - self._number - 1
        if gap > 0:
            self._confirm()
            missing = _say_span("line", self._number + 1, gap)
            if files := seen.file_number - self._file - 1 if seen.place == 1 else 0:
                missing += f" of the log, with {_say_span('file', self._file + 1, files)},"
            self._tell(seen, f"before this line, {missing} {'is' if gap == 1 else 'are'} missing")
        elif gap == 0 and self._at is not None:
            self._tell(
                self._at,
                f"line {self._number} of the log was changed: the line after it has the hash of another",
            )
            self._at = None
        else:
            self._confirm()
            self._tell(seen, f"this line, number {line.number} of the log, was put in")
            return
        self._accept(seen, line)

    def _accept(self, seen: Seen, line: Line) -> None:
        self._number, self._hash, self._at = line.number, seen.hash, seen
        self._file = seen.file_number
        chain = self._chain
        chain.lines, chain.last = chain.lines + 1, line.time
        chain.first = chain.first or line.time
        chain.head, chain.head_line, chain.has_ended = seen.hash, line.number, False

    def _skip(self, after: Seen | None) -> None:
        """Go on behind a line that was changed, of which the next one may say what it was."""
        self._number += 1
        is_next = (
            after is not None and after.line is not None and after.line.number == self._number + 1
        )
        self._hash = after.line.before if after and after.line and is_next else None
        self._at = None

    def _confirm(self) -> None:
        """Take what the last line says, as no successor speaks against it."""
        seen, self._at = self._at, None
        if seen is None or seen.line is None:
            return
        line = seen.line
        if (line.what == "begin") != (seen.place == 1):
            self._tell(seen, "a file begins with one line of the kind begin, and has no other")
        if line.what == "begin":
            self._take_begin(seen, line)
        elif line.what == "signature":
            self._take_signature(seen, line)
        elif line.what == "decision":
            self._chain.decisions += 1
        else:
            self._tell(seen, "it is of no kind that a log has")

    def _take_begin(self, seen: Seen, line: Line) -> None:
        begin = parse_begin(line)
        if begin is None or (begin.replica, begin.file) != (self._chain.replica, seen.file_number):
            self._tell(seen, "this is the first line of another file")
            return
        if (begin.torn_bytes, begin.torn_sha256) != (seen.torn.bytes, seen.torn.sha256):
            self._tell(seen, "the file before it ends otherwise than this line says")
        self._begin = begin
        if bytes.fromhex(begin.key) not in self._keys and begin.key not in self._strange:
            self._strange.add(begin.key)
            self._tell(
                seen, f"from here on another key signs than those of --key: {begin.key[:16]}…"
            )

    def _take_signature(self, seen: Seen, line: Line) -> None:
        begin = self._begin
        if self._is_signature(line):
            chain = self._chain
            chain.signatures, chain.signed_line = chain.signatures + 1, line.number
            chain.signed, chain.has_ended = line.time, line.fields.get("why") == "end"
        elif begin is not None and begin.key not in self._strange:
            since = self._chain.signed_line + 1
            self._tell(
                seen,
                f"this signature does not fit: it was changed, or what stands in lines {since} to "
                f"{line.number} of the log was, and the chain after it written anew",
            )

    def _is_signature(self, line: Line) -> bool:
        """Whether a line is a signature by one of the keys over all lines before it."""
        if line.what != "signature" or self._begin is None:
            return False
        try:
            signature = Signature(**line.fields)  # type: ignore[arg-type]  # checked by itself
        except (TypeError, ValueError):
            return False
        items = signed_items(self._begin.log, line.number, line.before, line.time, signature.why)
        signed = bytes.fromhex(signature.signature)
        return any(verify(key, signed, SIGNATURE_TAG, *items) for key in self._keys)

    def _tell(self, seen: Seen, sentence: str) -> None:
        if len(self._chain.damages) < MOST_DAMAGES:
            self._chain.damages.append(Damage(seen.file, seen.place, sentence))
        else:
            self._chain.more_damages += 1


def _number_before(first: Seen, second: Seen | None = None) -> int:
    """Number of the line before the first one, as whichever of the two is undamaged says."""
    after = None if second is None else second.line
    if first.line is not None and (after is None or after.before == first.hash):
        return first.line.number - 1
    return 0 if after is None else max(0, after.number - 2)


def _say_span(what: str, first: int, count: int) -> str:
    return f"{what} {first}" if count == 1 else f"{what}s {first} to {first + count - 1}"
