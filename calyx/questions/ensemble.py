"""ensemble: judge the models of all folds together on the test part, which none of them has trained on.

It follows the scoring of the folds and brings the very same models, once more and no others: each client
judges every model and their combination (`cv.combine`), and one sum tells the scores of all. See
docs/decisions/0094.
"""

import statistics
from collections.abc import Mapping, Sequence

from calyx.errors import ConfigError
from calyx.model.metrics import metric_name
from calyx.questions.judging import evaluation_layout, figures_of
from calyx.questions.question import Question
from calyx.questions.segments import Contents, Inquiry, Segments
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """Counts of one evaluation a fold, and of one more of all together.

    Raises ConfigError for models of clients' own, which no release could combine.
    """
    terms, contents = inquiry.terms, inquiry.contents
    if contents.models != "common":
        raise ConfigError(
            "cv.combine needs one model of all clients, and this strategy trains a model of each: use "
            "strategy=fedavg, or leave cv.combine out."
        )
    if terms.cv is None or terms.cv.combine is None:
        raise ConfigError("The order asks for a combination, and names no cv.combine.")
    return Segments(evaluations=(evaluation_layout(inquiry),) * (terms.folds + 1))


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """Loss and scores of one model, or of all together, over all test rows."""
    return figures_of(contents, counts, "test rows")


def compare(contents: Contents, each: Sequence[Figures]) -> Figures:
    """What combining gained, of the figures of each member and, last, of all together.

    The best member is chosen by these rows, so that the gain over it is rather too small. Where one score
    is absent, so is what would follow from it, for the same reason.
    """
    metric = metric_name(contents.task.schema)
    *members, combined = each
    scores = [one.values[metric] for one in members]
    known, score = [s for s in scores if s is not None], combined.values[metric]
    why = combined.absent.get(metric, "")
    why_members = next((one.absent[metric] for one in members if metric in one.absent), "")
    best = max(known) if len(known) == len(scores) else None
    mean = statistics.fmean(known) if len(known) == len(scores) else None
    values = {
        "score": score,
        "best_member": best,
        "mean_member": mean,
        "gain": None if score is None or best is None else score - best,
        "gain_over_mean": None if score is None or mean is None else score - mean,
    }
    reasons = {
        name: (why if name == "score" else why_members or why)
        for name, value in values.items()
        if value is None
    }
    return Figures(values, reasons)


QUESTION = Question(
    kind="ensemble",
    message_type="evaluate.ensemble",
    shown="scoring the folds together",
    noun="scoring of folds together",
    model="folds",
    part="test",
    answer="combine",
    counted="scores",
    segments=segments,
    say=say,
    follows="cv",
)
