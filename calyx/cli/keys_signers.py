"""`calyx keys signer`, `signers` and `recipient`: whose keys sign a release, and whose open one."""

import argparse
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.files.outputs import show_path, write_whole
from calyx.releases.signers import Signers, make_signers, read_signers, signers_bytes
from calyx.secagg.keys import public_of
from calyx.secagg.roster import fingerprint
from calyx.trust.key_files import make_key, read_bytes, read_public_of
from calyx.trust.recipients import is_recipient, make_recipient, read_private, read_recipient

_MARK = b'"calyx-signers/1"'


def add_to(actions: "argparse._SubParsersAction[Parser]") -> None:
    """The three actions."""
    signer = actions.add_parser("signer", help="the key of a person who signs releases")
    signer.add_argument("name", metavar="NAME", help="of the person, as the policy will call them")
    signer.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where (here)")
    signer.set_defaults(act=_make_signer)
    signers = actions.add_parser("signers", help="for who verifies: how many of whom must sign")
    signers.add_argument(
        "--threshold", type=int, required=True, metavar="M", help="how many of them must sign"
    )
    signers.add_argument("--out", type=Path, required=True, metavar="FILE", help="the policy")
    signers.add_argument("publics", type=Path, nargs="+", metavar="NAME.pub")
    signers.set_defaults(act=_make_signers)
    recipient = actions.add_parser("recipient", help="a key to which releases are encrypted")
    recipient.add_argument("name", metavar="NAME", help="of the person or the machine")
    recipient.add_argument(
        "--folder", type=Path, default=Path(), metavar="DIR", help="where (here)"
    )
    recipient.set_defaults(act=_make_recipient)


def _make_signer(options: argparse.Namespace) -> None:
    public = make_key("signer", options.name, options.folder)
    place = show_path(options.folder / public.name)
    say(f"Made the key of the release signer {public.name}.", "bold")
    print_facts(
        ("private", f"{place}.key (0600; never leaves this machine)"),
        ("public", f"{place}.pub (give it to whoever verifies)"),
        ("fingerprint", _lines(public.key)),
    )
    say("Whoever puts it into a policy compares the fingerprint with you first.")


def _make_signers(options: argparse.Namespace) -> None:
    publics = [read_public_of(path, "signer") for path in options.publics]
    signers = make_signers(options.threshold, publics)
    write_whole(options.out, signers_bytes(signers), 0o644)
    _print(options.out, signers)
    say(
        "Compare the fingerprints with the signers, and keep this file where only you can change it."
    )


def _make_recipient(options: argparse.Namespace) -> None:
    recipient = make_recipient(options.name, options.folder)
    place = show_path(options.folder / recipient.name)
    say(f"Made the key of {recipient.name}, to which releases are encrypted.", "bold")
    print_facts(
        ("private", f"{place}.key (0600; it opens them, and there is no other way in)"),
        ("public", f"{place}.pub (give it to whoever releases)"),
        ("fingerprint", _lines(recipient.key)),
    )


def show(path: Path) -> bool:
    """Say what a policy or a recipient's key holds; False for another kind of file.

    Raises UserError for a damaged one.
    """
    data = read_bytes(path, "key or roster", 2**28)[0]
    if is_recipient(data):
        is_private = b"PRIVATE KEY" in data
        key = public_of(read_private(path)) if is_private else read_recipient(path).key
        say(
            f"{show_path(path)}: {'private' if is_private else 'public'} key, a recipient's", "bold"
        )
        print_facts(("fingerprint", _lines(key)))
        return True
    if _MARK not in data[: 2**16]:
        return False
    _print(path, read_signers(path))
    return True


def _print(path: Path, signers: Signers) -> None:
    say(
        f"{show_path(path)}: {signers.threshold} of {len(signers.keys)} must sign a release", "bold"
    )
    print_facts(*((name, _lines(key)) for name, key in signers.keys.items()))


def _lines(key: bytes) -> str:
    groups = fingerprint(key).split()
    return " ".join(groups[:6]) + "\n" + " ".join(groups[6:])
