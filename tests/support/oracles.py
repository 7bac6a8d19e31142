"""What figures of a run must be: pandas and scikit-learn on the pooled rows, and hand arithmetic.

Models answer through `calyx predict`; all else is made of the rows themselves. Every number of a file
is either expected here, to a margin, or listed with the reason why nothing outside could say it.
"""

import html
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, mean_absolute_error, r2_score

from calyx.cli import predict
from calyx.data.schema import Table
from calyx.files.plain import read_lines
from client.rows.splitting import split
from support.wild import Made

EXACT = 1e-11  # relative; clients tell 40 bits of a sum
STEP = 2.0**-30  # absolute; of shares and scores that clients tell
FLOAT = 1e-6  # relative; of outputs that were computed in float32, in batches of another size


@dataclass(frozen=True)
class Near:
    """A number to be met; `margin` is absolute."""

    value: float
    margin: float = 0.0

    def holds(self, found: float) -> bool:
        """Whether a figure is this number."""
        return math.isclose(found, self.value, rel_tol=EXACT, abs_tol=self.margin)


@dataclass(frozen=True)
class Within:
    """A number between two ends."""

    low: float
    high: float

    def holds(self, found: float) -> bool:
        """Whether a figure lies between them."""
        return self.low <= found <= self.high


@dataclass(frozen=True)
class Absent:
    """No number can be told, and the reason stands beside."""

    def holds(self, found: float) -> bool:
        """Never: there is a number."""
        return False


@dataclass(frozen=True)
class Unasked:
    """Null without a reason: the task or the run has no such thing."""

    def holds(self, found: float) -> bool:
        """Never: there is a number."""
        return False


@dataclass(frozen=True)
class Score:
    """An accuracy or R² of a model that is not kept: possible, or absent with its reason."""

    low: float = -math.inf

    def holds(self, found: float) -> bool:
        """Whether it can be."""
        return self.low <= found <= 1


Expected = Near | Within | Absent | Unasked | Score


@dataclass(frozen=True)
class Unknowable:
    """Keys, as a pattern, that nothing outside of the run could say, and why."""

    pattern: str
    why: str


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, float | None]]:
    """Every number and every null of a document, with its dotted path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{i}")
    elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield path, value


def reason_for(document: Any, path: str) -> str | None:
    """The sentence under `absent`, in the innermost object around a null that has one for it.

    What holds for all of a list or an object stands there once.
    """
    parts, found = path.split("."), None
    for depth in range(len(parts)):
        names = [".".join(parts[depth:end]) for end in range(depth + 1, len(parts) + 1)]
        if isinstance(document, Mapping):
            reasons = document.get("absent", {})
            found = next((reasons[name] for name in names if name in reasons), found)
            document = document.get(parts[depth])
        elif isinstance(document, list):
            document = document[int(parts[depth])]
    return found


def complaints(
    document: Any, expected: Mapping[str, Expected], unknowable: tuple[Unknowable, ...]
) -> list[str]:
    """What is wrong with a document: each number that is not as expected, or that nobody expects."""
    wrong, seen = [], set()
    for path, value in leaves(document):
        if any(re.fullmatch(u.pattern, path) for u in unknowable):
            continue
        want = expected.get(path)
        seen.add(path)
        if want is None:
            wrong.append(f"{path} = {value}: nothing is expected of it")
        elif value is None:
            reason = reason_for(document, path)
            if isinstance(want, Near | Within):
                wrong.append(f"{path} is null ({reason}), not {want}")
            elif isinstance(want, Absent | Score) and not reason:
                wrong.append(f"{path} is null without a reason")
        elif not want.holds(value):
            wrong.append(f"{path} = {value}, not {want}")
    lost = [p for p, want in expected.items() if p not in seen and not isinstance(want, Unasked)]
    return wrong + [f"{path} is not there" for path in lost]


class Rows:
    """The pooled rows of one part (train, validation, test), and a model's outputs on them."""

    def __init__(self, made: Made, part: str, names: list[str]) -> None:
        frames = {name: made.sites[name].iloc[split_of(made, name)[part]] for name in names}
        self.frames = {name: frame for name, frame in frames.items() if len(frame)}
        self.names, self.made = names, made

    @property
    def pooled(self) -> pd.DataFrame:
        """All of them."""
        empty = next(iter(self.made.sites.values())).iloc[:0]
        return pd.concat([empty, *self.frames.values()])

    @property
    def weights(self) -> np.ndarray:
        """[N] what a row weighs: 1, or a share of its client where all clients weigh the same."""
        is_equal = self.made.options["privacy.weighting"] == "equal"
        each = [np.full(len(f), 1 / len(f) if is_equal else 1.0) for f in self.frames.values()]
        return np.concatenate([np.zeros(0), *each])


def split_of(made: Made, name: str) -> dict[str, np.ndarray]:
    """Row numbers of a site's parts, as clients deal them."""
    n = len(made.sites[name])
    table = Table(np.arange(n, dtype=np.float64)[:, None], np.zeros(n, dtype=np.int64))
    return {str(k): v.x[:, 0].astype(int) for k, v in split(table, 1, name).items()}


def outputs_of(run: Path, rows: Rows, *, is_common: bool) -> dict[str, np.ndarray]:
    """By site, what `calyx predict` computes [N, K] for its rows, which it also prints."""
    found = {}
    for name, frame in rows.frames.items():
        file, out, kept = run / "rows.csv", run / "out.csv", []
        frame.drop(columns="y").to_csv(file, index=False, float_format="%.17g")

        real = partial(_kept, predict.as_csv, kept)
        words = [str(run), str(file), f"client={name}", "--out", str(out)]
        with patch.object(predict, "as_csv", real):
            assert predict.main(words + ["--common"] * is_common) == 0
        found[name] = kept[0]
        _check_printed(rows.made, pd.read_csv(out), kept[0])
        file.unlink()
        out.unlink()
    return found


def _kept(
    real: Any, kept: list[np.ndarray], schema: Any, header: Any, outputs: np.ndarray, ids: Any
) -> str:
    kept.append(outputs)
    return str(real(schema, header, outputs, ids))


def _check_printed(made: Made, printed: pd.DataFrame, outputs: np.ndarray) -> None:
    """That what `calyx predict` prints is what it computed, to its digits."""
    if made.classes:
        expected = np.array(made.classes)[outputs.argmax(axis=1)]
        assert printed["predicted"].tolist() == expected.tolist()
        np.testing.assert_allclose(printed.iloc[:, 1:].to_numpy(), outputs, atol=1e-6)
    else:
        half = 0.5001e-4 * made.target[1]  # a step is a ten-thousandth of the scale at most
        np.testing.assert_allclose(printed["y"].to_numpy(), outputs[:, 0], rtol=0, atol=half)


def judged(rows: Rows, outputs: Mapping[str, np.ndarray]) -> dict[str, Expected]:
    """The figures of a model on these rows, by scikit-learn."""
    made, y = rows.made, rows.pooled["y"].to_numpy()
    names = ("loss", "accuracy") if made.classes else ("loss", "r2", "rmse", "mae")
    if len(y) == 0:
        return dict.fromkeys(names, Absent())
    answers = np.concatenate([outputs[name] for name in rows.frames])
    weights = rows.weights
    if made.classes:
        true = np.array([made.classes.index(label) for label in y])
        loss = -np.log(answers[np.arange(len(y)), true])
        accuracy = accuracy_score(true, answers.argmax(axis=1), sample_weight=weights)
        return {
            "loss": _near(float(np.average(loss, weights=weights))),
            "accuracy": Near(float(accuracy), STEP),
        }
    return _of_regression(y.astype(float), answers[:, 0], weights, made.target[1])


def _of_regression(
    y: np.ndarray, answers: np.ndarray, weights: np.ndarray, scale: float
) -> dict[str, Expected]:
    y, answers = y / scale, answers / scale
    error = answers - y
    mse = float(np.average(error**2, weights=weights))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r2 = float(r2_score(y, answers, sample_weight=weights))
    # What a float32 output, or the target in units of its scale, cannot say of the errors.
    slack = FLOAT * float(np.abs(answers).max() + np.abs(y).max()) * 1e-3
    mae = float(mean_absolute_error(y, answers, sample_weight=weights))
    return {
        "loss": Near(mse, FLOAT * mse + 2 * slack * mse**0.5),
        "r2": Absent() if np.ptp(y) == 0 else Near(r2, FLOAT * max(1.0, abs(1 - r2))),
        "rmse": Near(mse**0.5 * scale, (FLOAT * mse**0.5 + slack) * scale),
        "mae": Near(mae * scale, (FLOAT * mae + slack) * scale),
    }


def _near(value: float) -> Expected:
    return Near(value, FLOAT * abs(value)) if math.isfinite(value) else Within(700, math.inf)


def prefixed(prefix: str, expected: Mapping[str, Expected]) -> dict[str, Expected]:
    """With `prefix` before each name."""
    return {f"{prefix}{name}": want for name, want in expected.items()}


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """The run's events of a kind."""
    return [e for e in read_lines(run / "events.jsonl") if e["event"] == kind]


def read(path: Path) -> Any:
    """A JSON document."""
    return json.loads(path.read_text())


def confusion(rows: Rows, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """[K, K] rows by true and by predicted class, of scikit-learn."""
    made = rows.made
    true = [made.classes.index(label) for label in rows.pooled["y"]]
    answers = np.concatenate([outputs[name].argmax(axis=1) for name in rows.frames])
    return confusion_matrix(true, answers, labels=range(len(made.classes)))


UNITS = {"%": 0.01, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_NUMBER = re.compile(
    r"([-\u2212]?\d+(?:\.(\d+))?)(?:e([+-]?\d+))?(?:[\u202f\u00a0 ]?(%|[kMG]?B)(?![a-z]))?"
)


def head_of(page: str) -> dict[str, str]:
    """The key figures of a report's page, by label."""
    found = re.findall(r"<div><dt>([^<]*)</dt><dd[^>]*><bdi>([^<]*)</bdi>", page)
    return {html.unescape(label): html.unescape(value) for label, value in found}


def is_printed(text: str, values: list[float | None]) -> bool:
    """Whether a text shows these numbers, each to half of its own last digit; None is a dash."""
    if None in values:
        return "—" in text
    found = list(_NUMBER.finditer(re.sub(r"(?<=\d),(?=\d{3})", "", text)))
    if len(found) != len(values):
        return False
    for match, value in zip(found, values, strict=True):
        number, decimals, power, unit = match.groups()
        size = 10.0 ** int(power or 0) * UNITS.get(unit, 1.0)
        # Of bytes three digits are shown.
        half = 0.5 * 10.0 ** -len(decimals or "") * size
        half = max(half, 0.005 * abs(value)) if unit and unit.endswith("B") else half
        shown = float(number.replace("\u2212", "-")) * size
        if not math.isclose(shown, value, rel_tol=1e-9, abs_tol=half * 1.0001):
            return False
    return True
