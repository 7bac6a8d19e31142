"""What the figures of an audit must be: pandas, NumPy and SciPy on the pooled rows, to printed margins."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats.contingency import association

from support.oracles import Absent, Expected, Near, Unasked, Within, prefixed
from support.wild import WORDS, Made

ROUNDED = 5e-7  # shares are rounded to six digits
POWER_STEP = 2.0**-12  # of a share whose powers are summed
STEP = 1e-9  # relative to what is summed: sums are made of fixed-point steps


def of_audit(made: Made, audit: Mapping[str, Any]) -> dict[str, Expected]:
    """Every number of audit.json but those of findings."""
    minimum = int(made.options["client.policy.min_cell"])
    given = {name: frame for name, frame in made.sites.items() if len(frame) >= minimum}
    rows = _pooled(made.sites, given)
    n, hidden = len(rows), audit["hidden_label_rows"] or 0
    found: dict[str, Expected] = {
        "clients": Near(len(made.sites)),
        "bins": Near(16),
        "sites": Near(len(made.sites)),
        "rows": Near(n),
        "hidden_labels": Near(sum(has_rare_class(made, f, minimum) for f in given.values())),
        "hidden_label_rows": Within(0, n),
        "drift": Unasked(),
    }
    found |= of_duplicates(audit, given)
    found |= {f"margins.{name}": Within(0, n) for name in audit["margins"]}
    for i, label in enumerate(made.classes):
        count = int((rows["y"] == label).sum())
        if given:
            found[f"labels.{i}"] = Within(count - hidden, count)
        shares = [float((frame["y"] == label).mean()) for frame in given.values()]
        found |= of_spread(f"label_spread.{i}", audit["label_spread"][i], shares)
    for item in audit["withheld"]:
        found[f"withheld.{item}"] = Near(len(made.sites) - len(given))
    for name, column in audit["columns"].items():
        values = {site: frame[name] for site, frame in given.items()}
        of = of_words if name == "c" else of_numbers
        told = of(made, column, values) | of_column(made, column, values)
        if column["role"] == "column":
            told |= of_tells(made, column, rows, name)
        else:
            tells = ("association", "association_chance", "mark_association", "mark_chance")
            told |= dict.fromkeys(tells, Absent())
            told = {k: v for k, v in told.items() if not k.startswith("declared")}
            told["declared"] = Absent()  # how far sums reach is nobody's declaration
        found |= prefixed(f"columns.{name}.", told)
    return found if given else found | of_nobody(made, audit)


def of_nobody(made: Made, audit: Mapping[str, Any]) -> dict[str, Expected]:
    """Where no site gives anything a count is not 0, but unknown."""
    keys = ("missing", "missing_share", "coded_missing", "absent_at", "hidden_at", "count")
    keys += ("outside", "unknown", "hidden_rows")
    names = ["rows", "duplicates", "duplicates_share"]
    names += [
        f"columns.{n}.{key}" for n, of in audit["columns"].items() for key in keys if key in of
    ]
    if made.classes:
        names += ["labels", "hidden_labels", "hidden_label_rows"]
    return dict.fromkeys(names, Absent())


def _pooled(sites: Mapping[str, pd.DataFrame], given: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    empty = next(iter(sites.values())).iloc[:0]
    return pd.concat([empty, *given.values()]) if given else empty


def has_rare_class(made: Made, frame: pd.DataFrame, minimum: int) -> bool:
    """Whether a site has fewer rows of a class than it may tell."""
    counts = [int((frame["y"] == label).sum()) for label in made.classes]
    return any(0 < count < minimum for count in counts)


def of_duplicates(
    audit: Mapping[str, Any], given: Mapping[str, pd.DataFrame]
) -> dict[str, Expected]:
    """Rows that stand twice at their site."""
    count = sum(int(frame.duplicated().sum()) for frame in given.values())
    n, margin = audit["rows"], audit.get("margins", {}).get("duplicates", 0)
    return {
        "duplicates": Near(count, margin),
        "duplicates_share": Near(count / n, margin / n + ROUNDED) if n else Absent(),
    }


def of_spread(
    path: str, said: Mapping[str, Any] | None, shares: list[float]
) -> dict[str, Expected]:
    """How a share differs between sites; where not all are compared, only that it is possible."""
    if said is None:
        return {path: Absent()}
    found: dict[str, Expected] = {
        "sites": Within(2, len(shares)),
        "margin": Within(0, 1),
        "mean": Within(0, 1),
        "sd": Within(0, 0.5),
    }
    known = [share for share in shares if not np.isnan(share)]
    if said["sites"] == len(known):
        slack = said["margin"] + STEP
        found["mean"] = Near(float(np.mean(known)), slack)
        found["sd"] = Near(float(np.std(known)), slack)
    most = max((abs(share - np.mean(known)) for share in known), default=0.0)
    reach = most + said["margin"] + POWER_STEP
    found["farthest"] = Absent() if said["farthest"] is None else Within(0, reach)
    found["chance"] = Absent() if said["chance"] is None else Within(0, 1)
    return prefixed(f"{path}.", found)


def of_column(
    made: Made, said: Mapping[str, Any], values: Mapping[str, pd.Series]
) -> dict[str, Expected]:
    """What every column has."""
    pooled = pd.concat([pd.Series(dtype=object), *values.values()])
    missing, margin = int(pooled.isna().sum()), said["margins"].get("missing", 0)
    found: dict[str, Expected] = {
        "missing": Near(missing, margin),
        "missing_share": Absent(),
        "coded_missing": Near(0),
        "absent_at": Near(sum(series.isna().all() for series in values.values())),
        "hidden_at": Within(0, len(values)),
    }
    if len(pooled):
        margin = said["margins"].get("missing_share", 0) + ROUNDED
        found["missing_share"] = Near(missing / len(pooled), margin)
    found |= {f"margins.{name}": Within(0, np.inf) for name in said["margins"]}
    shares = [float(series.isna().mean()) for series in values.values()]
    return found | of_spread("missing_spread", said["missing_spread"], shares)


def of_numbers(
    made: Made, said: Mapping[str, Any], values: Mapping[str, pd.Series]
) -> dict[str, Expected]:
    """A numeric column's, of the values within its range."""
    (low, high), margins = said["range"], said["margins"]
    pooled = pd.concat([pd.Series(dtype=float), *values.values()]).dropna().to_numpy(dtype=float)
    x = pooled[(pooled >= low) & (pooled <= high)]
    found: dict[str, Expected] = {
        "count": Near(len(x), margins.get("count", 0)),
        "outside": Near(len(pooled) - len(x), margins.get("outside", 0)),
        **{
            f"{key}.{i}": Near(v)
            for key in ("range", "declared")
            for i, v in enumerate((low, high))
        },
        **{f"edges.{i}": Within(low, high) for i in range(len(said["edges"]))},
    }
    names = ("mean", "sd", "least", "q1", "median", "q3", "greatest", "outlier_share", "histogram")
    names += ("count",)
    found |= {name: Absent() for name in names if said[name] is None}
    if len(x):
        told = of_values(x, said)
        found |= {k: want for k, want in told.items() if said[k.split(".")[0]] is not None}
    means = []
    for series in values.values():
        own = series.dropna().to_numpy(dtype=float)
        own = own[(own >= low) & (own <= high)]
        means.append(float((own.mean() - low) / (high - low)) if len(own) else np.nan)
    known = dict(said["mean_spread"] or {}, margin=margin_of_means(said))
    spread = of_spread("mean_spread", known if said["mean_spread"] else None, means)
    return found | spread


def margin_of_means(said: Mapping[str, Any]) -> float:
    """Of sites' means in units of the range: 0, or what rows counted otherwise could change."""
    is_moved = any(k in said["margins"] for k in ("mean", "count")) or said["mean"] is None
    return 1.0 if is_moved else 1e-6


def of_values(x: np.ndarray, said: Mapping[str, Any]) -> dict[str, Expected]:
    """Moments, quantiles and histogram of values [N]."""
    margins, step = said["margins"], STEP * float(np.abs(x).max())
    ends = {"least": x.min(), "greatest": x.max(), "mean": x.mean(), "sd": x.std()}
    found: dict[str, Expected] = {
        name: Near(float(value), margins.get(name, 0.0) + step) for name, value in ends.items()
    }
    for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        ends = [float(np.quantile(x, q, method=method)) for method in ("lower", "higher")]
        reach = margins.get(name, 0.0) + step
        found[name] = Within(ends[0] - reach, ends[1] + reach)
    first, third = np.quantile(x, [0.25, 0.75])
    far = (x < first - 3 * (third - first)) | (x > third + 3 * (third - first))
    found["outlier_share"] = Near(float(far.mean()), margins.get("outlier_share", 0.0) + 1 / len(x))
    if said["histogram"] is not None:
        counts = np.histogram(x, said["edges"])[0]
        reach = margins.get("histogram", 0.0)
        found |= {f"histogram.{i}": Near(int(c), reach) for i, c in enumerate(counts)}
    return found


def of_words(
    made: Made, said: Mapping[str, Any], values: Mapping[str, pd.Series]
) -> dict[str, Expected]:
    """A categorical column's."""
    pooled = pd.concat([pd.Series(dtype=object), *values.values()])
    hidden = said["hidden_rows"] or 0
    found: dict[str, Expected] = {"hidden_rows": Within(0, len(pooled)), "unknown": Near(0)}
    for word in WORDS:
        count = int((pooled == word).sum())
        found[f"categories.{word}"] = Within(count - hidden, count)
        if said["category_spread"] is not None:
            shares = [float((series == word).mean()) for series in values.values()]
            path = f"category_spread.{word}"
            found |= of_spread(path, said["category_spread"][word], shares)
    for name in ("categories", "unknown", "category_spread"):
        if said[name] is None:
            found = {k: v for k, v in found.items() if k.split(".")[0] != name} | {name: Absent()}
    return found


def of_tells(
    made: Made, said: Mapping[str, Any], rows: pd.DataFrame, name: str
) -> dict[str, Expected]:
    """What a column, and the mark of its holes, tells of the label or the target."""
    margins = said["margins"]
    found: dict[str, Expected] = {
        "association_chance": Absent() if said["association_chance"] is None else Within(0, 2),
        "mark_chance": Absent() if said["mark_chance"] is None else Within(0, 2),
        "association": Absent(),
        "mark_association": Absent(),
    }
    if said["association"] is not None:
        known = rows[rows[name].notna()]
        value = _tells(made, known, name)
        found["association"] = Near(value, margins.get("association", 0.0) + 1e-6)
    if said["mark_association"] is not None:
        value = (cramer if made.classes else ratio)(rows[name].isna(), rows["y"])
        found["mark_association"] = Near(value, margins.get("mark_association", 0.0) + 1e-6)
    return found


def _tells(made: Made, known: pd.DataFrame, name: str) -> float:
    if name == "c":
        return (cramer if made.classes else ratio)(known["c"], known["y"])
    x = known[name].to_numpy(dtype=float)
    if not made.classes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return abs(float(np.corrcoef(x / np.abs(x).max(), known["y"].astype(float))[0, 1]))
    x = x / np.abs(x).max()
    return ratio(known["y"], pd.Series(x, index=known.index))


def ratio(groups: pd.Series, numbers: pd.Series) -> float:
    """The correlation ratio η of numbers by group: √(variance between groups / variance)."""
    x = numbers.to_numpy(dtype=float)
    x = x / np.abs(x).max()
    parts = [x[(groups == group).to_numpy()] for group in groups.unique()]
    between = sum(len(part) * (part.mean() - x.mean()) ** 2 for part in parts) / len(x)
    return float((between / x.var()) ** 0.5)


def cramer(left: pd.Series, right: pd.Series) -> float:
    """Cramér's V of two columns, by SciPy."""
    table = pd.crosstab(left, right).to_numpy()
    return float(association(table, method="cramer")) if min(table.shape) > 1 else 0.0
