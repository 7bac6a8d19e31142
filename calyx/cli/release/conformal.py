"""What a run's test counted of scores, as the part of a card from which prediction sets follow."""

from calyx.model.conformal import error_ends, probability_ends
from calyx.releases.card_parts import Conformal
from calyx.run.summary import Summary

_OF_OTHERS = "the test's scores are of the common model, and this one is a client's own"
_OF_MEMBERS = "the test's scores are of each model alone, and not of their combination"
_NOT_COUNTED = "the run's test counted no scores"
_OTHER_CELLS = "the run's test counted scores in cells that this version of Calyx does not know"


def conformal_part(
    summary: Summary, client: str | None, *, is_combined: bool
) -> tuple[Conformal | None, str]:
    """The cells, or None and why; of the model of one `client`, or of several models combined, none."""
    if is_combined:
        return None, _OF_MEMBERS
    if client is not None:
        return None, _OF_OTHERS
    cells = summary.test_conformal
    if cells is None:
        return None, summary.absent.get("test_conformal", _NOT_COUNTED)
    is_of_classes = bool(summary.classes)
    ends = probability_ends() if is_of_classes else error_ends()[:-1]
    if len(cells) != len(ends) + (not is_of_classes) or not sum(cells):
        return None, _OTHER_CELLS
    return Conformal(
        score="probability" if is_of_classes else "absolute_error",
        ends=tuple(map(float, ends)),
        counts=cells,
    ), ""
