"""`calyx release RUN --to DIR`: a run's model as a folder that can be signed, verified and served."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.facts import print_facts, say
from calyx.cli.release import copying, signing
from calyx.cli.release.combining import add_combine, read_all
from calyx.cli.release.contents import add_words
from calyx.cli.release.openssf import BUNDLE, check_openssf, make_bundle
from calyx.errors import UserError, quote_command
from calyx.files.outputs import show_path
from calyx.releases.card_parts import Identity
from calyx.releases.manifest import SEALED
from calyx.releases.reading import CARD_PAGE, Release
from calyx.releases.sealing import SealTo
from calyx.releases.writing import plan_release, write_release
from calyx.trust.recipients import read_passphrase, read_recipient


def main(arguments: Sequence[str]) -> int:
    """Make a release, sign one, or open one. Raises UserError, CalyxError or Unverified."""
    if list(arguments[:1]) == ["sign"]:
        return signing.main(arguments[1:])
    if list(arguments[:1]) == ["open"]:
        return copying.main(arguments[1:])
    _say_released(_release(_parser().parse_intermixed_args(arguments)))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="calyx release",
        description=__doc__,
        epilog="`calyx release sign DIR --key FILE` adds a signature, and `calyx release open DIR --to COPY "
        "--decrypt-with FILE` shows an encrypted release; each has a --help of its own.",
    )
    parser.add_argument(
        "run", type=Path, nargs="+", help="a finished run's folder; with --combine several"
    )
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="the new release's folder; the newest release beside it is its parent",
    )
    parser.add_argument("--name", help="of a first release, for its chain (the task's name)")
    parser.add_argument(
        "--parent", type=Path, metavar="DIR", help="the release before, where it lies elsewhere"
    )
    parser.add_argument(
        "--encrypt-to",
        type=Path,
        action="append",
        default=[],
        metavar="NAME.pub",
        help="keep it encrypted, for whom this key belongs; may stand several times",
    )
    parser.add_argument(
        "--encrypt-passphrase",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="keep it encrypted, for whom the passphrase in the first line of this file is known",
    )
    parser.add_argument(
        "--openssf", type=Path, metavar="KEY.pem", help="also sign it as OpenSSF Model Signing does"
    )
    add_combine(parser)
    add_words(parser)
    return parser


def _release(options: Namespace) -> Release:
    """Everything is made before anything is written."""
    to = SealTo(
        tuple(map(read_recipient, options.encrypt_to)),
        tuple(map(read_passphrase, options.encrypt_passphrase)),
    )
    if options.openssf is not None:
        if to:
            raise UserError(
                "--openssf signs files as they lie in the folder, and an encrypted release has none of them; "
                "leave one of the two out."
            )
        check_openssf(options.openssf)
    _take_client(options)
    contents = read_all(options.run, options)
    task = contents.trained.task.name
    place = plan_release(options.to, options.name, task, options.parent)
    identity = Identity(name=place.name, version=place.version, parent=place.parent)
    files = dict(contents.files(identity, place.created))
    if options.openssf is not None:
        files[BUNDLE] = make_bundle(files, options.openssf, f"{place.name}-{place.version}")
    return write_release(place, files, to)


def _take_client(options: Namespace) -> None:
    """Any number of runs may be named, so that client=NAME behind them has been read as one."""
    named = [word for word in map(str, options.run) if word.startswith("client=")]
    if named and options.client is None:
        options.client = named[-1]
        options.run = [run for run in options.run if str(run) != named[-1]]
    if not options.run:
        raise UserError("Name the run that is to be released before client=NAME.")


def _say_released(release: Release) -> None:
    manifest, folder = release.manifest, release.folder
    say(f"Released {manifest.title} as {show_path(folder)}.", "bold")
    print_facts(
        ("files", ", ".join(manifest.files)),
        ("digest", release.digest),
        ("after", manifest.parent or "nothing: it is the first of its chain"),
    )
    sign = quote_command("calyx", "release", "sign", folder, "--key")
    look = f"look at {show_path(folder / CARD_PAGE)}, then"
    if (folder / SEALED).exists():
        look = "its files are encrypted, and `calyx release open` shows them to who may sign; then"
    say(f"It is not signed yet: {look} {sign} NAME.key")
