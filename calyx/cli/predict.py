"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from calyx.cli.arguments import Parser
from calyx.cli.fitted import Whose, fitted_for
from calyx.cli.new_rows import NewRows, faults, read_new_rows, said_of
from calyx.cli.outputs import add_output, claim, rows_of
from calyx.cli.own_models import Answering, model_of
from calyx.cli.predictions import as_csv, header_of, predict
from calyx.composing.defaults import fill_in_defaults
from calyx.data.schema import Table
from calyx.data.words import one_form
from calyx.errors import UserError, for_terminal
from calyx.model.constants import without_constants
from calyx.model.makeup import makeup_of
from calyx.model.weights import initial_model, load_weights
from calyx.preprocessing.absence import unread, unread_sentence
from calyx.preprocessing.choice import AUTO
from calyx.preprocessing.fitting import Fitted, apply
from calyx.run.folder import RunFolder
from calyx.run.order import Terms, terms_of
from calyx.run.summary import Summary
from calyx.simulation.engine import read_engine
from calyx.tasks.registry import load_task
from calyx.tasks.task import Task
from server.config import RunConfig, read_run


def main(arguments: Sequence[str]) -> int:
    """Print one line a row, or write them to a file. Raises UserError."""
    parser = Parser(prog="calyx predict", description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run's folder")
    parser.add_argument("file", type=Path, help="rows with the task's columns; no target is needed")
    parser.add_argument(
        "client", nargs="?", help="client=NAME: whose preprocessing, and whose own model"
    )
    parser.add_argument(
        "--common", action="store_true", help="with client=NAME: the common model all the same"
    )
    parser.add_argument(
        "--state-dir", type=Path, help="on a site, with client=NAME: its client.state_dir"
    )
    parser.add_argument(
        "--ids", metavar="COLUMN", help="a column of the file that goes along, as the first one"
    )
    add_output(parser, "a CSV file to write; the terminal without it")
    options = parser.parse_intermixed_args(arguments)  # options stand anywhere
    folder = RunFolder(options.run)
    config = folder.read_config()
    files, folders = rows_of(config)
    folders += [options.state_dir] if options.state_dir else []
    out = claim(options, [options.file, *files], folders)
    config = fill_in_defaults(config)  # a run of before may lack keys
    run = read_run(config)
    summary = folder.read_summary()  # says that the run has ended
    if not folder.model.is_file():
        raise UserError(f"{folder.path} holds no model; name a run that has trained to its end.")
    task, terms = load_task(run.task), _terms_of(config, run, summary)
    whose = _whose(options, folder, run, task)
    header = header_of(task.schema, options.ids)
    rows = read_new_rows(task, options.file, options.ids)
    impossible = said_of(faults(task.schema, rows), rows)
    try:
        weights, constants = without_constants(load_weights(folder.model))
    except (ValueError, SafetensorError):
        raise UserError(f"{folder.model} is damaged; restore it from a copy.") from None
    fitted = fitted_for(task, terms, str(summary.run), constants, whose)
    x = _prepared(fitted, rows)
    makeup = makeup_of(initial_model(task, x.shape[1], terms.seed), x.shape[1])
    common = {name: weights[name] for name in makeup.weights}  # in the model's order
    answering = model_of(folder, run, makeup, common, None if options.common else whose)
    outputs = predict(task, terms.seed, answering.weights, x)
    text = as_csv(task.schema, header, outputs, rows.ids)
    _explain(answering, outputs, rows, impossible)
    if out is None:
        sys.stdout.write(for_terminal(text) if sys.stdout.isatty() else text)
    else:
        out.write(text.encode())
        if not out.is_stream:
            print(f"{len(outputs)} predictions in {out.path}")
    return 0


def _terms_of(config: dict[str, Any], run: RunConfig, summary: Summary) -> Terms:
    """What the run's orders had in common; a run has decided what `preprocessing=auto` is.

    Raises UserError where its summary does not say.
    """
    if run.preprocessing.name != AUTO:
        return terms_of(config)
    used = summary.preprocessing
    if used not in ("local", "federated"):  # a summary may come from a stranger
        raise UserError("summary.json does not say which preprocessing the run had; it is damaged.")
    terms = terms_of(config)
    return replace(terms, preprocessing=terms.preprocessing | {"name": used})


def _whose(options: Namespace, folder: RunFolder, run: RunConfig, task: Task) -> Whose | None:
    """The client that is named, and where it keeps what belongs to the run. Raises UserError."""
    client, state_dir = _client(options.client), options.state_dir
    if client is None:
        if options.common:
            raise UserError("--common goes with client=NAME; without it the common model is used.")
        if state_dir is not None:
            raise UserError("--state-dir goes with client=NAME, the site whose folder it is.")
        return None
    client = next((name for name in task.clients if one_form(name) == one_form(client)), client)
    if state_dir is not None:
        return Whose(client, state_dir / "strategy")
    if read_engine(run.engine).clients_remember:
        return Whose(client, None)
    if client not in task.clients:
        raise UserError(f"The run has no client {client}; it has {', '.join(task.clients)}.")
    return Whose(client, folder.path / "clients")


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


def _client(argument: str | None) -> str | None:
    if argument is None:
        return None
    key, _, name = argument.partition("=")
    if key != "client" or not name:
        raise UserError(f"{argument!r} is not understood; write client=NAME.")
    return name


def _prepared(fitted: Fitted, rows: NewRows) -> NDArray[np.float32]:
    table = Table(rows.x, np.zeros(len(rows.x), dtype=np.int64))
    for column, count in unread(fitted, table):
        print(unread_sentence(column, count), file=sys.stderr)
    try:
        return apply(fitted, table)
    except ValueError as error:
        raise UserError(f"{rows.path}: {error}.") from None
