"""heart: four hospitals, 920 patients, real missing values. Is there heart disease?

Janosi, Steinbrunn, Pfisterer, Detrano (1988), Heart Disease, UCI Machine Learning Repository,
doi:10.24432/C52P4X, licence CC BY 4.0. Downloaded from there, or read from `data_dir`.
"""

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calyx.config.section import parse
from calyx.data.download import Source, fetch, read_checked
from calyx.data.schema import Column, Schema, Table
from calyx.errors import DataError
from calyx.tasks.task import refuse_stranger
from calyx.vector.weighing import TaskSection

if TYPE_CHECKING:
    from torch import nn

URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/"
SHA256 = {
    "cleveland": "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8",
    "hungarian": "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796",
    "switzerland": "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314",
    "va": "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f",
}


def _numeric(
    name: str, unit: str, low: float, high: float, *codes: float, complete: bool = False
) -> Column:
    return Column(
        name,
        "numeric",
        missing_codes=codes,
        may_be_missing=not complete,
        low=low,
        high=high,
        unit=unit,
    )


def _categorical(name: str, *categories: float, complete: bool = False) -> Column:
    return Column(name, "categorical", categories=categories, may_be_missing=not complete)


COLUMNS = (
    _numeric("age", "years", 18, 100, complete=True),
    _categorical("sex", 0, 1, complete=True),
    _categorical("cp", 1, 2, 3, 4, complete=True),  # chest pain
    _numeric("trestbps", "mm Hg", 60, 240, 0.0),  # resting blood pressure; 0 is a missing value
    _numeric("chol", "mg/dl", 80, 610, 0.0),  # cholesterol; 0 is a missing value
    _categorical("fbs", 0, 1),  # fasting blood sugar above 120 mg/dl
    _categorical("restecg", 0, 1, 2),
    _numeric("thalach", "1/min", 50, 220),  # highest heart rate
    _categorical("exang", 0, 1),  # angina under exercise
    _numeric("oldpeak", "mm", -3, 8),  # ST depression under exercise
    _categorical("slope", 1, 2, 3),
    _numeric("ca", "vessels", 0, 3),  # coloured by fluoroscopy
    _categorical("thal", 3, 6, 7),
)


class Heart:
    """Logistic regression on 13 columns; the clients are the four hospitals."""

    name = "heart"
    section = TaskSection
    clients = tuple(sorted(SHA256))
    schema = Schema(COLUMNS, ("healthy", "disease"))

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.w_max = parse(TaskSection, section, "task").w_max

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError for a client that is none of this task's."""
        refuse_stranger(self.name, client, self.clients)

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """A hospital's rows; `seed` plays no part. Raises DataError, ConfigError."""
        self.check_client(client, data_dir)
        return _load(client, data_dir)

    def model(self, num_inputs: int) -> "nn.Module":
        """Logistic regression with one logit a class."""
        from torch import nn

        return nn.Linear(num_inputs, len(self.schema.classes))


@lru_cache(maxsize=len(SHA256))
def _load(hospital: str, data_dir: Path | None) -> Table:
    source = Source(f"processed.{hospital}.data", SHA256[hospital], URL)
    data = fetch(source, "heart") if data_dir is None else read_checked(source, data_dir, "heart")
    return read_table(data.decode("ascii"), source.name)


def read_table(text: str, name: str) -> Table:
    """Rows of 13 columns and a diagnosis, comma separated, "?" for missing.

    The diagnosis 0 is healthy, 1 to 4 is disease. Raises DataError naming file and line.
    """
    rows = []
    for number, cells in enumerate(csv.reader(text.splitlines()), start=1):
        if not cells:
            continue
        if len(cells) != len(COLUMNS) + 1:
            raise DataError(
                f"{name}, line {number}: {len(cells)} columns instead of {len(COLUMNS) + 1}."
            )
        try:
            rows.append([np.nan if cell.strip() == "?" else float(cell) for cell in cells])
        except ValueError:
            raise DataError(f"{name}, line {number}: a cell is neither a number nor '?'.") from None
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS) + 1)
    if np.isnan(values[:, -1]).any():
        raise DataError(f"{name}: a row has no diagnosis in the last column.")
    return Table(values[:, :-1], (values[:, -1] > 0).astype(np.int64))
