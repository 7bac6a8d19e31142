"""Says in words where an accuracy hides how a classifier treats its classes. Pure."""

from dataclasses import dataclass

from calyx.pages.classes import COMMON, Classes, ClassLine, classes_of
from calyx.pages.folder import Run
from calyx.pages.scales import shorten
from calyx.pages.verdict import Remark
from calyx.run.summary import Summary
from calyx.words.digits import percent_text, percent_texts

_JUDGE = (
    "Judge the model by its balanced accuracy and by the table of its classes, and not by the "
    "accuracy alone."
)
_LETTERS = 40  # of a class's name in a sentence


@dataclass(frozen=True)
class _Subject:
    """How the models are called that a sentence is about, and the verbs that go with it."""

    name: str
    says: str
    finds: str


def class_remark(run: Run) -> Remark | None:
    """The one thing to know of a finished classifier's classes, if there is any."""
    summary = run.summary
    if summary is None or summary.metric != "accuracy" or summary.score() is None:
        return None
    known = classes_of(summary)
    if known is None:
        return _by_accuracy(summary)
    who = _WHO[summary.models]
    if len(known.filled) == 1:
        seen = f"All test rows are of one class, {_name(known.commonest)}: their accuracy says nothing."
        return Remark("classes", seen, "", seen)
    if known.only is not None:
        return _always(known, known.only, who)
    accuracy = sum(line.hits for line in known.lines) / known.rows
    majority = known.commonest.rows / known.rows
    if accuracy <= majority:
        return _no_better(known, who, accuracy, majority)
    return _uneven(known, who, accuracy, majority) if known.is_uneven else None


_WHO = {
    "common": _Subject("The model", "says", "finds"),
    "own": _Subject("The clients' own models", "say", "find"),
    "both": _Subject("The common model", "says", "finds"),
}


def _always(known: Classes, only: ClassLine, who: _Subject) -> Remark:
    name, missed = _name(only), known.rows - only.rows
    share = percent_text(only.rows / known.rows)
    commonest = ", the commonest class," if only.rows == known.commonest.rows else ""
    head = f"{who.name} {who.says} {name}{commonest} of every row"
    others = [line for line in known.filled if line is not only]
    of = _name(others[0]) if len(others) == 1 else "other classes"
    seen = (
        f"{head}: that alone has an accuracy of {share}, and none of the {missed} rows of {of} is "
        "found. It has learnt nothing that tells the classes apart."
    )
    brief = f"{head}: none of the {missed} rows of {of} is found"
    return Remark("classes", seen, "", brief)


def _no_better(known: Classes, who: _Subject, accuracy: float, majority: float) -> Remark:
    ours, zero = percent_texts([accuracy, majority])
    words = "no better than" if accuracy == majority else "worse than"
    head = f"An accuracy of {ours} is {words} always saying {_name(known.commonest)} ({zero})"
    hits = _describe_found(known, who)
    return Remark("classes", f"{head}. {hits}", _JUDGE, head)


def _uneven(known: Classes, who: _Subject, accuracy: float, majority: float) -> Remark:
    weakest, hits = known.weakest, _describe_found(known, who)
    share = percent_text(weakest.recall, " %") if weakest.hits else "no row"
    least = f"{share} of {_name(weakest)} is found"
    if majority > COMMON:
        ours, zero = percent_texts([accuracy, majority])
        but = f"but always saying {_name(known.commonest)} has {zero}"
        seen = f"The classes are of very unequal size: the accuracy is {ours}, {but}. {hits}"
        return Remark("classes", seen, _JUDGE, f"accuracy {ours}, {but}; {least}")
    sizes = sorted(line.rows for line in known.lines)
    head = f"classes have {sizes[0]} to {sizes[-1]} test rows, and the large ones make the accuracy"
    return Remark("classes", f"The {head}. {hits}", _JUDGE, f"{head}; {least}")


def _describe_found(known: Classes, who: _Subject) -> str:
    """How much of the class that it knows least a model finds."""
    weakest = known.weakest
    least = "" if len(known.filled) == 2 else ", the least of all classes"
    return (
        f"{who.name} {who.finds} {percent_text(weakest.recall)} of {_name(weakest)} ({weakest.hits} of "
        f"{weakest.rows} rows){least}; the balanced accuracy is "
        f"{percent_text(known.balanced_accuracy)}."
    )


def _by_accuracy(summary: Summary) -> Remark | None:
    """A remark where a test without a confusion matrix is no better than naming the commonest class."""
    accuracy, majority = summary.score(), summary.figure("test_majority")
    if accuracy is None or majority is None or accuracy > majority + 1e-9:
        return None
    ours, zero = percent_texts([accuracy, majority])
    words = "worse than" if accuracy < majority - 1e-9 else "no better than"
    seen = f"An accuracy of {ours} is {words} always naming the commonest class ({zero})"
    return Remark("classes", f"{seen}.", "", seen)


def _name(line: ClassLine) -> str:
    return shorten(line.name, _LETTERS)
