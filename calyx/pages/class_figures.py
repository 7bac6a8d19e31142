"""Chooses what of a classifier's classes is drawn, and how it is worded; `class_charts` draws it."""

from dataclasses import dataclass

from calyx.pages.class_charts import confusion_map
from calyx.pages.classes import Classes, classes_of, why_unknown
from calyx.pages.figures import Figure
from calyx.pages.folder import Run
from calyx.pages.scales import pick
from calyx.pages.svg import Caption
from calyx.words.digits import ABSENT, percent_text

MOST_DRAWN = 66  # classes; of more the most frequent
MOST_LINES = 200  # of the table
BROAD = 20  # classes from which on the drawing takes the page's whole width
_WHOSE = {
    "common": "The model on {testers} test rows.",
    "own": "The clients' own models, each on its own test rows.",
    "both": "The common model on {testers} test rows, and not the clients' own ones.",
}


@dataclass(frozen=True)
class ClassRow:
    """One class as the table shows it."""

    name: str
    rows: int
    said: int
    hits: int
    recall: str
    precision: str


@dataclass(frozen=True)
class ClassSection:
    """The part of the page on classes; without a figure `why` says what is missing."""

    lead: str
    figure: Figure | None
    is_broad: bool
    rows: tuple[ClassRow, ...]
    num_classes: int
    why: str = ""


def class_section(run: Run) -> ClassSection | None:
    """What the test tells of classes; None of a regression, an audit, or an unfinished run."""
    summary = run.summary
    if summary is None or not run.has_training:
        return None
    known = classes_of(summary)
    if known is None:
        why = why_unknown(summary)
        return ClassSection("", None, False, (), 0, why) if why else None
    balanced = percent_text(known.balanced_accuracy)
    whose = _WHOSE[summary.models].format(testers=summary.testers)
    lead = (
        f"{whose} Recall is the share of a class's rows that are found, precision the "
        f"share of what is said to be of it that is; the mean recall, or balanced accuracy, is {balanced}."
    )
    is_broad = len(known.lines) > BROAD
    rows = tuple(_row(known, i) for i in pick(len(known.lines), MOST_LINES))
    return ClassSection(lead, confusion_figure(known), is_broad, rows, len(known.lines))


def _row(known: Classes, index: int) -> ClassRow:
    line = known.lines[index]
    recall, precision = (
        ABSENT if share is None else percent_text(share) for share in (line.recall, line.precision)
    )
    return ClassRow(line.name, line.rows, line.said, line.hits, recall, precision)


def confusion_figure(known: Classes) -> Figure:
    """The matrix of the most frequent classes, drawn."""
    num = len(known.lines)
    most = sorted(range(num), key=lambda k: -known.lines[k].rows)[:MOST_DRAWN]
    kept = sorted(most)
    names = [known.lines[k].name for k in kept]
    counts = [[known.matrix[i][j] for j in kept] for i in kept]
    sizes = [known.lines[k].rows for k in kept]
    note = "A row is a true class, a column what the model said; the stronger, the more of its row."
    if len(kept) < num:
        note += f" The {len(kept)} most frequent of {num} classes."
    caption = Caption(
        "confusion",
        "Test rows by true class and by what the model said",
        f"{len(kept)} classes; {sum(line.hits for line in known.lines)} of {known.rows} rows are on "
        "the diagonal.",
    )
    legend = (("right", "right"), ("local wrong", "taken for another class"))
    drawing = confusion_map(caption, names, counts, sizes)
    return Figure("Which class was taken for which", note, drawing, legend)
