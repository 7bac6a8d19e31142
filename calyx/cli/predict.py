"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.cli.arguments import Parser
from calyx.cli.fitted import Whose, fitted_for
from calyx.cli.new_rows import NewRows, describe_faults, find_faults, read_new_rows
from calyx.cli.outputs import add_output, claim, read_by
from calyx.cli.own_models import Answering, model_of
from calyx.cli.predictions import as_csv, header_of
from calyx.composing.defaults import fill_in_defaults
from calyx.config.section import parse
from calyx.data.words import one_form
from calyx.errors import UserError, for_terminal
from calyx.model.released import ReleasedModel, describe, load
from calyx.preprocessing.absence import unread, unread_sentence
from calyx.preprocessing.choice import AUTO
from calyx.preprocessing.config import PreprocessingConfig
from calyx.run.folder import RunFolder
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
    trained = read_by(config)
    folders = [*trained.folders, *([options.state_dir] if options.state_dir else [])]
    out = claim(options, [options.file, *trained.files], folders)
    config = fill_in_defaults(config)  # a run of before may lack keys
    run = read_run(config)
    summary = folder.read_summary()  # says that the run has ended
    if not folder.model.is_file():
        raise UserError(f"{folder.path} holds no model; name a run that has trained to its end.")
    task = load_task(run.task)
    older = describe(task, run.task, _preprocessing_of(config, summary))
    model = load(folder.model, run.seed, older)
    whose = _whose(options, folder, run, task)
    schema = model.task.schema
    header = header_of(schema, options.ids)
    rows = read_new_rows(model.task, options.file, options.ids)
    impossible = describe_faults(find_faults(schema, rows), rows)
    model = replace(model, fitted=fitted_for(model, str(summary.run), whose))
    inputs = _prepare(model, rows)
    answering = model_of(folder, run, model, None if options.common else whose)
    outputs = answering.model.compute(inputs)
    text = as_csv(schema, header, outputs, rows.ids)
    _explain(answering, outputs, rows, impossible)
    if out is None:
        sys.stdout.write(for_terminal(text) if sys.stdout.isatty() else text)
    else:
        out.write(text.encode())
        if not out.is_stream:
            print(f"{len(outputs)} predictions in {out.path}")
    return 0


def _preprocessing_of(config: dict[str, Any], summary: Summary) -> PreprocessingConfig:
    """The section, typed; a run has decided what `preprocessing=auto` is.

    Raises UserError where its summary does not say.
    """
    section = config["preprocessing"]
    if section["name"] == AUTO:
        used = summary.preprocessing
        if used not in ("local", "federated"):  # a summary may come from a stranger
            raise UserError(
                "summary.json does not say which preprocessing the run had; it is damaged."
            )
        section = section | {"name": used}
    return parse(PreprocessingConfig, section, "preprocessing")


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


def _prepare(model: ReleasedModel, rows: NewRows) -> NDArray[np.float32]:
    """The network's inputs; on stderr, which values it is not told. Raises UserError."""
    if model.fitted is not None:
        for column, count in unread(model.fitted, rows.x):
            print(unread_sentence(column, count), file=sys.stderr)
    try:
        return model.prepare(rows.x)
    except ValueError as error:
        raise UserError(f"{rows.path}: {error}.") from None
