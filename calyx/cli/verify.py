"""`calyx verify DIR --signers FILE`: what a release, or a folder of releases, is, and who signed it.

Exit code 0 means that every byte is what enough signers of the policy have signed, that the chain is
whole, and that the code on this machine is the one it was released with; 1 that it does not verify.
"""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calyx.cli.arguments import Parser
from calyx.cli.facts import say
from calyx.cli.release.opening import add_opener, opener_of
from calyx.errors import UserError, printable
from calyx.files.outputs import show_path
from calyx.releases.chain import Chain, is_release, read_chain
from calyx.releases.manifest import MAX_VERSION, Unverified
from calyx.releases.reading import Release, read_head, read_release
from calyx.releases.signers import list_keys, read_signers
from calyx.words.sentences import join_names, say_count


def main(arguments: Sequence[str]) -> int:
    """Verify, and say it in one line. Raises UserError, and Unverified without --json."""
    parser = Parser(prog="calyx verify", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a release, or a folder of releases"
    )
    parser.add_argument(
        "--signers", type=Path, metavar="FILE", help="who must sign, as you keep it: signers.json"
    )
    parser.add_argument(
        "--at-least", type=int, default=1, metavar="N", help="refuse a version below this one"
    )
    add_opener(parser)
    parser.add_argument("--json", action="store_true", help="say it as one JSON object")
    options = parser.parse_args(arguments)
    if not 1 <= options.at_least <= MAX_VERSION:
        raise UserError(f"--at-least={options.at_least} must be a version, from 1 on.")
    try:
        chain = _verify(options)
    except Unverified as error:
        if not options.json:
            raise
        _print({"verified": False, "why": str(error)})
        return error.exit_code
    if options.json:
        _print(_facts(chain))
    else:
        say(_describe(chain, options.folder))
    return 0


def _verify(options: Namespace) -> Chain:
    """What is in the folder; one release is a chain without older ones."""
    folder: Path = options.folder
    if options.signers is None:
        raise _ask_signers(folder)
    signers, opener = read_signers(options.signers), opener_of(options)
    if not folder.is_dir() or is_release(folder):
        return Chain(read_release(folder, signers, options.at_least, opener), ())
    return read_chain(folder, signers, options.at_least, opener)


def _ask_signers(folder: Path) -> UserError | Unverified:
    """What is wrong without a policy."""
    if is_release(folder):
        head = read_head(folder)
        if not list_keys(head.manifest, head.signatures):
            return Unverified(
                f"{show_path(folder)} is not signed: see `calyx release sign`, and name who must sign as "
                "--signers FILE."
            )
    return UserError(
        f"Whoever made {show_path(folder)} may have signed it, too: name who must have signed, as you keep "
        "it yourself, as --signers FILE (`calyx keys signers` makes one)."
    )


def _describe(chain: Chain, folder: Path) -> str:
    """One line: what it is, and who signed."""
    release = chain.newest
    manifest = release.manifest
    parts = [f"{show_path(release.folder)} is {manifest.title} of {manifest.created[:10]}"]
    parts.append(f"{_model(release)}, signed by {join_names(release.signed_by, most=10)}")
    if release.signed.unknown:
        parts.append(
            f"and by {say_count(len(release.signed.unknown), 'key')} that the policy does not have"
        )
    if chain.older:
        parts.append(f"the newest of {say_count(len(chain.older) + 1, 'release')} in a whole chain")
    elif manifest.parent is not None and is_release(folder):
        parts.append(f"after {manifest.parent[:16]}…, which was not looked at")
    return f"{', '.join(parts)}; digest {release.digest[:16]}…"


def _model(release: Release) -> str:
    task = release.card.task.name
    return f"a model of task={printable(task, 80)}"


def _facts(chain: Chain) -> dict[str, Any]:
    newest = chain.newest
    older = [
        _row(link.folder, link.manifest.version, link.digest, signed.names)
        for link, signed in chain.older
    ]
    return {
        "verified": True,
        "name": newest.manifest.name,
        "task": newest.card.task.name,
        "created": newest.manifest.created,
        **_row(newest.folder, newest.manifest.version, newest.digest, newest.signed_by),
        "unknown_keys": list(newest.signed.unknown),
        "parent": newest.manifest.parent,
        "older": older,
    }


def _row(folder: Path, version: int, digest: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {"folder": str(folder), "version": version, "digest": digest, "signed_by": list(names)}


def _print(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, indent=2))
