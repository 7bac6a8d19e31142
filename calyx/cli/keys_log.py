"""`calyx keys log` and `calyx keys rows`: who signs a gateway's log, and who reads the rows that it keeps."""

import argparse
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.files.outputs import show_path
from calyx.secagg.roster import fingerprint
from calyx.trust.key_files import make_key
from calyx.trust.sealing import make_reader


def add_to(actions: "argparse._SubParsersAction[Parser]") -> None:
    """The two actions."""
    key = actions.add_parser("log", help="for a gateway: the key that signs its log of decisions")
    key.set_defaults(act=_make)
    rows = actions.add_parser(
        "rows", help="for an auditor: the key that reads rows kept by a gateway"
    )
    rows.set_defaults(act=_make_rows)
    for one in (key, rows):
        one.add_argument("name", metavar="NAME", help="of the key")
        one.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where (here)")


def _make(options: argparse.Namespace) -> None:
    public = make_key("log", options.name, options.folder)
    place = show_path(options.folder / public.name)
    say(f"Made the log key {public.name}.", "bold")
    print_facts(
        ("signs, with the gateway", f"{place}.key (0600)"),
        ("for who verifies", f"{place}.pub"),
        ("fingerprint", fingerprint(public.key)),
    )
    say("Keep the public file where the gateway's operator cannot change it.")


def _make_rows(options: argparse.Namespace) -> None:
    public = make_reader("rows", options.name, options.folder)
    place = show_path(options.folder / options.name)
    say(f"Made the key of kept rows {options.name}.", "bold")
    print_facts(
        ("reads what is kept, stays here", f"{place}.key (0600)"),
        ("for the gateway's operator", f"{place}.pub"),
        ("fingerprint", fingerprint(public)),
    )
