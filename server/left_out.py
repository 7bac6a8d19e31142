"""Clients that are out of the rest of a run, because their rows are not those that it began with.

Who resumes the run decides it, once; it holds for every later resume as well.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

from calyx.config import PositiveInt, config, parse
from calyx.errors import ConfigError, UserError
from calyx.files import read_bounded, write_json
from server.folder import RunFolder

_MAX_BYTES = 64 * 2**20


@config
class LeftOut:
    """A client, the first round without it, and what is different about its rows."""

    client: str
    since_round: PositiveInt
    why: str


@config
class _File:
    left_out_changed: tuple[LeftOut, ...]


def read_left_out(folder: RunFolder) -> tuple[LeftOut, ...]:
    """Who is left out, sorted by name. Raises UserError for a damaged file."""
    if not folder.left_out.exists():
        return ()
    try:
        value = json.loads(read_bounded(folder.left_out, _MAX_BYTES))
        return parse(_File, value if isinstance(value, dict) else {}, "").left_out_changed
    except (ValueError, RecursionError, ConfigError):
        raise UserError(f"{folder.left_out} is damaged; restore it from a copy.") from None


def leave_out(folder: RunFolder, why: Mapping[str, str], since_round: int) -> None:
    """Leave these clients out from a round on, each for the reason given, and say it in the events."""
    if not why:
        return
    new = [LeftOut(client=name, since_round=since_round, why=text) for name, text in why.items()]
    everybody = sorted([*read_left_out(folder), *new], key=lambda one: one.client)
    write_json(folder.left_out, {"left_out_changed": [asdict(one) for one in everybody]})
    for one in new:
        folder.event(
            "left-out",
            "warning",
            f"{one.client} is left out from round {since_round} on: its rows are not those that the "
            f"run began with ({one.why}).",
            round=since_round,
            client=one.client,
        )
