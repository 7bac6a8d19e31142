"""`calyx release sign DIR --key NAME.key`: one more signature on a release."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.cli.release.opening import add_opener, opener_of
from calyx.files.outputs import show_path
from calyx.releases.manifest import Unverified
from calyx.releases.reading import Head, Release, read_draft, read_head
from calyx.releases.signers import list_keys, sign_manifest
from calyx.releases.writing import hold, write_signatures
from calyx.secagg.keys import identity_of
from calyx.secagg.roster import fingerprint
from calyx.trust.key_files import read_own
from calyx.trust.signed import check_unsigned, note_signed


def main(arguments: Sequence[str]) -> int:
    """Sign one release. Raises UserError, and Unverified for one that is damaged."""
    parser = Parser(prog="calyx release sign", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a release's folder")
    parser.add_argument("--key", type=Path, required=True, help="a signer's .key file")
    add_opener(parser)
    _sign(parser.parse_args(arguments))
    return 0


def _sign(options: Namespace) -> None:
    private = read_own(options.key, "signer", "make a signer's with `calyx keys signer NAME`")
    with hold(options.folder):
        release = read_draft(options.folder, opener_of(options))
        head = read_head(options.folder)
        if head.digest != release.digest:
            raise Unverified(
                f"{show_path(options.folder)} was replaced while it was read; look again."
            )
        signatures = _add(head, release, private, options.key)
        write_signatures(options.folder, signatures)
    signed = list_keys(head.manifest, signatures)
    again = " again; nothing has changed" if signatures == head.signatures else ""
    say(f"Signed {release.manifest.title}{again}.", "bold")
    print_facts(
        ("release", show_path(options.folder)),
        ("digest", release.digest),
        ("this key", fingerprint(identity_of(private))),
        ("signatures", str(len(signed))),
    )


def _add(head: Head, release: Release, private: bytes, key: Path) -> bytes:
    """The signatures with that of `key`, once it is noted beside the key that it signs this content.

    Raises UserError where it has signed another content of this version.
    """
    manifest = release.manifest
    what = f"release {manifest.name}"
    check_unsigned(key, what, manifest.version, release.digest)
    if manifest.parent is not None:
        check_unsigned(key, what, manifest.version - 1, manifest.parent)
    note_signed(key, what, manifest.version, release.digest)
    return sign_manifest(private, head.manifest, head.signatures)
