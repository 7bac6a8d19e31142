"""What is wrong with a federation's data, as far as sums tell: how badly, and what to do about it."""

from collections.abc import Iterator

from calyx.data.schema import Schema
from calyx.findings.figures import Figures, VariableFigures
from calyx.findings.finding import SEVERITIES, SHOWN, AuditFinding
from calyx.findings.number_findings import number_findings, ranges
from calyx.findings.shifts import FAR_MISSING, is_far, label_shifts, shifts
from calyx.words.digits import plain
from calyx.words.sentences import list_first, say_count

MOSTLY = 0.5  # share of missing rows above which a column says little
UNEVEN = 0.25  # sd over sites of a share of missing rows
LEAST_ROWS = 2  # that can differ
HIDDEN = 0.05  # share of rows of rare categories, above which it is said of a column by itself


def find(figures: Figures, schema: Schema) -> list[AuditFinding]:
    """All findings, the worst first."""
    findings = [*_labels(figures, schema), *_whole(figures)]
    for one in figures.variables:
        findings += [
            *_missing(one, figures),
            *_values(one),
            *shifts(one),
            *find_telling(one, schema),
        ]
        findings += number_findings(one)
    return sorted(findings, key=lambda f: SEVERITIES.index(f.severity))


def _labels(figures: Figures, schema: Schema) -> Iterator[AuditFinding]:
    if not figures.labels:
        yield from _targets(figures)
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
    yield from label_shifts(figures, schema)
    if figures.hidden_labels:
        yield AuditFinding(
            "hidden-labels",
            "info",
            None,
            figures.hidden_labels,
            f"{say_count(figures.hidden_labels, 'site')} hid how many rows a rare class has: the classes of "
            f"{figures.hidden_label_rows} rows are not told.",
            "Nothing; the counts of labels are lower by these rows.",
        )


def _targets(figures: Figures) -> Iterator[AuditFinding]:
    """Say of a regression that all its targets are one number, as far as they lie within its range."""
    for one in figures.variables:
        n = one.numbers
        if n is None or one.variable.role != "target" or n.count < LEAST_ROWS:
            continue
        if n.below or n.above:
            continue
        if n.sd == 0 and n.moments is not None and "sd" not in n.margins:
            yield AuditFinding(
                "constant-label",
                "error",
                None,
                n.count,
                f"All rows of all sites have the target {plain(n.moments.mean)}.",
                "Nothing can be learnt: see which column the sites give as the target.",
            )


def _whole(figures: Figures) -> Iterator[AuditFinding]:
    if figures.duplicates or figures.duplicates_open:
        more = f", and up to {figures.duplicates_open} more that sites hide, since they are few"
        yield AuditFinding(
            "duplicates",
            "warning" if figures.duplicates > 0.01 * figures.rows else "info",
            None,
            figures.duplicates,
            f"{figures.duplicates} of {figures.rows} rows stand twice at their site"
            f"{more if figures.duplicates_open else ''}.",
            "Each site sees which in its own findings; a row twice weighs twice.",
        )
    if figures.withheld:
        sites = max(figures.withheld.values())
        yield AuditFinding(
            "withheld",
            "info",
            None,
            sites,
            f"{say_count(sites, 'site')} gave no {', '.join(figures.withheld)}: by its policy, or because it "
            "has too few rows.",
            "Nothing; these figures are of the other sites.",
        )
    hidden = [v.variable.name for v in figures.variables if v.hidden]
    if hidden:
        yield AuditFinding(
            "hidden",
            "info",
            None,
            len(hidden),
            f"Cells of few rows were hidden by their sites in {list_first(hidden, SHOWN)}.",
            "Nothing; histograms and counts are lower by these rows, and figures that they could change "
            "have a margin or are left out.",
        )


def _missing(one: VariableFigures, figures: Figures) -> Iterator[AuditFinding]:
    name, share = one.variable.name, one.missing_share or 0.0
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
    elif _is_uneven(one):
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
    if one.coded or one.coded_open:
        code = "a code for a missing one"
        code += ", or none of its categories" if one.variable.categories else ""
        off = f", and up to {one.coded_open} more or fewer, which sites hide"
        yield AuditFinding(
            "coded-missing",
            "info",
            name,
            one.coded,
            f"{one.coded} values of {name} are {code}, and count as missing"
            f"{off if one.coded_open else ''}.",
            "Nothing, if the schema's codes and categories are right.",
        )


def _values(one: VariableFigures) -> Iterator[AuditFinding]:
    name = one.variable.name
    if one.numbers is not None:
        yield from ranges(one.variable, one.numbers)
    hidden = one.categories.hidden if one.categories else 0
    if one.rows and hidden > HIDDEN * one.rows:
        yield AuditFinding(
            "hidden-rows",
            "info",
            name,
            hidden,
            f"{hidden} of {one.rows} rows of {name} are of categories that are rare at their site: of "
            "which is not known.",
            "Declare fewer, wider categories if the column matters; or leave client.policy.min_cell "
            "lower by agreement of the sites.",
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


def _is_uneven(one: VariableFigures) -> bool:
    spread = one.missing_spread
    if spread is None:
        return False
    return spread.sd > UNEVEN or is_far(spread, FAR_MISSING)


def _uneven(one: VariableFigures) -> str:
    spread = one.missing_spread
    if spread is None or not _is_uneven(one):
        return ""
    return f", and unevenly: {spread.mean:.0%} of a site's on average, with a sd of {spread.sd:.0%}"


TELLS = 0.95  # Cramér's V, or |r| with a number
# η of a number with classes. An id that was dealt out class by class has 0.87 for two classes; two
# normal ones of the same spread that are told apart in 99 of 100 pairs, 0.85.
TELLS_BY_NUMBER = 0.85


def find_telling(one: VariableFigures, schema: Schema) -> Iterator[AuditFinding]:
    """A warning for the values, and one for the mark "is missing"."""
    what = f"the label {schema.target.name}" if schema.target else "the label"
    name, is_number = one.variable.name, one.numbers is not None
    limit = TELLS_BY_NUMBER if is_number and schema.classes else TELLS
    by_class, by_target = ("η", "|r|") if is_number else ("V", "η")
    measure = by_class if schema.classes else by_target
    value, mark = one.tells.value, one.marks.value
    if value is not None and value >= limit:
        yield AuditFinding(
            "tells-label",
            "warning",
            name,
            None,
            f"{name} tells {what} almost wholly ({measure} {value:.2f}).",
            "Is it known before the label is? If not, leave it out of the schema: a model that has it "
            "is of no use where it is to be used.",
        )
    if mark is not None and mark >= TELLS:
        yield AuditFinding(
            "tells-label",
            "warning",
            name,
            one.missing,
            f"Whether {name} is missing tells {what} almost wholly "
            f"({'V' if schema.classes else '|r|'} {mark:.2f}).",
            "Is it looked for only when the label is known? Then leave it out of the schema: models "
            "get a mark for missing values.",
        )
