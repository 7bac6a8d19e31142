"""Weights as the array record that Flower's strategies know, read with the same distrust as a message."""

from collections.abc import Mapping
from io import BytesIO
from tokenize import TokenError

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord
from numpy.lib import format as npy

from calyx.errors import WireError
from calyx.model.weights import Array, Weights

_NPY = "numpy.ndarray"
_NPY_HEAD_BYTES = 512  # no honest head of an .npy array is longer


class _Local(FlowerArray):
    """An array that has not left this process: its bytes are made when somebody asks for them."""

    values: Array

    def __init__(self, values: Array) -> None:
        """`values` are shared, and can be written to no more through this record."""
        shared = values.view()
        shared.flags.writeable = False
        vars(self).update(values=shared, dtype=values.dtype.name, shape=values.shape, stype=_NPY)

    @property
    def data(self) -> bytes:  # type: ignore[override]  # a field there, and no less a value here
        """As Flower writes an array of NumPy's."""
        return FlowerArray(np.asarray(self.values, order="C")).data

    def numpy(self) -> Array:
        """A copy, which its reader may write to, as of Flower's own."""
        return self.values.copy()


def weights_record(weights: Mapping[str, Array]) -> ArrayRecord:
    """Weights as Flower's record, without a copy."""
    return record_of({k: _Local(v) for k, v in weights.items()})


def record_of(arrays: Mapping[str, FlowerArray]) -> ArrayRecord:
    """These arrays themselves in a record; Flower's own constructor copies all of their bytes."""
    record = ArrayRecord()
    for name, array in arrays.items():
        record[name] = array
    return record


def read_weights(record: ArrayRecord, template: Mapping[str, Array]) -> Weights:
    """The weights in the template's order. Raises WireError if a name, type or shape differs.

    Float tensors may come as float64, which some of Flower's strategies return; they are rounded. What
    has not left this process is not copied, and cannot be written to.
    """
    if set(record) != set(template):
        raise WireError(
            f"The weights' names are not the model's: {sorted(set(record) ^ set(template))[:4]}."
        )
    return {k: _read_array(k, record[k], like) for k, like in template.items()}


def _read_array(name: str, array: FlowerArray, like: Array) -> Array:
    types = {like.dtype.name, "float64"} if like.dtype.kind == "f" else {like.dtype.name}
    if array.stype != _NPY or array.dtype not in types or tuple(array.shape) != like.shape:
        raise WireError(
            f"The tensor {name} is {array.dtype}{list(array.shape)}, not {like.dtype}{list(like.shape)}."
        )
    if isinstance(array, _Local):
        return array.values.astype(like.dtype, copy=False)
    dtype = np.dtype(array.dtype)
    body = like.size * dtype.itemsize
    if not body < len(array.data) <= body + _NPY_HEAD_BYTES:
        raise WireError(f"The tensor {name} has {len(array.data)} bytes for {body} of values.")
    if _npy_head(array.data[:-body] if body else array.data) != (like.shape, dtype):
        raise WireError(f"The tensor {name} does not hold what its record declares.")
    values = np.frombuffer(array.data[len(array.data) - body :], dtype=dtype).reshape(like.shape)
    return values.astype(like.dtype)


def _npy_head(head: bytes) -> tuple[tuple[int, ...], np.dtype] | None:
    # np.load would allocate whatever the head asks for before it looks at the length.
    stream = BytesIO(head)
    try:
        if npy.read_magic(stream) != (1, 0):
            return None
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    except (ValueError, TypeError, SyntaxError, TokenError):  # all that its parser may raise
        return None
    return (shape, dtype) if stream.read() == b"" and (not fortran or len(shape) < 2) else None
