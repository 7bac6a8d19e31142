"""`calyx doctor server`: everything that could keep a server from serving its sites, and its cure."""

import hashlib
import ssl
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from calyx.cli.checks import Check, attempt, private_folder, show
from calyx.cli.doctor import packages
from calyx.cli.server import make_parser
from calyx.errors import UserError, quote_command
from calyx.machine.ports import why_taken
from calyx.trust.certificates import (
    SOON_DAYS,
    Described,
    check_node_public,
    check_pair,
    check_signed,
    describe,
    has_identifier,
    is_of_authority,
)
from calyx.trust.key_files import PRIVATE_MODE, read_roster_file
from calyx.words.sentences import say_count

MIN_DISK_BYTES = 2**30
LOCAL = {"localhost", "127.0.0.1", "::1"}
ENDING = ".node.pub"


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if the server can serve. Raises UserError."""
    parser = make_parser("calyx doctor server", __doc__)
    parser.add_argument("--roster", type=Path, help="whose members should all have a node key")
    options = parser.parse_args(arguments)
    keys, nodes, state = options.keys, options.nodes, options.state
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("authority", partial(_authority, keys)),
        ("certificate", partial(_certificate, keys)),
        ("private keys", partial(_private, keys)),
        ("nodes", partial(_nodes, nodes, options.roster)),
        ("state", partial(private_folder, "state", state, MIN_DISK_BYTES)),
    ]
    for what, host, port in (
        ("port", options.host, options.port),
        ("control-port", "127.0.0.1", options.control_port),
    ):
        looks.append((what, partial(look_at_port, what, host, port, keys)))
    checks = [packages(), *(attempt(what, look) for what, look in looks)]
    return show(checks, "This server can serve.")


def _authority(keys: Path) -> Check:
    path = keys / "ca.crt"
    mend = "calyx keys init --folder NEW, and its ca.crt to every site"
    aged = _judge_age("authority", path, describe(path), mend)
    if aged.state == "ok" and not has_identifier(path):
        what = f"{path} has no key identifier, and sites on Python 3.13 or newer refuse it"
        renew = quote_command("calyx", "keys", "renew", "--folder", keys)
        return Check("authority", "note", what, f"{renew}, and the new ca.crt to those sites")
    return aged


def _certificate(keys: Path) -> Check:
    path = keys / "server.crt"
    described = describe(path)
    check_signed(path, keys / "ca.crt")
    check_pair(path, keys / "server.key")
    mend = quote_command("calyx", "keys", "renew", "--folder", keys)
    aged = _judge_age("certificate", path, described, mend)
    names = ", ".join(described.names)
    if aged.state == "ok" and not set(described.names) - LOCAL:
        found_names = f"{path} is for {names or 'no host'} only"
        return Check("certificate", "note", found_names, f"{mend} --host HOST")
    return aged if aged.state == "problem" else replace(aged, found=f"{aged.found}; for {names}")


def _judge_age(what: str, path: Path, described: Described, mend: str) -> Check:
    now = datetime.now(UTC)
    left = described.days_left(now)
    if described.begins > now:
        return Check(what, "problem", f"{path} is not valid yet", "set the clock by NTP")
    if left < 0:
        return Check(what, "problem", f"{path} ended {-left:.0f} days ago", mend)
    is_soon = left < SOON_DAYS
    words = f"{path} ends in {left:.0f} days"
    return Check(what, "note" if is_soon else "ok", words, mend if is_soon else "")


def _private(keys: Path) -> Check:
    there = [path for path in (keys / "server.key", keys / "ca.key") if path.exists()]
    wide = quote_command(*(p for p in there if stat.S_IMODE(p.stat().st_mode) & ~PRIVATE_MODE))
    if wide:
        return Check("private keys", "problem", f"others may read {wide}", f"chmod 600 {wide}")
    if not there:
        return Check("private keys", "problem", f"none in {keys}", "see --keys")
    names = ", ".join(path.name for path in there)
    return Check("private keys", "ok", f"{names}: their owner's alone")


def _nodes(folder: Path, roster: Path | None) -> Check:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; put each site's .node.pub into it.")
    names, mistakes = _node_names(folder)
    if mistakes:
        return Check("nodes", "problem", " ".join(mistakes), "ask these sites for theirs again")
    if not names:
        return Check(
            "nodes", "problem", f"{folder} holds no .node.pub", "ask each site for its own"
        )
    count = say_count(len(names), "site")
    words = f"{count}: {', '.join(sorted(names))}"
    if roster is not None:
        members = {name for name, _ in read_roster_file(roster).clients}
        if members - names:
            missing = ", ".join(sorted(members - names))
            mend = f"get their .node.pub: without it they cannot connect ({missing})"
            return Check("nodes", "problem", words, mend)
        if names - members:
            strangers = ", ".join(sorted(names - members))
            return Check("nodes", "note", words, f"not on the roster: {strangers}")
    strays = ", ".join(p.name for p in sorted(folder.iterdir()) if not p.name.endswith(ENDING))
    if strays:
        return Check("nodes", "note", words, f"no public node keys, and not read: {strays}")
    return Check("nodes", "ok", words)


def _node_names(folder: Path) -> tuple[set[str], list[str]]:
    """The sites whose keys can be used, and a sentence for each of the other files."""
    owners: dict[str, str] = {}
    mistakes = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        name = path.name.removesuffix(ENDING)
        try:
            earlier = owners.setdefault(check_node_public(path), name)
        except UserError as error:
            mistakes.append(str(error))
            continue
        if earlier != name:
            mistakes.append(f"{name} and {earlier} have the same node key in {folder}.")
    return set(owners.values()), mistakes


ANSWER_S = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - not listened on


def look_at_port(what: str, host: str, port: int, keys: Path) -> Check:
    """Free, a server of the same authority, or a problem. Raises UserError for a bad ca.crt."""
    reason = why_taken(host, port)
    if reason is None:
        return Check(what, "ok", f"{host}:{port} is free")
    presented = _fetch_certificate(_ANYWHERE.get(host, host), port)
    if presented is None or not is_of_authority(presented, keys / "ca.crt"):
        words = f"{host}:{port} cannot be listened on ({reason}), and no server of {keys} is there"
        mend = f"end the program that has it, or choose another --{what}; see also --host"
        return Check(what, "problem", words, mend)
    served = hashlib.sha256(ssl.PEM_cert_to_DER_cert(presented)).hexdigest()
    if served != describe(keys / "server.crt").fingerprint:
        words = f"a server runs at {host}:{port} with another certificate than {keys}/server.crt"
        return Check(what, "note", words, "stop `calyx server` and start it again")
    return Check(what, "ok", f"{host}:{port} is taken by a server with {keys}/server.crt")


def _fetch_certificate(host: str, port: int) -> str | None:
    """The certificate, in PEM, of whoever speaks TLS there; it has proved to hold the key."""
    try:
        return ssl.get_server_certificate((host, port), timeout=ANSWER_S)
    except (OSError, OverflowError, ValueError):
        return None
