"""`calyx release open DIR --to COPY --decrypt-with NAME.key`: an encrypted release, to look at."""

from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import say
from calyx.cli.release.opening import add_opener, opener_of
from calyx.files.outputs import show_path
from calyx.releases.reading import CARD_PAGE, read_draft, read_head
from calyx.releases.writing import write_copy


def main(arguments: Sequence[str]) -> int:
    """Write the copy. Raises UserError, and Unverified for a release that is damaged or does not open."""
    parser = Parser(prog="calyx release open", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="an encrypted release's folder")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="COPY", help="a new folder, away from releases"
    )
    add_opener(parser)
    options = parser.parse_args(arguments)
    head = read_head(options.folder)
    release = read_draft(options.folder, opener_of(options))
    write_copy(release, head.signatures if head.digest == release.digest else b"", options.to)
    say(f"Wrote {release.manifest.title} in the clear as {show_path(options.to)}.", "bold")
    say(
        f"Look at {show_path(options.to / CARD_PAGE)}; whose signatures it has, `calyx verify` says."
    )
    return 0
