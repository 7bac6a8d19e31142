"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did.

Of a release, which is verified first, `calyx predict RELEASE FILE.csv --signers FILE` does the same.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.cli.arguments import Parser
from calyx.cli.new_rows import NewRows, describe_faults, find_faults, read_new_rows
from calyx.cli.outputs import add_output, claim, read_by
from calyx.cli.predictions import as_csv, header_of
from calyx.cli.release.opening import add_opener, opener_of
from calyx.cli.trained import add_client, client_model, read_trained
from calyx.errors import UserError, for_terminal
from calyx.files.outputs import Output, show_path
from calyx.model.ensemble import Ensemble, load_models
from calyx.model.released import ReleasedModel
from calyx.preprocessing.absence import unread, unread_sentence
from calyx.releases.chain import is_release
from calyx.releases.reading import MODEL, read_release
from calyx.releases.signers import read_signers
from calyx.run.folder import RunFolder
from calyx.words.sentences import join_names


@dataclass(frozen=True)
class _Answering:
    """What answers the rows, and what is to be said of it."""

    model: ReleasedModel | Ensemble
    note: str


def main(arguments: Sequence[str]) -> int:
    """Print one line a row, or write them to a file. Raises UserError."""
    parser = Parser(prog="calyx predict", description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run's folder, or a release's")
    parser.add_argument("file", type=Path, help="rows with the task's columns; no target is needed")
    add_client(parser, "whose preprocessing, and whose own model")
    parser.add_argument(
        "--ids", metavar="COLUMN", help="a column of the file that goes along, as the first one"
    )
    parser.add_argument(
        "--signers", type=Path, metavar="FILE", help="of a release: who must have signed it"
    )
    add_opener(parser)
    add_output(parser, "a CSV file to write; the terminal without it")
    options = parser.parse_intermixed_args(arguments)  # options stand anywhere
    answering, out = _of_release(options) if is_release(options.run) else _of_run(options)
    model = answering.model
    schema = model.task.schema
    header = header_of(schema, options.ids)
    rows = read_new_rows(model.task, options.file, options.ids)
    impossible = describe_faults(find_faults(schema, rows), rows)
    outputs = model.compute(_prepare(model, rows))
    text = as_csv(schema, header, outputs, rows.ids)
    _explain(answering, outputs, rows, impossible)
    if out is None:
        sys.stdout.write(for_terminal(text) if sys.stdout.isatty() else text)
    else:
        out.write(text.encode())
        if not out.is_stream:
            print(f"{len(outputs)} predictions in {out.path}")
    return 0


def _of_run(options: Namespace) -> tuple[_Answering, Output | None]:
    """The model of a run, and where the predictions go. Raises UserError."""
    if options.signers or options.decrypt_with or options.passphrase:
        raise UserError(
            f"{show_path(options.run)} is no release, of which --signers, --decrypt-with and --passphrase "
            "are: a run has no signatures, and is not encrypted. Of a folder of releases, name one."
        )
    folder = RunFolder(options.run)
    config = folder.read_config()
    read = read_by(config)
    folders = [*read.folders, *([options.state_dir] if options.state_dir else [])]
    out = claim(options, [options.file, *read.files], folders)
    answering, _ = client_model(read_trained(folder, config), options)
    return _Answering(answering.model, answering.note), out


def _of_release(options: Namespace) -> tuple[_Answering, Output | None]:
    """The model of a release that its signers have signed. Raises UserError, and Unverified."""
    if options.client or options.common or options.state_dir:
        raise UserError(
            "A release holds one model, and the preprocessing that belongs to it: leave client=NAME, "
            "--common and --state-dir out."
        )
    if options.signers is None:
        raise UserError(
            f"{show_path(options.run)} is a release: give --signers FILE, the policy that says who must have "
            "signed it."
        )
    secrets = [*options.decrypt_with, *options.passphrase]
    out = claim(options, [options.file, options.signers, *secrets], [options.run])
    signers, opener = read_signers(options.signers), opener_of(options)
    release = read_release(options.run, signers, opener=opener)
    model = load_models(release.files[MODEL], options.run / MODEL)
    note = f"This is {release.manifest.title}, signed by {join_names(release.signed_by)}."
    return _Answering(model, note), out


def _explain(
    answering: _Answering, outputs: NDArray[np.float64], rows: NewRows, impossible: str
) -> None:
    """On stderr, so that stdout is CSV: which model it is, and what to know of the rows."""
    without = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    none = empty = ""
    if len(without):
        none = (
            f"{len(without)} of {len(outputs)} rows have no prediction, the first is that of line "
            f"{rows.lines[without[0]]}: there the model gives no finite number."
        )
    if not len(outputs):
        empty = f"{rows.path} has no rows below its first line, so that there are no predictions."
    for sentence in filter(None, [answering.note, impossible, none, empty]):
        print(sentence, file=sys.stderr)


def _prepare(model: ReleasedModel | Ensemble, rows: NewRows) -> NDArray[np.float32]:
    """The network's inputs; on stderr, which values it is not told. Raises UserError."""
    if model.fitted is not None:
        for column, count in unread(model.fitted, rows.x):
            print(unread_sentence(column, count), file=sys.stderr)
    try:
        return model.prepare(rows.x)
    except ValueError as error:
        raise UserError(f"{rows.path}: {error}.") from None
