"""What is wrong with a federation's data, as far as sums tell: how badly, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from calyx.digits import plain
from calyx.statistics.figures import Figures, VariableFigures
from calyx.tasks.base import Schema

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
MOSTLY = 0.5  # share of missing rows above which a column says little
UNEVEN = 0.25  # sd over sites of a share of missing rows
LABEL_SHIFT = 0.1  # sd over sites of a class's share, above what chance gives
MEAN_SHIFT = 0.75  # sd over sites of a column's mean, in sd of its values


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong, of all sites together."""

    check: str
    severity: Severity
    column: str | None
    count: int | None  # rows, or sites
    message: str  # what is wrong
    advice: str  # what to do


def find(figures: Figures, schema: Schema) -> list[AuditFinding]:
    """All findings, the worst first."""
    found = [*_labels(figures, schema), *_whole(figures)]
    for one in figures.variables:
        found += [*_missing(one, figures), *_values(one), *_spread(one)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def _labels(figures: Figures, schema: Schema) -> Iterator[AuditFinding]:
    if not figures.labels:
        return
    filled = [n for n in figures.labels if n]
    if len(filled) == 1 and figures.hidden_labels == 0:
        yield AuditFinding(
            "constant-label",
            "error",
            None,
            filled[0],
            "All rows of all sites have one label.",
            "Nothing can be learnt: see which column the sites give as the label.",
        )
    share = [n / max(1, sum(figures.labels)) for n in figures.labels]
    for k, shift in enumerate(figures.label_spread):
        # What independent draws of equal sites would give.
        chance = (share[k] * (1 - share[k]) * figures.sites / max(1, figures.rows)) ** 0.5
        if shift.sd > LABEL_SHIFT + 2 * chance:
            yield AuditFinding(
                "label-shift",
                "warning",
                None,
                None,
                f"The share of {schema.classes[k]} differs between sites: {shift.mean:.0%} on "
                f"average, with a standard deviation of {shift.sd:.0%}.",
                "See that all sites mean the same by the label; if they do, scale by federated "
                "statistics (preprocessing=federated), and look at every site's own accuracy.",
            )
            break  # the other classes' shares follow
    if figures.hidden_labels:
        yield AuditFinding(
            "hidden-labels",
            "info",
            None,
            figures.hidden_labels,
            f"{_sites(figures.hidden_labels)} hid how many rows a rare class has.",
            "Nothing; the counts of labels are lower by these rows.",
        )


def _whole(figures: Figures) -> Iterator[AuditFinding]:
    if figures.duplicates:
        yield AuditFinding(
            "duplicates",
            "warning" if figures.duplicates > 0.01 * figures.rows else "info",
            None,
            figures.duplicates,
            f"{figures.duplicates} of {figures.rows} rows stand twice at their site.",
            "Each site sees which in its own findings; a row twice weighs twice.",
        )
    if figures.withheld:
        sites = max(figures.withheld.values())
        yield AuditFinding(
            "withheld",
            "info",
            None,
            sites,
            f"{_sites(sites)} gave no {', '.join(figures.withheld)}: by its policy, or because it "
            "has too few rows.",
            "Nothing; these figures are of the other sites.",
        )
    hidden = [v.variable.name for v in figures.variables if v.hidden]
    if hidden:
        names = ", ".join(hidden[:4]) + (f" and {len(hidden) - 4} more" if len(hidden) > 4 else "")
        yield AuditFinding(
            "hidden",
            "info",
            None,
            len(hidden),
            f"Cells of few rows were hidden by their sites in {names}.",
            "Nothing; histograms and counts are lower by these rows.",
        )


def _missing(one: VariableFigures, figures: Figures) -> Iterator[AuditFinding]:
    name, share = one.variable.name, one.missing_share
    if figures.sites > 1 and one.absent >= figures.sites - 1:
        where = "at every site" if one.absent == figures.sites else "at every site but one"
        yield AuditFinding(
            "absent",
            "error",
            name,
            one.absent,
            f"{name} has no value at all {where}.",
            "Leave the column out of the schema, or have the sites deliver it.",
        )
    elif share > MOSTLY:
        yield AuditFinding(
            "mostly-missing",
            "warning",
            name,
            one.missing,
            f"{name} is missing in {share:.0%} of all rows{_uneven(one)}.",
            "Ask whether the column is worth keeping; its imputed values are mostly made up.",
        )
    elif one.missing_spread and one.missing_spread.sd > UNEVEN:
        yield AuditFinding(
            "unevenly-missing",
            "warning",
            name,
            one.missing,
            f"{name} is missing in {share:.0%} of all rows{_uneven(one)}.",
            "Ask the sites that lack it: a mark for missing values then tells which site a row is of.",
        )
    if one.is_single and one.absent < figures.sites - 1:
        yield AuditFinding(
            "single-site",
            "warning",
            name,
            1,
            f"After small cells were hidden only one site shows values of {name}: its figures are "
            "left out, since they would be that site's own.",
            "Ask whether the column is worth keeping: federated constants for it come from its "
            "declared range and not from data.",
        )
    if one.coded:
        yield AuditFinding(
            "coded-missing",
            "info",
            name,
            one.coded,
            f"{one.coded} values of {name} are a code for a missing one, and count as missing.",
            "Nothing, if the schema's codes are right.",
        )


def _values(one: VariableFigures) -> Iterator[AuditFinding]:
    name, unit = one.variable.name, f" {one.variable.unit}" if one.variable.unit else ""
    if one.numbers and (outside := one.numbers.below + one.numbers.above):
        n = one.numbers
        yield AuditFinding(
            "range",
            "error",
            name,
            outside,
            f"{outside} values of {name} lie outside {plain(n.low)} … {plain(n.high)}{unit} "
            f"({n.below} below, {n.above} above).",
            "A site may use another unit, or a code for missing values: each sees its own share.",
        )
    if one.categories and one.categories.unknown:
        yield AuditFinding(
            "unknown-category",
            "warning",
            name,
            one.categories.unknown,
            f"{one.categories.unknown} values of {name} are no category that the schema declares.",
            "Declare the category, or have the site that uses it translate it.",
        )


def _spread(one: VariableFigures) -> Iterator[AuditFinding]:
    n = one.numbers
    if n is None or n.spread is None or not n.sd:
        return
    shift = n.spread.sd * (n.high - n.low) / n.sd
    if shift > MEAN_SHIFT:
        yield AuditFinding(
            "mean-shift",
            "warning",
            one.variable.name,
            None,
            f"The mean of {one.variable.name} differs between sites, with a standard deviation of "
            f"{shift:.1f} times that of its values.",
            "See that all sites measure in the same unit and that no two columns are swapped.",
        )


def _uneven(one: VariableFigures) -> str:
    spread = one.missing_spread
    if spread is None or spread.sd <= UNEVEN:
        return ""
    return f", and unevenly: {spread.mean:.0%} of a site's on average, with a sd of {spread.sd:.0%}"


def _sites(count: int) -> str:
    return "1 site" if count == 1 else f"{count} sites"
