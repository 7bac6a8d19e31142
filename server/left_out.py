"""Clients that are out of the rest of a run, because their rows are not those that it began with.

Who resumes the run decides it, once; it holds for every later resume as well.
"""

from collections.abc import Mapping
from dataclasses import asdict

from calyx.config.section import config, parse_file
from calyx.files.plain import write_json
from calyx.run.folder import RunFolder
from calyx.run.summary import LeftOut

_MAX_BYTES = 64 * 2**20


@config
class _File:
    left_out_changed: tuple[LeftOut, ...]


def read_left_out(folder: RunFolder) -> tuple[LeftOut, ...]:
    """Who is left out, sorted by name. Raises UserError for a damaged file."""
    file = parse_file(_File, folder.left_out, _MAX_BYTES)
    return () if file is None else file.left_out_changed


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
