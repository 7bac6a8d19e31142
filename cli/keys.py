"""`calyx keys`: identity keys, the roster that a consortium signs, and fingerprints to compare."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx import key_files
from calyx.errors import UserError
from calyx.files import write_atomically
from calyx.secagg.roster import Roster, fingerprint, make_roster, write_roster

CONSORTIUM = "consortium"


class _Parser(argparse.ArgumentParser):
    """Says a mistake as everything else of Calyx does."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError in place of exiting."""
        raise UserError(f"{self.prog}: {message}. {self.format_usage().strip()}")


def main(arguments: Sequence[str]) -> int:
    """Run one of identity, consortium, roster, show. Raises UserError."""
    options = _parser().parse_args(arguments)
    match options.action:
        case "identity":
            _make(options.name, Path(options.folder), "this site's identity")
        case "consortium":
            _make(CONSORTIUM, Path(options.folder), "the consortium's signing key")
        case "roster":
            _sign(options)
        case _:
            for file in options.files:
                _show(Path(file))
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="calyx keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    identity = actions.add_parser("identity", help="on a site: make its identity key")
    identity.add_argument("name", help="of this client, as the roster will call it")
    consortium = actions.add_parser("consortium", help="make the key that signs rosters")
    for parser_of_one in (identity, consortium):
        parser_of_one.add_argument("--folder", default=".", help="where to write (here)")
    roster = actions.add_parser("roster", help="sign who may take part")
    roster.add_argument("--consortium", required=True, help="file of the consortium's key")
    roster.add_argument("--out", required=True, help="file of the new roster")
    roster.add_argument("--previous", help="the roster that this one replaces")
    roster.add_argument("public", nargs="+", help="a .pub file of each site")
    show = actions.add_parser("show", help="say what files hold, and their fingerprints")
    show.add_argument("files", nargs="+")
    return parser


def _make(name: str, folder: Path, what: str) -> None:
    made = key_files.make_key(name, folder)
    console = Console()
    console.print(Text(f"Made {what}, {name}.", style="bold"))
    console.print(_facts(("private, stays here", str(folder / f"{name}.key"))))
    console.print(_facts(("public, give it away", str(folder / f"{name}.pub"))))
    console.print(_facts(("fingerprint", _lines(made.key))))


def _sign(options: argparse.Namespace) -> None:
    private = key_files.read_identity(Path(options.consortium))
    clients: dict[str, bytes] = {}
    for file in options.public:
        found = key_files.read_public(Path(file))
        if found.name in clients:
            raise UserError(f"{file} is a second key for {found.name}; give each site one name.")
        clients[found.name] = found.key
    before = key_files.read_roster_file(Path(options.previous)) if options.previous else None
    if before is not None and before.consortium != key_files.public_of(Path(options.consortium)):
        raise UserError(f"{options.previous} was signed by another consortium's key.")
    out = Path(options.out)
    if before is None and out.exists():
        raise UserError(f"{out} exists; replace it with --previous {out}, or choose another --out.")
    try:
        roster = make_roster(clients, before.version + 1 if before else 1, private)
        write_atomically(out, write_roster(roster).encode())
    except ValueError as error:
        raise UserError(f"The roster cannot be made: {error}.") from None
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from None
    if before is not None:
        _say_changes(before, roster)
    _print_roster(out, roster)


def _say_changes(before: Roster, after: Roster) -> None:
    old, new = dict(before.clients), dict(after.clients)
    changes = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "with a new key": sorted(n for n in old.keys() & new.keys() if old[n] != new[n]),
    }
    for what, names in changes.items():
        if names:
            Console().print(_facts((what, ", ".join(names))))
    if not any(changes.values()):
        Console().print("The same clients as before, under a new version.")


def _show(path: Path) -> None:
    console = Console()
    if path.suffix == ".pub":
        found = key_files.read_public(path)
        console.print(Text(f"{path}: public key of {found.name}", style="bold"))
        console.print(_facts(("fingerprint", _lines(found.key))))
    elif path.suffix == ".key":
        if path.exists() and not key_files.is_private(path):
            console.print(Text(f"Others can read {path}: chmod 600 {path}", style="red"))
        console.print(Text(f"{path}: private key of {path.stem}", style="bold"))
        console.print(_facts(("fingerprint", _lines(key_files.public_of(path)))))
    else:
        _print_roster(path, key_files.read_roster_file(path))


def _print_roster(path: Path, roster: Roster) -> None:
    console = Console()
    head = f"{path}: roster of {len(roster)} clients, version {roster.version}"
    console.print(Text(head, style="bold"))
    console.print(_facts(("consortium", _lines(roster.consortium))))
    table = Table("client", "fingerprint", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, key in roster.clients:
        table.add_row(Text(name), _lines(key))
    console.print(table)
    console.print("Compare the consortium's fingerprint over the phone before you pin this file.")


def _lines(key: bytes) -> str:
    """A fingerprint in two lines of six groups, so that no terminal breaks it elsewhere."""
    groups = fingerprint(key).split()
    return " ".join(groups[:6]) + "\n" + " ".join(groups[6:])


def _facts(*rows: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for what, value in rows:
        table.add_row(Text(f"  {what}", style="dim"), Text(value))
    return table
