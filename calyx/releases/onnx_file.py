"""model.onnx: a released model for programs without Calyx and PyTorch, compared before it is written.

It takes rows as callers have them, NaN for what is missing, and answers as the gateway does. Needs the
extra `onnx`.
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column
from calyx.errors import CalyxError, UserError, printable
from calyx.model.released import ReleasedModel
from calyx.seeding import rng
from calyx.words.extras import advise_extra

if TYPE_CHECKING:
    from onnx import ModelProto

ROWS = 1000  # that are compared
OPSET = 20
TOLERANCE = (
    1e-5  # of a probability; of a regression, of the target's scale: float32 networks differ so
)
_MISSING = 0.1  # share of compared cells without a value, where a column may be missing
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Exported:
    """The file's bytes, and how far its answers to `rows` rows were off from the model's."""

    data: bytes
    rows: int
    tolerance: float
    greatest: float


def export(model: ReleasedModel) -> Exported:
    """The model as ONNX: `rows` [N, C] float64 in, `probabilities` [N, K] or `values` [N, 1] float64 out.

    Raises UserError where the extra is missing, or the network cannot be exported; and CalyxError where
    its answers differ by more than the tolerance.
    """
    if any(find_spec(name) is None for name in _PACKAGES):
        raise UserError(f"--onnx needs the extra onnx: {advise_extra('onnx')}")
    import onnxruntime

    schema = model.task.schema
    rows = draw_rows(model, ROWS)
    output = "probabilities" if schema.target is None else "values"
    data = _strip(_convert(model, output)).SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (answers,) = session.run([output], {"rows": rows})
    tolerance = TOLERANCE * (1.0 if schema.target is None else schema.target.scale)
    off = np.abs(answers - model.predict(rows))
    greatest = float(off.max()) if np.isfinite(off).all() else np.inf
    if not greatest <= tolerance:
        raise CalyxError(
            f"model.onnx would answer otherwise than the model, by up to {greatest:.3g} on {ROWS} rows of "
            f"the schema's ranges, and {tolerance:.3g} is allowed: release without --onnx."
        )
    return Exported(data, ROWS, tolerance, greatest)


def _convert(model: ReleasedModel, output: str) -> "ModelProto":
    import torch

    from calyx.model.raw_rows import RawRows

    rows = torch.zeros((2, len(model.task.schema.columns)), dtype=torch.float64)
    network = RawRows(model).eval()
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                (rows,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["rows"],
                output_names=[output],
                dynamic_shapes={"rows": {0: torch.export.Dim("rows_n")}},
                verbose=False,
            )
        proto: Any = program.model_proto if program else None
    except Exception as error:  # noqa: BLE001 - whatever an exporter makes of somebody's network
        cause = error.__cause__ or error  # the exporter's own error is of how to ask its authors
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise UserError(
            f"The network of task={model.task.name} cannot be exported to ONNX ({printable(first, 160)}): "
            "release without --onnx."
        ) from None
    return proto  # type: ignore[no-any-return] # PyTorch has no type for it


def _strip(proto: "ModelProto") -> "ModelProto":
    """Without what an exporter notes beside the graph: traces with paths of this machine."""
    del proto.metadata_props[:]
    proto.producer_version = ""
    graph = proto.graph
    del graph.metadata_props[:]
    graph.doc_string = ""
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    if len(proto.functions):
        raise CalyxError(
            "model.onnx would hold functions that nobody has looked at: release without --onnx."
        )
    return proto


@contextmanager
def _silence() -> Iterator[None]:
    """Without what the exporter says of packages that it does not need, and of what it tries."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        _end_monitor()


def _end_monitor() -> None:
    """End the thread that watches an exporter's progress bars: workers cannot be forked beside it."""
    bars = sys.modules.get("tqdm.std")
    if bars is not None and bars.tqdm.monitor is not None:
        bars.tqdm.monitor.exit()
        bars.tqdm.monitor = None


def draw_rows(model: ReleasedModel, count: int) -> NDArray[np.float64]:
    """Rows [`count`, C] within the schema's ranges, some of their cells missing where that may be.

    A column without bounds is drawn about its scaled middle. Equal models give equal rows.
    """
    schema, fitted = model.task.schema, model.fitted
    draw = rng(0, "onnx-rows")
    rows = np.stack([_draw(column, draw, count) for column in schema.columns], axis=1)
    if fitted is None:
        return rows
    may_be = np.array([c.may_be_missing for c in schema.columns]) & ~np.isnan(fitted.fill)
    is_missing = (draw.random(rows.shape) < _MISSING) & may_be
    return np.where(is_missing, np.nan, rows)


def _draw(column: Column, draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    if column.categories:
        return draw.choice(np.array(column.categories), count)
    low, high = (
        end if end is not None and np.isfinite(end) else None for end in (column.low, column.high)
    )
    if low is None and high is None:
        return draw.normal(0.0, 100.0, count)
    low = high - 100.0 if low is None and high is not None else low
    high = low + 100.0 if high is None and low is not None else high
    if column.kind == "text":  # an index that a model looks up
        return draw.integers(int(low or 0), int(high or 0) + 1, count).astype(np.float64)
    return draw.uniform(low or 0.0, high or 0.0, count)
