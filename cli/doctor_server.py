"""`calyx doctor server`: everything that could keep a server from serving its sites, and its cure."""

import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from calyx.certificates import check_node_public, check_pair, check_signed, describe
from calyx.errors import UserError
from calyx.key_files import PRIVATE_MODE, read_roster_file
from cli.checks import Check, attempt, show
from cli.doctor import packages
from cli.server import make_parser
from engines.superlink import why_taken

SOON_DAYS = 30
MIN_DISK_BYTES = 2**30
LOCAL = {"localhost", "127.0.0.1", "::1"}


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if the server can serve. Raises UserError."""
    parser = make_parser("calyx doctor server", __doc__)
    parser.add_argument("--roster", type=Path, help="whose members should all have a node key")
    options = parser.parse_args(arguments)
    keys, nodes, state = Path(options.keys), Path(options.nodes), Path(options.state)
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("authority", partial(_authority, keys)),
        ("certificate", partial(_certificate, keys)),
        ("private keys", partial(_private, keys)),
        ("nodes", partial(_nodes, nodes, options.roster)),
        ("state", partial(_state, state)),
    ]
    checks = [packages(), *(attempt(what, look) for what, look in looks)]
    checks += _ports((options.host, options.port), ("127.0.0.1", options.control_port))
    return show(checks, "This server can serve.")


def _authority(keys: Path) -> Check:
    found = describe(keys / "ca.crt")
    return _aged(
        "authority", keys / "ca.crt", found.days_left(datetime.now(UTC)), "calyx keys init"
    )


def _certificate(keys: Path) -> Check:
    path = keys / "server.crt"
    found, now = describe(path), datetime.now(UTC)
    check_signed(path, keys / "ca.crt")
    check_pair(path, keys / "server.key")
    mend = f"calyx keys renew --folder {keys}"
    if found.begins > now:
        return Check("certificate", "problem", f"{path} is not valid yet", "set the clock by NTP")
    if not set(found.names) - LOCAL:
        names = ", ".join(found.names)
        return Check("certificate", "note", f"{path} is for {names} only", f"{mend} --host HOST")
    aged = _aged("certificate", path, found.days_left(now), mend)
    return (
        aged if aged.mend else Check("certificate", "ok", f"{aged.found}; {', '.join(found.names)}")
    )


def _aged(what: str, path: Path, left: float, mend: str) -> Check:
    if left < 0:
        return Check(what, "problem", f"{path} ended {-left:.0f} days ago", mend)
    found = f"{path} ends in {left:.0f} days"
    return Check(
        what, "note" if left < SOON_DAYS else "ok", found, mend if left < SOON_DAYS else ""
    )


def _private(keys: Path) -> Check:
    there = [path for path in (keys / "server.key", keys / "ca.key") if path.exists()]
    wide = [path for path in there if stat.S_IMODE(path.stat().st_mode) & ~PRIVATE_MODE]
    if wide:
        found = f"others may read {', '.join(map(str, wide))}"
        return Check("private keys", "problem", found, f"chmod 600 {' '.join(map(str, wide))}")
    return Check(
        "private keys", "ok", f"{', '.join(path.name for path in there)}: their owner's alone"
    )


def _nodes(folder: Path, roster: Path | None) -> Check:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; put each site's .node.pub into it.")
    owners: dict[str, str] = {}
    for path in sorted(folder.glob("*.node.pub")):
        key, name = check_node_public(path), path.name.removesuffix(".node.pub")
        if key in owners:
            raise UserError(f"{name} and {owners[key]} have the same node key in {folder}.")
        owners[key] = name
    if not owners:
        return Check(
            "nodes", "problem", f"{folder} holds no .node.pub", "ask each site for its own"
        )
    names = set(owners.values())
    found = f"{len(names)} sites: {', '.join(sorted(names))}"
    if roster is not None:
        members = {name for name, _ in read_roster_file(roster).clients}
        if members - names:
            missing = ", ".join(sorted(members - names))
            mend = f"get their .node.pub: without it they cannot connect ({missing})"
            return Check("nodes", "problem", found, mend)
        if names - members:
            strangers = ", ".join(sorted(names - members))
            return Check("nodes", "note", found, f"not on the roster: {strangers}")
    return Check("nodes", "ok", found)


def _state(folder: Path) -> Check:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Check("state", "problem", f"others may look into {folder}", f"chmod 700 {folder}")
    found = f"{folder}: {free / 2**30:.1f} GiB free"
    if free < MIN_DISK_BYTES:
        return Check("state", "problem", found, "free some space, or name another --state")
    return Check("state", "ok", found)


def _ports(*addresses: tuple[str, int]) -> Iterator[Check]:
    for (host, port), what in zip(addresses, ("gateway port", "control port"), strict=True):
        reason = why_taken(host, port)
        if reason:
            mend = "fine if `calyx server` runs already; else choose another one"
            yield Check(
                what, "note", f"{host}:{port} is taken or not this machine's ({reason})", mend
            )
        else:
            yield Check(what, "ok", f"{host}:{port} is free")
