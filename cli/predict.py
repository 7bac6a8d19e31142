"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did."""

import csv
import io
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.config import RunConfig, parse
from calyx.defaults import followed
from calyx.digits import by_scale, decimals_of, fixed
from calyx.errors import UserError
from calyx.files import check_place, write_atomically
from calyx.makeup import makeup_of
from calyx.order import terms_of
from calyx.preprocessing.federated import without_constants
from calyx.preprocessing.fitting import Fitted, apply
from calyx.registry import load_task
from calyx.seeding import global_scope
from calyx.tasks.base import Schema, Task
from calyx.tasks.csv_rows import Dialect
from calyx.tasks.tables import Field, all_rows
from calyx.weights import Weights, initial_model, load_into, load_weights
from cli.arguments import Parser
from cli.fitted import Whose, fitted_for
from cli.own_models import Answering, model_of
from server.folder import RunFolder

BATCH_ROWS = 4096
SMALL_DIGITS = 3  # of a small probability


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
    parser.add_argument("--out", type=Path, help="a CSV file to write; the terminal without it")
    options = parser.parse_args(arguments)
    folder = RunFolder(options.run)
    if options.out is not None:
        check_place(options.out)
    run = parse(RunConfig, followed(folder.read_config()), "")  # a run of before may lack keys
    summary = folder.read_summary()  # says that the run has ended
    if not folder.model.is_file():
        raise UserError(f"{folder.path} holds no model; name a run that has trained to its end.")
    task, terms = load_task(run.task), terms_of(run)
    whose = _whose(options, folder, run, task)
    rows = read_rows(task, options.file)
    weights, constants = without_constants(load_weights(folder.model))
    fitted = fitted_for(task, terms, str(summary.get("run")), constants, whose)
    x = _prepared(fitted, rows, options.file)
    makeup = makeup_of(initial_model(task, x.shape[1], terms.seed), x.shape[1])
    common = {name: weights[name] for name in makeup.weights}  # in the model's order
    answering = model_of(folder, run, makeup, common, None if options.common else whose)
    outputs = predict(task, terms.seed, answering.weights, x)
    text = as_csv(task.schema, outputs)
    _explain(answering, outputs)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write_atomically(options.out, text.encode())
        print(f"{len(outputs)} predictions in {options.out}")
    return 0


def _whose(options: Namespace, folder: RunFolder, run: RunConfig, task: Task) -> Whose | None:
    """The client that is named, and where it keeps what belongs to the run. Raises UserError."""
    client, state_dir = _client(options.client), options.state_dir
    if client is None:
        if options.common:
            raise UserError("--common goes with client=NAME; without it the common model is used.")
        if state_dir is not None:
            raise UserError("--state-dir goes with client=NAME, the site whose folder it is.")
        return None
    if state_dir is not None:
        return Whose(client, state_dir / "strategy")
    if run.engine["name"] == "superlink":
        return Whose(client, None)
    if client not in task.clients:
        raise UserError(f"The run has no client {client}; it has {', '.join(task.clients)}.")
    return Whose(client, folder.path / "clients")


def _explain(answering: Answering, outputs: NDArray[np.float64]) -> None:
    """On stderr, so that stdout is CSV: which model it is, and what has no prediction."""
    if answering.note:
        print(answering.note, file=sys.stderr)
    unknown = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(unknown):
        print(
            f"{len(unknown)} of {len(outputs)} rows have no prediction, the first is row "
            f"{unknown[0] + 1}: there the model gives no finite number.",
            file=sys.stderr,
        )


def _client(argument: str | None) -> str | None:
    if argument is None:
        return None
    key, _, name = argument.partition("=")
    if key != "client" or not name:
        raise UserError(f"{argument!r} is not understood; write client=NAME.")
    return name


def read_rows(task: Task, path: Path) -> NDArray[np.float64]:
    """The task's input columns [N, C] of a CSV file. Raises DataError."""
    own = getattr(task, "read_inputs", None)
    if own is not None:
        rows: NDArray[np.float64] = own(path)
        return rows
    fields = [Field(column.name) for column in task.schema.columns]
    return all_rows(path, fields, Dialect()).x


def _prepared(fitted: Fitted, rows: NDArray[np.float64], path: Path) -> NDArray[np.float32]:
    from calyx.tasks.base import Table

    try:
        return apply(fitted, Table(rows, np.zeros(len(rows), dtype=np.int64)))
    except ValueError as error:
        raise UserError(f"{path}: {error}.") from None


def predict(task: Task, seed: int, weights: Weights, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities [N, K] of a classifier, or values [N, 1] in the target's own unit."""
    import torch

    model = initial_model(task, x.shape[1], seed)
    load_into(model, weights)
    model.eval()
    parts = [np.zeros((0, task.schema.num_outputs))]
    with global_scope(0, "evaluation"), torch.no_grad():  # the draws that it was judged by
        for start in range(0, len(x), BATCH_ROWS):
            output = model(torch.from_numpy(x[start : start + BATCH_ROWS])).double()
            parts.append((output if task.schema.target else output.softmax(dim=1)).numpy())
    found = np.concatenate(parts)
    target = task.schema.target
    return found if target is None else found * target.scale + target.center


def as_csv(schema: Schema, outputs: NDArray[np.float64]) -> str:
    """One line a row: the class and every class's probability, or the value; nothing of a NaN.

    A value has the digits of the target's scale; probabilities as many as show the winner.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    known = [bool(np.isfinite(row).all()) for row in outputs]
    target = schema.target
    if target is not None:
        writer.writerow([target.name])
        for value, is_known in zip(outputs[:, 0], known, strict=True):
            writer.writerow([by_scale(float(value), target.scale) if is_known else ""])
        return text.getvalue()
    writer.writerow(["predicted", *(f"p({name})" for name in schema.classes)])
    for row, place, is_known in zip(outputs, outputs.argmax(axis=1), known, strict=True):
        cells = [schema.classes[place], *probabilities(row.tolist())] if is_known else [""]
        writer.writerow(cells + [""] * (1 + len(row) - len(cells)))
    return text.getvalue()


def probabilities(row: list[float]) -> list[str]:
    """Six decimals, and more where fewer would call two different ones alike or a small one 0."""
    first, second = sorted([0.0, *row])[:-3:-1]
    decimals = 6
    while first > second and f"{first:.{decimals}f}" == f"{second:.{decimals}f}":
        decimals += 1
    return [fixed(p, max(decimals, decimals_of(p, SMALL_DIGITS))) for p in row]
