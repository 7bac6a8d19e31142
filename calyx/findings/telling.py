"""Columns that tell the label almost wholly: they may have been written down after it.

Both what a column says and whether it says anything are inputs of a model.
"""

from collections.abc import Iterator

from calyx.data.schema import Schema
from calyx.findings.figures import VariableFigures
from calyx.findings.finding import AuditFinding

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
