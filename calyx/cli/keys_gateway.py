"""`calyx keys gateway`: API keys of a gateway's callers. It learns of a change within a second."""

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.errors import UserError, printable
from calyx.files.outputs import show_path, write_whole
from calyx.files.plain import lock_file
from calyx.serving.access_config import SCOPES
from calyx.serving.api_keys import (
    MOST_KEYS,
    NAME,
    ApiKey,
    KeyFile,
    draw_key,
    read_key_file,
    seconds_of,
    text_of,
    why_over,
    write_key_file,
)
from calyx.trust.key_files import PRIVATE_MODE
from calyx.words.sentences import say_count

FILE = Path("gateway.json")
_UNITS = {"h": 3600, "d": 86_400}
_LONGEST_S = 3650 * _UNITS["d"]


def add_to(actions: "argparse._SubParsersAction[Parser]") -> None:
    """The action `gateway`, with four of its own."""
    gateway = actions.add_parser("gateway", help="API keys of who may call a gateway")
    own = gateway.add_subparsers(dest="gateway_action", required=True, metavar="ACTION")
    add = own.add_parser("add", help="make a key, which is shown once")
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=SCOPES,
        help="what it may ask for; may stand several times",
    )
    add.add_argument("--requests", type=_read_count, metavar="N", help="a minute (serve.limits)")
    add.add_argument("--rows", type=_read_count, metavar="N", help="a day (serve.limits)")
    add.set_defaults(act=_add)
    rotate = own.add_parser("rotate", help="make a key like a caller's last one, which ends soon")
    rotate.add_argument(
        "--overlap", type=_read_time, default="1d", metavar="TIME", help="both hold so long (1d)"
    )
    rotate.set_defaults(act=_rotate)
    revoke = own.add_parser("revoke", help="end a caller's keys now")
    revoke.add_argument("--id", help="only the key with this id")
    revoke.set_defaults(act=_revoke)
    show = own.add_parser("list", help="say which keys there are, and which hold")
    show.set_defaults(act=_list)
    for one in (add, rotate, revoke):
        one.add_argument("name", metavar="NAME", help="of the caller, as the log has it")
    for one in (add, rotate):
        one.add_argument(
            "--expires", type=_read_time, default="90d", metavar="TIME", help="as 12h or 90d (90d)"
        )
        one.add_argument(
            "--out", type=Path, metavar="FILE", help="put the key there, not on screen"
        )
    for one in (add, rotate, revoke, show):
        one.add_argument(
            "--file", type=Path, default=FILE, metavar="FILE", help=f"of the keys ({FILE})"
        )


def _read_time(text: str) -> int:
    """Seconds of 12h or 90d."""
    match = re.fullmatch(r"([0-9]{1,5})([hd])", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else -1
    if not 0 <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write hours or days, as 12h or 90d")
    return seconds


def _read_count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,11}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _add(options: argparse.Namespace) -> None:
    _check(options)
    limits = {"requests_per_minute": options.requests, "rows_per_day": options.rows}
    _make(options, lambda keys: (keys, {"scopes": tuple(dict.fromkeys(options.scope))} | limits))


def _rotate(options: argparse.Namespace) -> None:
    _check(options)
    end = time.time() + options.overlap

    def plan(keys: tuple[ApiKey, ...]) -> tuple[tuple[ApiKey, ...], dict[str, object]]:
        own = _find(options, keys)
        last = own[-1]
        kept = ("scopes", "requests_per_minute", "rows_per_day")
        return _change(keys, own, lambda key: _end_by(key, end)), {
            f: getattr(last, f) for f in kept
        }

    _make(options, plan)
    say(f"Its earlier keys hold until {text_of(end)}.")


def _end_by(key: ApiKey, end: float) -> ApiKey:
    return replace(key, expires=text_of(min(end, seconds_of(key.expires))))


def _check(options: argparse.Namespace) -> None:
    if re.fullmatch(NAME, options.name) is None:
        raise UserError(
            f"The name {printable(options.name)!r} cannot be used: take 1 to 64 letters, digits, dots, "
            "hyphens and underscores, the first a letter or digit."
        )
    if options.expires < 1:
        raise UserError("A key that expires at once opens nothing; give --expires 90d.")
    if options.out is not None and os.path.lexists(options.out):
        raise UserError(f"{show_path(options.out)} is there already; choose another --out.")


Plan = Callable[[tuple[ApiKey, ...]], tuple[tuple[ApiKey, ...], dict[str, object]]]


def _make(options: argparse.Namespace, plan: Plan) -> None:
    """Add a key with the fields that `plan` gives, to the keys as it leaves them."""
    key, key_id, hashed = draw_key()
    now = time.time()
    with _lock(options.file):
        file = read_key_file(options.file) if os.path.lexists(options.file) else KeyFile()
        before, fields = plan(file.keys)
        if len(before) >= MOST_KEYS:
            raise UserError(
                f"{show_path(options.file)} has {MOST_KEYS:,} keys, the most that a gateway takes; take "
                "those out that are over."
            )
        entry = ApiKey(
            id=key_id,
            name=options.name,
            sha256=hashed,
            created=text_of(now),
            expires=text_of(now + options.expires),
            **fields,  # type: ignore[arg-type]  # of an entry, and checked by it
        )
        if options.out is not None:
            write_whole(options.out, key.encode() + b"\n", PRIVATE_MODE)
        try:
            write_key_file(options.file, KeyFile(keys=(*before, entry)))
        except BaseException:
            if options.out is not None:
                options.out.unlink()  # it opens nothing
            raise
    say(f"Made a key for {options.name}, for {', '.join(entry.scopes)}.", "bold")
    place = key if options.out is None else f"in {show_path(options.out)} (0600)"
    print_facts(("key", place), ("id", key_id), ("expires", entry.expires))
    once = "It is shown this once: the" if options.out is None else "The"
    say(f"{once} file of keys keeps only its hash. Send it as `authorization: Bearer KEY`.")


def _revoke(options: argparse.Namespace) -> None:
    now = text_of(time.time())
    with _lock(options.file):
        keys = read_key_file(options.file).keys
        own = _find(options, keys)
        write_key_file(
            options.file, KeyFile(keys=_change(keys, own, lambda key: replace(key, revoked=now)))
        )
    say(f"Revoked {say_count(len(own), 'key')} of {options.name}: {', '.join(k.id for k in own)}.")


def _find(options: argparse.Namespace, keys: tuple[ApiKey, ...]) -> list[ApiKey]:
    """The keys of a caller that hold, the oldest first; one of them where an id is given."""
    now, key_id = time.time(), getattr(options, "id", None)
    own = [key for key in keys if key.name == options.name and why_over(key, now) is None]
    if key_id is not None:
        own = [key for key in own if key.id == key_id]
    if not own:
        which = f"with the id {printable(key_id, 40)} " if key_id is not None else ""
        raise UserError(
            f"{show_path(options.file)} has no key {which}of {printable(options.name, 80)} that holds; "
            f"see `calyx keys gateway list`."
        )
    return own


def _change(
    keys: tuple[ApiKey, ...], chosen: list[ApiKey], change: Callable[[ApiKey], ApiKey]
) -> tuple[ApiKey, ...]:
    ids = {key.id for key in chosen}
    return tuple(change(key) if key.id in ids else key for key in keys)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep a file of keys from other commands. Raises UserError."""
    place = Path(os.path.realpath(path))
    try:
        with lock_file(place.with_name(f".{place.name}.lock")) as is_free:
            if not is_free:
                raise UserError(
                    f"{show_path(path)} is being changed by another command; try again."
                )
            yield
    except OSError as error:
        raise UserError(f"{show_path(path)} cannot be written: {error.strerror}.") from None


def _list(options: argparse.Namespace) -> None:
    keys, now = read_key_file(options.file).keys, time.time()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("caller", "id", "scopes", "expires", "limits", ""):
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "expires"))
    for key in keys:
        limits = [
            f"{value:,} {what}"
            for value, what in (
                (key.requests_per_minute, "a minute"),
                (key.rows_per_day, "rows a day"),
            )
            if value is not None
        ]
        state = why_over(key, now) or "holds"
        cells = (key.name, key.id, " ".join(key.scopes), key.expires, ", ".join(limits), state)
        table.add_row(*map(Text, cells))
    Console().print(table)
