"""`calyx keys init`, `renew` and the part of `show` that is about TLS: an operator's certificates."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.errors import UserError
from calyx.files.outputs import show_path
from calyx.trust.authority import make_server, renew_server
from calyx.trust.certificates import SOON_DAYS, check_node_public, describe
from calyx.trust.key_files import read_bytes


def add_to(actions: "argparse._SubParsersAction[Parser]") -> None:
    """The two actions of an operator."""
    init = actions.add_parser("init", help="on the server: its own authority and certificate")
    init.set_defaults(act=_make)
    renew = actions.add_parser(
        "renew", help="on the server: a new certificate, before the old ends"
    )
    renew.set_defaults(act=_renew)
    for one, why in ((init, "as sites reach it"), (renew, "also as sites reach it, from now on")):
        one.add_argument("--host", action="append", required=one is init, metavar="HOST", help=why)
        one.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where (here)")
    renew.add_argument(
        "--without", action="append", metavar="HOST", help="a name of the old one that ends with it"
    )


def _make(options: argparse.Namespace) -> None:
    make_server(options.folder, options.host)
    say(f"Made the server's authority and certificate, for {', '.join(options.host)}.", "bold")
    print_facts(
        ("private, stay here", "ca.key, server.key"),
        ("for every site", str(options.folder / "ca.crt")),
        ("certificate ends", _day(describe(options.folder / "server.crt").ends)),
    )


def _renew(options: argparse.Namespace) -> None:
    changed = renew_server(options.folder, options.host or (), options.without or ())
    certificate = describe(options.folder / "server.crt")
    same = "; sites need nothing new" if not (changed.gone or changed.is_root_new) else ""
    say(f"Made a new certificate of the same authority{same}.", "bold")
    print_facts(
        ("for", ", ".join(certificate.names)),
        *((("new among them", ", ".join(changed.added)),) if changed.added else ()),
        ("certificate ends", _day(certificate.ends)),
        ("the old ones", ", ".join(changed.old) + ", beside them"),
    )
    if changed.gone:
        say(
            f"  Sites that reach the server as {' or '.join(changed.gone)} will be refused: give them "
            "one of the names above first.",
            "yellow",
        )
    if changed.is_root_new:
        say(
            "  ca.crt is new too, of the same key: the old one lacks the key identifier that Python "
            "3.13 and newer ask for. Give it to sites on those; the others may keep theirs.",
            "yellow",
        )
    say("Stop `calyx server` and start it again: it reads the files when it starts.")


def show(path: Path) -> bool:
    """Say what a certificate or a public node key holds; False for another kind of file.

    Raises UserError for a damaged one.
    """
    data, _ = read_bytes(path, "key or roster", 2**28)
    if b"-----BEGIN CERTIFICATE" in data[:4096]:
        _show_certificate(path)
    elif b"-----BEGIN PUBLIC KEY" in data[:4096]:
        fingerprint = check_node_public(path)
        say(f"{show_path(path)}: public key, a site's node key, for the operator", "bold")
        print_facts(("fingerprint", in_groups(fingerprint)))
    else:
        return False
    return True


def _show_certificate(path: Path) -> None:
    certificate, now = describe(path), datetime.now(UTC)
    left = certificate.days_left(now)
    still = f" ({left:.0f} days left)" if left > 0 else ""
    say(f"{show_path(path)}: certificate of {certificate.subject}", "bold")
    print_facts(
        ("for", ", ".join(certificate.names) or "signing the server's"),
        ("valid", f"{_day(certificate.begins)} to {_day(certificate.ends)}{still}"),
        ("fingerprint", in_groups(certificate.fingerprint)),
    )
    mend = "`calyx keys renew` makes a new one."
    if certificate.is_authority:
        mend = "make another with `calyx keys init --folder NEW`; every site needs its ca.crt."
    if left < 0:
        say(f"  It has ended: {mend}", "red")
    elif certificate.begins > now:
        say("  It is not valid yet: is this machine's clock right?", "red")
    elif left < SOON_DAYS:
        say(f"  It ends in {left:.0f} days: {mend}", "yellow")


def in_groups(fingerprint: str) -> str:
    """SHA-256 in two lines of eight groups, to be read aloud."""
    if len(fingerprint) != 64:
        raise UserError("A fingerprint has 64 hexadecimal digits.")
    words = [fingerprint[i : i + 4] for i in range(0, 64, 4)]
    return " ".join(words[:8]) + "\n" + " ".join(words[8:])


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
