"""The words that open a release which is kept encrypted: `--decrypt-with NAME.key`, `--passphrase FILE`."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from calyx.releases.sealing import Opener, read_opener


def add_opener(parser: ArgumentParser) -> None:
    """Add the two words, each of which may stand several times."""
    for word, metavar, what in (
        ("--decrypt-with", "NAME.key", "the key that opens a release which is kept encrypted"),
        ("--passphrase", "FILE", "a file with the passphrase that opens it, in its first line"),
    ):
        parser.add_argument(
            word, type=Path, action="append", default=[], metavar=metavar, help=what
        )


def opener_of(options: Namespace) -> Opener:
    """What the words that were given open. Raises UserError."""
    return read_opener(options.decrypt_with, options.passphrase)
