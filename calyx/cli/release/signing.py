"""`calyx release sign DIR --key NAME.key`: one more signature on a release, or those of a copy of it."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.cli.release.opening import add_opener, opener_of
from calyx.errors import UserError
from calyx.files.outputs import show_path
from calyx.files.plain import read_bounded
from calyx.pages.card import card_page
from calyx.releases.manifest import Unverified
from calyx.releases.reading import CARD, CARD_PAGE, Head, Release, read_draft, read_head
from calyx.releases.signers import (
    MOST_SIGNATURE_BYTES,
    join_signatures,
    list_keys,
    sign_manifest,
)
from calyx.releases.writing import hold, write_signatures
from calyx.secagg.roster import fingerprint
from calyx.trust.key_files import read_own
from calyx.trust.signed import check_unsigned, note_signed
from calyx.words.sentences import say_count


def main(arguments: Sequence[str]) -> int:
    """Sign one release. Raises UserError, and Unverified for one that is damaged."""
    parser = Parser(prog="calyx release sign", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a release's folder")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument("--key", type=Path, help="a signer's .key file")
    by.add_argument(
        "--add",
        type=Path,
        metavar="FILE",
        help="the manifest.sig of a copy that somebody else signed",
    )
    add_opener(parser)
    _sign(parser.parse_args(arguments))
    return 0


def _sign(options: Namespace) -> None:
    with hold(options.folder):
        release = read_draft(options.folder, opener_of(options))
        head = read_head(options.folder)
        if head.digest != release.digest:
            raise Unverified(
                f"{show_path(options.folder)} was replaced while it was read; look again."
            )
        _check_page(release)
        signatures = _join(head, options.add) if options.add else _add(head, release, options.key)
        write_signatures(options.folder, signatures)
    keys = list_keys(head.manifest, signatures)
    again = "; nothing has changed" if signatures == head.signatures else ""
    say(f"{release.manifest.title} has {say_count(len(keys), 'signature')}{again}.", "bold")
    print_facts(
        ("release", show_path(options.folder)),
        ("digest", release.digest),
        *(("signed by", fingerprint(bytes.fromhex(key))) for key in keys),
    )


def _check_page(release: Release) -> None:
    """Raise Unverified where the page that a signer looks at is not what the card, which counts, says."""
    if release.files.get(CARD_PAGE) != card_page(release.card):
        raise Unverified(
            f"{show_path(release.folder)} cannot be signed: its {CARD_PAGE} is not the page of its {CARD}: "
            "who looks at it sees what somebody else has written; get it again from who made it."
        )


def _join(head: Head, path: Path) -> bytes:
    """The signatures with those of a file that the user names. Raises UserError, and Unverified."""
    others = read_bounded(path, MOST_SIGNATURE_BYTES)
    if not others:
        raise UserError(f"{show_path(path)} is empty; get it again from who signed.")
    return join_signatures(head.manifest, head.signatures, others)


def _add(head: Head, release: Release, key: Path) -> bytes:
    """The signatures with that of `key`, once it is noted beside the key that it signs this content.

    Raises UserError where it has signed another content of this version.
    """
    private = read_own(key, "signer", "make a signer's with `calyx keys signer NAME`")
    manifest = release.manifest
    what = f"release {manifest.name}"
    check_unsigned(key, what, manifest.version, release.digest)
    if manifest.parent is not None:
        check_unsigned(key, what, manifest.version - 1, manifest.parent)
    note_signed(key, what, manifest.version, release.digest)
    return sign_manifest(private, head.manifest, head.signatures)
