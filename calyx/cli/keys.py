"""`calyx keys`: identity keys, the roster that a consortium signs, and fingerprints to compare."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.cli import keys_gateway, keys_log, keys_signers, keys_tls
from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say, warn
from calyx.errors import UserError
from calyx.files.outputs import show_path, write_whole
from calyx.secagg.keys import identity_of
from calyx.secagg.roster import Roster, fingerprint, make_roster, write_roster
from calyx.trust import key_files
from calyx.trust.certificates import make_node_key, node_files
from calyx.trust.key_files import OWNERS, PrivateKey, PublicKey, refuse_existing
from calyx.trust.manifest import write_manifest
from calyx.trust.signed import check_unsigned, is_register, note_signed, read_register
from calyx.words.lookalikes import lookalikes
from calyx.words.sentences import say_count

Pair = tuple[Path, Path]  # a private key's file, and its public one


def main(arguments: Sequence[str]) -> int:
    """Run one action; returns the exit code. Raises UserError."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    options.act(options)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="calyx keys", description=__doc__, allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    identity = actions.add_parser("identity", help="on a site: make its identity key")
    identity.add_argument("name", metavar="NAME", help="of this site, as the roster will call it")
    identity.set_defaults(act=_make_identity)
    site = actions.add_parser("site", help="on a site: its identity key and its node key")
    site.add_argument("name", metavar="NAME", help="of this site, as the roster will call it")
    site.add_argument("--task", help="write the site's file NAME.yaml too, with this task's policy")
    site.add_argument(
        "--server", metavar="HOST:PORT", help="of the operator's gateway, for that file"
    )
    site.add_argument(
        "--drawn", action="store_true", help="for that file: runs may draw some sites a round"
    )
    site.set_defaults(act=_make_site)
    consortium = actions.add_parser("consortium", help="make the key that signs rosters")
    consortium.set_defaults(act=_make_consortium)
    for one in (identity, site, consortium):
        one.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where (here)")
    keys_tls.add_to(actions)
    keys_log.add_to(actions)
    keys_gateway.add_to(actions)
    keys_signers.add_to(actions)
    roster = actions.add_parser("roster", help="sign who may take part")
    roster.add_argument(
        "--consortium", type=Path, required=True, metavar="KEY", help="the consortium's .key file"
    )
    roster.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new roster")
    roster.add_argument(
        "--previous", type=Path, metavar="FILE", help="the roster that this one follows"
    )
    roster.add_argument(
        "sites", type=Path, nargs="+", metavar="SITE.pub", help="every site, old and new"
    )
    roster.set_defaults(act=_sign_roster)
    manifest = actions.add_parser("manifest", help="sign the code that is installed here")
    manifest.add_argument(
        "--consortium", type=Path, required=True, metavar="KEY", help="the consortium's .key file"
    )
    manifest.add_argument("--out", type=Path, required=True, metavar="FILE")
    manifest.add_argument("--version", type=int, required=True, help="above all earlier ones")
    manifest.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help="one with a task of its own, as it is imported; may stand several times",
    )
    manifest.set_defaults(act=_sign_manifest)
    show = actions.add_parser("show", help="say what files hold, and their fingerprints")
    show.add_argument("files", type=Path, nargs="+", metavar="FILE")
    show.set_defaults(act=_show_all)
    return parser


def _make_identity(options: argparse.Namespace) -> None:
    public = key_files.make_key("identity", options.name, options.folder)
    _print_made(f"Made the identity key of {public.name}.", public, options.folder)
    say("Send the public file to the consortium, and read them the fingerprint over the phone.")


def _make_site(options: argparse.Namespace) -> None:
    """Both keys of a site and its file, or what of them is not there yet: nothing is replaced."""
    from calyx.cli.site_file import plan_file  # late: it loads what composes configs

    name, folder = options.name, options.folder
    key_files.check_name(name)
    file = plan_file(options)
    identity, node = (folder / f"{name}.key", folder / f"{name}.pub"), node_files(name, folder)
    missing = [pair for pair in (identity, node) if not all(map(os.path.lexists, pair))]
    if not missing and file is None:
        refuse_existing(identity)
    for pair in missing:
        refuse_existing(pair)  # before anything is made
    _make_keys(options, missing, identity, node)
    if file is not None:
        write_whole(*file, 0o644)
        say(
            f"Wrote this site's file {show_path(file[0])}, with the policy of task={options.task}.",
            "bold",
        )
        say("Read its policy: what this site asks of every order is its own to decide.")


def _make_keys(
    options: argparse.Namespace, missing: list[Pair], identity: Pair, node: Pair
) -> None:
    """Make those of the two pairs that are `missing`."""
    name, folder = options.name, options.folder
    if identity in missing:
        _make_identity(options)
    else:
        key_files.read_identity(identity[0])
        say(f"The identity key of {name} stays: {show_path(identity[0])}.", "bold")
    if node not in missing:
        say(f"The node key of {name} stays: {show_path(node[0])}.", "bold")
        return
    make_node_key(name, folder)
    print_facts(
        ("opens the gateway, stays here", str(node[0])),
        ("for the operator", str(node[1])),
    )
    say("Send that file to the operator, and compare what `calyx keys show` says of it by phone.")


def _make_consortium(options: argparse.Namespace) -> None:
    public = key_files.make_key("consortium", key_files.CONSORTIUM, options.folder)
    _print_made("Made the consortium's signing key.", public, options.folder)
    say("Every site compares this fingerprint over the phone before it pins a roster.")


def _print_made(head: str, public: PublicKey, folder: Path) -> None:
    say(head, "bold")
    print_facts(
        ("private", f"{show_path(folder / public.name)}.key (0600; never leaves this machine)"),
        ("public", f"{show_path(folder / public.name)}.pub (give it away)"),
        ("fingerprint", _lines(public.key)),
    )


def _sign_roster(options: argparse.Namespace) -> None:
    private = key_files.read_consortium(options.consortium)
    before = key_files.read_roster_file(options.previous) if options.previous else None
    if before is not None and before.consortium != identity_of(private):
        raise UserError(
            f"{show_path(options.previous)} was signed by another consortium's key than "
            f"{show_path(options.consortium)}; use the key that signed it, or leave --previous out."
        )
    clients = _read_sites(options.sites)
    replace = _may_replace(options.out, options.previous)
    try:
        roster = make_roster(clients, before.version + 1 if before else 1, private)
    except ValueError as error:
        raise UserError(f"The roster cannot be made: {error}.") from None
    content = roster.version, roster.digest.hex()
    check_unsigned(options.consortium, "roster", *content)
    write_whole(options.out, write_roster(roster).encode(), replace=replace)
    note_signed(options.consortium, "roster", *content)
    _print_roster(options.out, roster)
    if before is not None:
        _print_changes(before, roster)


def _sign_manifest(options: argparse.Namespace) -> None:
    private = key_files.read_consortium(options.consortium)
    text = write_manifest(options.version, private, options.package)
    content = options.version, json.loads(text)["code"]
    check_unsigned(options.consortium, "manifest", *content)
    write_whole(options.out, text.encode(), 0o644)
    note_signed(options.consortium, "manifest", *content)
    say(f"Signed the installed code as manifest {options.version}.", "bold")
    print_facts(("for every site", str(options.out)))


def _read_sites(files: Sequence[Path]) -> dict[str, bytes]:
    clients: dict[str, bytes] = {}
    origins: dict[str | bytes, Path] = {}
    for file in files:
        public = key_files.read_public(file)
        for what, value in (("name", public.name), ("key", public.key)):
            if value in origins:
                raise UserError(
                    f"{show_path(file)} has the same {what} as {show_path(origins[value])}; give every "
                    "site once, with a name and a key of its own."
                )
            origins[value] = file
        clients[public.name] = public.key
    if twins := lookalikes(clients):
        one, other = (f"{name!r} ({show_path(origins[name])})" for name in twins)
        raise UserError(
            f"The names {one} and {other} cannot be told apart by eye or over the phone; find out "
            "whose they are, and give one of the two sites another name."
        )
    return clients


def _may_replace(out: Path, previous: Path | None) -> bool:
    """Whether `out` is the roster that the new one follows; any other file is left alone."""
    if not os.path.lexists(out):
        return False
    if previous is not None and out.exists() and out.samefile(previous):
        return True
    raise UserError(
        f"{show_path(out)} exists; replace it with --previous {show_path(out)}, or choose another --out."
    )


def _print_changes(before: Roster, after: Roster) -> None:
    old, new = dict(before.clients), dict(after.clients)
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    rows = [
        ("added", sorted(new.keys() - old.keys())),
        ("removed", sorted(old.keys() - new.keys())),
        ("changed key", changed),
    ]
    say(f"Since version {before.version}:", "bold")
    print_facts(*((what, ", ".join(names) or "none") for what, names in rows))
    if gone := dict(rows)["removed"]:
        warn(
            f"{len(gone)} of {say_count(len(old), 'site')} of version {before.version} may take part no "
            f"more: {', '.join(gone)}. If that is not meant, sign the next version with the .pub "
            "of all sites."
        )
    if changed:
        say("A changed key may be an intruder's: compare it over the phone first.", "yellow")


def _show_all(options: argparse.Namespace) -> None:
    """Show what can be shown; the rest is one UserError at the end."""
    mistakes = []
    for file in options.files:
        try:
            _show(file)
        except UserError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UserError(" ".join(mistakes))


def _show(path: Path) -> None:
    if keys_signers.show(path) or keys_tls.show(path):
        return
    if is_register(path):
        say(f"{show_path(path)}: what the key beside it has signed", "bold")
        signed = read_register(path)
        print_facts(*((f"{s.what} {s.version}", f"{s.day}  {s.digest[:16]}…") for s in signed))
        return
    match key_files.read_any(path):
        case Roster() as roster:
            _print_roster(path, roster)
        case PublicKey() as public:
            say(f"{show_path(path)}: public key, {OWNERS[public.kind]}", "bold")
            print_facts(("name", public.name), ("fingerprint", _lines(public.key)))
        case PrivateKey(public=public) as private:
            say(f"{show_path(path)}: private key, {OWNERS[public.kind]}", "bold")
            print_facts(("name", public.name), ("fingerprint", _lines(public.key)))
            if private.is_exposed:
                say(f"  Its mode is wider than 0600: {key_files.mend(path)}", "red")


def _print_roster(path: Path, roster: Roster) -> None:
    count = say_count(len(roster), "client")
    say(f"{show_path(path)}: roster, version {roster.version}, {count}", "bold")
    print_facts(("consortium", _lines(roster.consortium)))
    table = Table(box=None, padding=(0, 0, 0, 2))
    table.add_column("client", overflow="fold")
    table.add_column("fingerprint", no_wrap=True)
    for name, key in roster.clients:
        table.add_row(Text(name), Text(_lines(key), style="cyan"))
    Console().print(table)
    say("  Compare the consortium's fingerprint over the phone before you pin this file.", "dim")


def _lines(key: bytes) -> str:
    """A fingerprint in two lines of six groups, so that no terminal breaks it elsewhere."""
    groups = fingerprint(key).split()
    return " ".join(groups[:6]) + "\n" + " ".join(groups[6:])
