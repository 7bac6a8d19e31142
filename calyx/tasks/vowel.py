"""vowel: 15 speakers, 11 vowels of British English. One model for all loses to each speaker's own.

Deterding, Niranjan, Robinson, Connectionist Bench (Vowel Recognition), UCI Machine Learning
Repository, doi:10.24432/C58P4S, licence CC BY 4.0. Downloaded from there, or read from `data_dir`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import parse
from calyx.data.download import Source, fetch, read_checked
from calyx.data.partitions import Rows, natural
from calyx.data.schema import Column, Schema, Table
from calyx.tasks.task import refuse_stranger
from calyx.vector.weighing import TaskSection

if TYPE_CHECKING:
    from torch import nn

URL = (
    "https://archive.ics.uci.edu/ml/machine-learning-databases/undocumented/"
    "connectionist-bench/vowel/"
)
SHA256 = "23d8e0d3e1d1c111ae252b86bc570c9b366f64a80489a111dce050cc35b7d249"  # of `canonical`
FILES = ("vowel-context.data", "vowel.csv")  # at the origin, and with commas and a header
_FEATURES = 10
_HEADER = ",".join(["test_split", "speaker", "sex", *(f"f{i}" for i in range(_FEATURES)), "vowel"])
_SPEAKERS = 15
_HIDDEN = 64


class Vowel:
    """An MLP on ten areas of the vocal tract (logarithms of their ratios); the clients are speakers."""

    name = "vowel"
    section = TaskSection
    clients = tuple(f"speaker-{i:02d}" for i in range(_SPEAKERS))
    schema = Schema(
        columns=tuple(Column(f"f{i}", "numeric", low=-6, high=6) for i in range(_FEATURES)),
        # The vowel of each of these words.
        classes=(
            *("heed", "hid", "head", "had", "hud", "hard"),
            *("hod", "hoard", "hood", "who'd", "heard"),
        ),
    )

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.w_max = parse(TaskSection, section, "task").w_max

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError for a client that is none of this task's."""
        refuse_stranger(self.name, client, self.clients)

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """A speaker's 66 rows; `seed` plays no part. Raises DataError, ConfigError."""
        self.check_client(client, data_dir)
        values, by_speaker = _read(data_dir)
        rows = values[by_speaker[self.clients.index(client)]]
        return Table(rows[:, 3:-1], rows[:, -1].astype(np.int64))

    def model(self, num_inputs: int) -> "nn.Module":
        """MLP: inputs → 64, ReLU → 11 logits."""
        from torch import nn

        return nn.Sequential(
            nn.Linear(num_inputs, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, len(self.schema.classes)),
        )


@lru_cache(maxsize=1)
def _read(data_dir: Path | None) -> tuple[NDArray[np.float64], Mapping[int, Rows]]:
    """All rows [990, 14], and which are each speaker's."""
    if data_dir is None:
        data = fetch(Source(FILES[0], SHA256, URL, canonical), "vowel")
    else:
        name = next((name for name in FILES if (data_dir / name).is_file()), FILES[0])
        data = read_checked(Source(name, SHA256, URL, canonical), data_dir, "vowel")
    lines = canonical(data).decode("ascii").splitlines()[1:]
    values = np.array([line.split(",") for line in lines], dtype=np.float64)
    return values, natural(values[:, 1].astype(np.int64))


def canonical(data: bytes) -> bytes:
    """The table as lines of cells with a comma between them, under a header."""
    text = data.decode("ascii", errors="replace")
    lines = [",".join(re.split(r"[,\s]+", line.strip())) for line in text.splitlines()]
    lines = [line for line in lines if line and line != _HEADER]
    return "".join(f"{line}\n" for line in [_HEADER, *lines]).encode()
