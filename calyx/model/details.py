"""What else a classifier's test counts: which classes it took for which, and how sure it was.

Shapes: K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.model import conformal
from calyx.model.calibration import STEP, coarsen, expected_calibration_error, margin
from calyx.model.metrics import PERSONAL, ROBUST, ROWS_MAX, Counts, Over, figures
from calyx.model.spread import client_spread
from calyx.vector.contribution import Cells, Count
from calyx.vector.figures import IMPOSSIBLE

RELIABILITY_BINS = 15  # of a classifier's confidence
_CONFIDENTIAL = "rows are not counted with privacy.weighting=equal"


def detail_terms(schema: Schema, over: Over) -> tuple[Count, ...]:
    """What a test of a classifier counts beside it; nothing where rows are confidential.

    The confusion matrix is flattened: row = true class, column = predicted class.
    """
    if schema.target is not None or over == "clients":
        return ()
    return (
        Count("confusion", len(schema.classes) ** 2, ROWS_MAX),
        Count("reliability", 3 * RELIABILITY_BINS, ROWS_MAX << 20),
        Count("coarse", 1, ROWS_MAX),  # rows of which a bin's middle stands for the confidence
    )


def coarsen_details(counts: Counts, min_cell: int) -> dict[str, Cells]:
    """A client's counts as it sends them: without the confidences of bins below `min_cell` rows.

    Small cells of the confusion matrix are sent as they are: of a small site nothing would be left.
    """
    if "reliability" not in counts:
        return dict(counts)
    bins, coarse = coarsen(counts["reliability"].reshape(3, -1), min_cell)
    beside = {"reliability": bins.reshape(-1), "coarse": np.array([coarse], dtype=object)}
    return {**counts, **beside}


def details(schema: Schema, counts: Counts) -> tuple[dict[str, Any], dict[str, str]]:
    """What is kept of a classifier's test beside its figures, from the summed counts.

    Returns JSON values by name, and for each that is None the reason; nothing of a regression.
    """
    if schema.target is not None:
        return {}, {}
    names, reason = ("calibration_error", "calibration_error_margin", "confusion"), None
    if "reliability" not in counts:
        reason = _CONFIDENTIAL
    else:
        told = figures(schema, counts, empty="no client has test rows")
        reason = told.absent.get("accuracy")
        if reason is None and not _fits(counts):
            reason = IMPOSSIBLE
    if reason is not None:
        return dict.fromkeys(names), dict.fromkeys(names, reason)
    sure = counts["reliability"].reshape(3, -1).astype(np.float64)
    confusion = counts["confusion"].reshape(len(schema.classes), -1)
    rows, coarse = int(counts["rows"][0]), int(counts["coarse"][0])
    values = {
        "calibration_error": expected_calibration_error(sure),
        "calibration_error_margin": margin(coarse, rows, RELIABILITY_BINS),
        "confusion": confusion.astype(np.int64).tolist(),
    }
    return values, {}


def contradicts_itself(schema: Schema, counts: Counts) -> bool:
    """Whether the sums of an evaluation are those of no rows at all: docs/secagg.md §13, C2."""
    reasons = set(details(schema, counts)[1].values()) if "reliability" in counts else set()
    if conformal.NAME in counts and not conformal.fits(counts):
        reasons.add(IMPOSSIBLE)
    if "scored" in counts:
        reasons |= set(client_spread(schema, counts).absent.values())
    for prefix in ("", PERSONAL, ROBUST, f"{ROBUST}{PERSONAL}"):
        if f"{prefix}clients" in counts:
            reasons |= set(figures(schema, counts, prefix).absent.values())
    return IMPOSSIBLE in reasons


def _fits(counts: Counts) -> bool:
    """Whether the sums of a test's details can be of the same rows as its other counts."""
    labels, hits, rows = counts["labels"], int(counts["hits"][0]), int(counts["rows"][0])
    confusion = counts["confusion"].reshape(len(labels), -1)
    size, correct, sure = counts["reliability"].reshape(3, -1)
    return bool(
        (confusion.sum(axis=1) == labels).all()
        and int(np.trace(confusion)) == hits == int(correct.sum())
        and int(size.sum()) == rows >= int(counts["coarse"][0])
        and (correct <= size).all()
        and (sure * STEP <= size).all()
    )


def confusion_matrix(
    true: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Counts [K, K] of rows by (true, predicted) class, both [N] in 0 … K-1."""
    cells = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)
