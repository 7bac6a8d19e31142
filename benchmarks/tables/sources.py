"""Where the tables come from: data files that lie in packages. No package of them is imported.

scikit-learn is always there. Three more are the extra `tables`: palmerpenguins (MIT, its data CC0),
pydataset (MIT; Rdatasets of R packages, GPL-3) and vega-datasets (MIT; NOAA's weather, public domain).
Of ISLP (BSD-3-Clause) and lifelines (MIT) the files are enough: what they would bring along is ten
times Calyx.
"""

import csv
import io
import shlex
import tarfile
from importlib import metadata
from pathlib import Path

import sklearn.datasets

COMMAND = "pip install -e '.[tables]' && pip install --no-deps ISLP==0.6.0 lifelines==0.30.3"

Row = dict[str, str]  # by column, each cell as the file has it


class SourceError(Exception):
    """A package, or a file of it, is not there. The text says how to get it."""


def packaged(package: str, path: str) -> Path:
    """A file of an installed package. Raises SourceError."""
    try:
        found = Path(str(metadata.distribution(package).locate_file(path)))
    except metadata.PackageNotFoundError:
        found = None
    if found is None or not found.is_file():
        raise SourceError(f"{path} of the package {package} is not here: {COMMAND}")
    return found


def islp(name: str) -> list[Row]:
    """A table of "An Introduction to Statistical Learning with Applications in Python"."""
    return _rows(packaged("ISLP", f"ISLP/data/{name}.csv").read_text("utf-8"))


def islp_auto() -> list[Row]:
    """The cars as the first source has them: between blanks, with `?` for missing."""
    text = packaged("ISLP", "ISLP/data/Auto.data").read_text("utf-8")
    header, *lines = [shlex.split(line) for line in text.splitlines() if line.strip()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def r_data(package: str, name: str) -> list[Row]:
    """A table of an R package, from Rdatasets; its first column has no name, and numbers the rows."""
    inside = f"resources/rdata/csv/{package}/{name}.csv"
    with tarfile.open(packaged("pydataset", "pydataset/resources.tar.gz")) as archive:
        member = archive.extractfile(inside) if inside in archive.getnames() else None
        if member is None:
            raise SourceError(f"{inside} of the package pydataset is not here: {COMMAND}")
        return _rows(member.read().decode("utf-8"))


def penguins() -> list[Row]:
    """Three species on three islands over three years, as measured: Horst et al. 2020."""
    path = packaged("palmerpenguins", "palmerpenguins/data/penguins-raw.csv")
    return _rows(path.read_text("utf-8"))


def gbsg2() -> list[Row]:
    """The German Breast Cancer Study Group's second trial: Schumacher et al. 1994."""
    return _rows(packaged("lifelines", "lifelines/datasets/gbsg2.csv").read_text("utf-8"))


def seattle_weather() -> list[Row]:
    """Four years of days: NOAA."""
    path = packaged("vega-datasets", "vega_datasets/_data/seattle-weather.csv")
    return _rows(path.read_text("utf-8"))


def scikit(name: str) -> tuple[list[str], list[list[float]], list[float]]:
    """Names of columns, values and targets of breast_cancer, wine or diabetes (not scaled)."""
    more = {"scaled": False} if name == "diabetes" else {}
    found = getattr(sklearn.datasets, f"load_{name}")(**more)
    return list(map(str, found.feature_names)), found.data.tolist(), found.target.tolist()


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text)))
