"""`calyx keys log`: the key with which a gateway signs its log of decisions."""

import argparse
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.files.outputs import show_path
from calyx.secagg.roster import fingerprint
from calyx.trust.key_files import make_key


def add_to(actions: "argparse._SubParsersAction[Parser]") -> None:
    """The one action."""
    key = actions.add_parser("log", help="for a gateway: the key that signs its log of decisions")
    key.set_defaults(act=_make)
    key.add_argument("name", metavar="NAME", help="of the key, as of its gateway")
    key.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where (here)")


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
