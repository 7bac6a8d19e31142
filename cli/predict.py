"""`calyx predict RUN FILE.csv`: a run's model on new rows, preprocessed as its clients did."""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.config import RunConfig, parse
from calyx.defaults import followed
from calyx.digits import by_scale, decimals_of, fixed
from calyx.errors import UserError
from calyx.makeup import makeup_of
from calyx.order import Terms, terms_of
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.federated import without_constants
from calyx.preprocessing.fitting import ColumnFit, Fitted, apply, given
from calyx.registry import load_task
from calyx.seeding import global_scope
from calyx.tasks.base import Schema, Task
from calyx.tasks.tables import Dialect, Field, inputs, read_frame
from calyx.weights import Weights, initial_model, load_into, load_weights
from cli.arguments import Parser
from cli.outputs import add_output, claimed, rows_of
from cli.own_models import Answering, model_of
from client.data import prepare
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
    add_output(parser, "a CSV file to write; the terminal without it")
    options = parser.parse_args(arguments)
    client = _client(options.client)
    folder = RunFolder(options.run)
    config = folder.read_config()
    files, folders = rows_of(config)
    out = claimed(options, [options.file, *files], folders)
    run = parse(RunConfig, followed(config), "")  # a run of before may lack keys
    folder.read_summary()  # says that the run has ended
    if not folder.model.is_file():
        raise UserError(f"{folder.path} holds no model; name a run that has trained to its end.")
    task, terms = load_task(run.task), terms_of(run)
    rows = read_rows(task, options.file)
    data_dir = Path(str(run.task["data_dir"])) if run.task.get("data_dir") else None
    weights, constants = without_constants(load_weights(folder.model))
    fitted = _fitted(task, terms, (client, data_dir), constants)
    x = _prepared(fitted, rows, options.file)
    makeup = makeup_of(initial_model(task, x.shape[1], terms.seed), x.shape[1])
    common = {name: weights[name] for name in makeup.weights}  # in the model's order
    answering = model_of(folder, run, makeup, common, _whose(client, options.common))
    outputs = predict(task, terms.seed, answering.weights, x)
    text = as_csv(task.schema, outputs)
    _explain(answering, outputs)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write(text.encode())
        if not out.is_stream:
            print(f"{len(outputs)} predictions in {out.path}")
    return 0


def _whose(client: str | None, is_common: bool) -> str | None:
    if is_common and client is None:
        raise UserError("--common goes with client=NAME; without it the common model is used.")
    return None if is_common else client


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
    dialect = Dialect()
    return inputs(path, read_frame(path, [f.name for f in fields], dialect), fields, dialect)


def _fitted(
    task: Task,
    terms: Terms,
    whose: tuple[str | None, Path | None],
    constants: tuple[Constants, ...] | None,
) -> Fitted:
    client, data_dir = whose
    cfg = parse(PreprocessingConfig, terms.preprocessing, "preprocessing")
    if client is not None and client not in task.clients:
        raise UserError(f"The run has no client {client}; it has {', '.join(task.clients)}.")
    if constants is not None:  # they go with the model, whoever's rows these are
        return given(task.schema, replace(cfg, fitted=(constants,)))
    if client is not None:
        return prepare(terms, client, data_dir).fitted
    if cfg.scaling != "none" or cfg.outliers != "keep":
        raise UserError(
            f"preprocessing={cfg.name} is fitted by each client on its own rows, so that the model goes "
            "with one of them: give client=NAME (in simulation only)."
        )
    plain = ColumnFit(fill=np.nan, low=-np.inf, high=np.inf, mean=0.0, scale=1.0)
    return Fitted(task.schema, cfg, (plain,) * len(task.schema.columns))


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
