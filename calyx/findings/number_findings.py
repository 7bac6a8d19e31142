"""What is wrong with numeric columns, as far as sums tell: ranges far too wide, and figures not told."""

from collections.abc import Iterator

from calyx.findings.figures import VariableFigures
from calyx.findings.finding import AuditFinding
from calyx.findings.numbers import Numbers
from calyx.survey.variables import REACH, Variable
from calyx.words.digits import outside as outside_of
from calyx.words.digits import plain
from calyx.words.sentences import join_names

_QUANTILES = {"median": "median", "q1": "first quartile", "q3": "third quartile"}
_MOMENTS = {"mean": "mean", "sd": "standard deviation"}


def number_findings(one: VariableFigures) -> Iterator[AuditFinding]:
    """Findings about one variable; none of what has no range or no values."""
    numbers = one.numbers
    if numbers is None or numbers.moments is None:
        return
    name, unit = one.variable.name, f" {one.variable.unit}" if one.variable.unit else ""
    sd = numbers.moments.sd
    if numbers.is_wide and one.variable.role != "target":  # its reach is nobody's declaration
        yield AuditFinding(
            "wide-range",
            "warning",
            name,
            None,
            f"{name} is declared {numbers.low:g} … {numbers.high:g}{unit}, which is "
            f"{(numbers.high - numbers.low) / sd:.0f} times its standard deviation "
            f"({sd:.4g}, about a mean of {numbers.moments.mean:.4g}).",
            "Declare the range that sound values have: another unit, or a typing error, is seen only "
            "where it leaves that range.",
        )
    reasons: dict[str, list[str]] = {}  # quantiles lie in bins, moments of rows that sites moved
    for keys in (_QUANTILES, _MOMENTS):
        lacking = [word for key, word in keys.items() if key in numbers.absent]
        if lacking:
            reason = next(numbers.absent[key] for key in keys if key in numbers.absent)
            reasons.setdefault(reason, []).extend(lacking)
    for reason, lacking in reasons.items():
        yield AuditFinding(
            "not-told",
            "info",
            name,
            None,
            f"The {join_names(lacking, len(lacking))} of {name} "
            f"{'is' if len(lacking) == 1 else 'are'} not told: {reason}.",
            "Nothing; what is not told is not used either. More rows a site, or a smaller "
            "client.policy.min_cell, would tell it.",
        )


def ranges(variable: Variable, n: Numbers) -> Iterator[AuditFinding]:
    """Values outside what somebody declared are an error; beyond what a target's sums reach, they are not."""
    name, unit = variable.name, f" {variable.unit}" if variable.unit else ""
    ends = ((n.below, variable.low), (n.above, variable.high))
    if outside := sum(rows for rows, end in ends if end is not None):
        what = f"{outside_of(variable.low, variable.high)}{unit}"
        if variable.low is not None and variable.high is not None:
            what += f" ({n.below} below, {n.above} above)"
        yield AuditFinding(
            "range",
            "error",
            name,
            outside,
            f"{outside} values of {name} lie {what}.",
            "A site may use another unit, or a code for missing values: each sees its own share.",
        )
    beyond = n.below + n.above - outside
    if beyond and variable.target is not None:
        center, scale = variable.target.center, variable.target.scale
        yield AuditFinding(
            "beyond-reach",
            "warning",
            name,
            beyond,
            f"{beyond} values of {name} are in no figure of the audit: they are more than "
            f"{REACH:,.0f} times its scale of {plain(scale)} away from its center of {plain(center)}.",
            "Nothing is wrong with the rows for that. Write a typical value and a typical distance "
            "from it as center and scale of the target into the schema, so that they are counted.",
        )
