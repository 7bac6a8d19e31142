"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.cli.arguments import Parser
from calyx.cli.new_rows import NewRows, describe_faults, find_faults, read_new_rows
from calyx.cli.outputs import add_output, claim, read_by
from calyx.cli.own_models import Answering
from calyx.cli.predictions import as_csv, header_of
from calyx.cli.trained import add_client, client_model, read_trained
from calyx.errors import UserError, for_terminal
from calyx.model.released import ReleasedModel
from calyx.preprocessing.absence import unread, unread_sentence
from calyx.run.folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Print one line a row, or write them to a file. Raises UserError."""
    parser = Parser(prog="calyx predict", description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run's folder")
    parser.add_argument("file", type=Path, help="rows with the task's columns; no target is needed")
    add_client(parser, "whose preprocessing, and whose own model")
    parser.add_argument(
        "--ids", metavar="COLUMN", help="a column of the file that goes along, as the first one"
    )
    add_output(parser, "a CSV file to write; the terminal without it")
    options = parser.parse_intermixed_args(arguments)  # options stand anywhere
    folder = RunFolder(options.run)
    config = folder.read_config()
    trained = read_by(config)
    folders = [*trained.folders, *([options.state_dir] if options.state_dir else [])]
    out = claim(options, [options.file, *trained.files], folders)
    answering, _ = client_model(read_trained(folder, config), options)
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


def _explain(
    answering: Answering, outputs: NDArray[np.float64], rows: NewRows, impossible: str
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


def _prepare(model: ReleasedModel, rows: NewRows) -> NDArray[np.float32]:
    """The network's inputs; on stderr, which values it is not told. Raises UserError."""
    if model.fitted is not None:
        for column, count in unread(model.fitted, rows.x):
            print(unread_sentence(column, count), file=sys.stderr)
    try:
        return model.prepare(rows.x)
    except ValueError as error:
        raise UserError(f"{rows.path}: {error}.") from None
