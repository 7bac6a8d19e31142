"""`calyx verify-log`: whether a gateway's log of decisions is as it was written, and which line is not."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import say
from calyx.errors import CalyxError, UserError, for_terminal, printable
from calyx.files.outputs import show_path
from calyx.serving.kept_rows import find_rows
from calyx.serving.log_check import Chain, check_chain
from calyx.serving.log_lines import list_files, parse_name
from calyx.serving.log_reading import ChainReader
from calyx.trust.key_files import read_public_of
from calyx.trust.recipients import read_private
from calyx.words.sentences import say_count


@dataclass(frozen=True)
class _Asked:
    """What a log is checked against."""

    keys: tuple[bytes, ...]
    heads: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Check a log; returns 0. Raises UserError, and CalyxError for a log that is not sound."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    if (options.rows is None) != (options.request is None):
        raise UserError("--rows=KEY and --request=ID go together: whose rows are to be shown.")
    asked = _Asked(
        tuple(read_public_of(path, "log").key for path in options.key),
        tuple(_read_head(head) for head in options.head),
    )
    chains = _check(options.log, asked)
    lost = [head for head in asked.heads if not any(head in chain.heads for chain in chains)]
    if options.json:
        _print_json(chains, lost)
    else:
        _print(chains)
    _refuse_damaged(chains, lost)
    if options.request is not None:
        _show_rows(options.log, options.request, read_private(options.rows))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="calyx verify-log", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "log", type=Path, metavar="FOLDER|FILE", help="of the log, or one file of it"
    )
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        required=True,
        metavar="FILE.pub",
        help="who signs it; may stand several times, where the key was changed",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="HASH",
        help="of a line that the log had once, as this command printed it; may stand several times",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE.key", help="the private key that they were kept for"
    )
    parser.add_argument("--request", metavar="ID", help="with --rows: whose kept rows are shown")
    return parser


def _read_head(text: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", text.lower()) is None:
        raise UserError(
            f"--head={printable(text, 80)} is no head of a log: 64 hex digits, as this command prints them."
        )
    return text.lower()


def _check(path: Path, asked: _Asked) -> list[Chain]:
    """All chains of a folder, or the part of one that a file holds. Raises UserError."""
    if not path.is_dir():
        place = parse_name(path.name)
        if place is None or not path.exists():
            raise UserError(
                f"{show_path(path)} is no log: give its folder, or a file decisions-….jsonl of it."
            )
        files = {place[1]: path}
        return [check_chain(files, asked.keys, asked.heads, replica=place[0], is_whole=False)]
    replicas = list_files(path)
    if not replicas:
        raise UserError(
            f"{show_path(path)} holds no log of decisions: no file decisions-….jsonl is in it; give the "
            "folder that serve.log.folder names."
        )
    return [check_chain(files, asked.keys, asked.heads, replica=n) for n, files in replicas.items()]


def _print(chains: Sequence[Chain]) -> None:
    for chain in chains:
        for damage in chain.damages:
            say(f"{damage.file}:{damage.line}: {damage.sentence}", "red")
        if chain.more_damages:
            say(
                f"and {say_count(chain.more_damages, 'more place')} of replica {chain.replica}",
                "red",
            )
    for chain in chains:
        say(
            f"replica {chain.replica}: {say_count(chain.decisions, 'decision')} in "
            f"{say_count(chain.files, 'file')}, {_say_period(chain)}, "
            f"{say_count(chain.signatures, 'signature')}; head {chain.head}"
        )
        if (note := _say_end(chain)) is not None:
            say(f"  {note}", "yellow")


def _say_period(chain: Chain) -> str:
    return f"{chain.first[:19]}Z to {chain.last[:19]}Z" if chain.first else "of no time"


def _say_end(chain: Chain) -> str | None:
    """What nobody can know of the end of a chain; None where a signature says that it has ended."""
    if chain.has_ended:
        return None
    after = chain.head_line - chain.signed_line
    unsigned = (
        f"{say_count(after, 'line')} after the last signature ({chain.signed[:19]}Z) "
        if chain.signed
        else "its lines "
    )
    said = f"{unsigned}may have been changed unseen, and " if after else ""
    return (
        f"It is still written, or was not ended: {said}whether lines were cut off at its end cannot be known "
        "but by a --head that was noted before."
    )


def _print_json(chains: Sequence[Chain], lost: Sequence[str]) -> None:
    rows = [asdict(chain) | {"heads": sorted(chain.heads)} for chain in chains]
    is_sound = not lost and not any(chain.damages for chain in chains)
    print(json.dumps({"sound": is_sound, "missing_heads": list(lost), "chains": rows}, indent=2))


def _refuse_damaged(chains: Sequence[Chain], lost: Sequence[str]) -> None:
    """Raise CalyxError that says the first thing that is wrong, if anything is."""
    places = [damage for chain in chains for damage in chain.damages]
    count = len(places) + sum(chain.more_damages for chain in chains)
    if places:
        first = places[0]
        raise CalyxError(
            f"The log is not as it was written, at {say_count(count, 'place')}; the first is "
            f"{first.file}, line {first.line}: {first.sentence}."
        )
    if lost:
        raise CalyxError(
            f"No line of the log has the hash {lost[0]}: what stood at its end was cut off, or it is another "
            "log than the one whose head was noted."
        )


def _show_rows(path: Path, request: str, private: bytes) -> None:
    """Print the rows that a request came with, as it sent them. Raises UserError."""
    folder = path if path.is_dir() else path.parent
    shown = printable(request, 80)
    kept = _find_kept(path, request)
    if kept is None:
        raise UserError(f"No line of the log says that rows of the request {shown} were kept.")
    try:
        rows = find_rows(folder, request, kept, private)
    except ValueError as error:
        raise UserError(f"The rows of the request {shown} cannot be shown: {error}.") from None
    if rows is None:
        raise UserError(
            f"The rows of the request {shown} are there no more, or are not those that the log speaks of: "
            "they are kept for serve.log.rows_days, in files rows-….jsonl."
        )
    print(for_terminal(rows.decode(errors="replace").removesuffix("\n")))


def _find_kept(path: Path, request: str) -> str | None:
    """What the log says of a request's kept rows: the SHA-256 of their sealed bytes."""
    chains = list_files(path).values() if path.is_dir() else [{1: path}]
    for seen in itertools.chain.from_iterable(map(ChainReader, chains)):
        fields = seen.line.fields if seen.line is not None else {}
        if fields.get("request") == request and isinstance(kept := fields.get("kept"), str):
            return kept
    return None
