"""What a client's models are judged by, as counts for a sum: the common one, and its own.

A model of which this client has not all layers is none: it adds a count, and no figure.
See docs/decisions/0033.
"""

from typing import Literal

from calyx.config.section import parse
from calyx.data.schema import Part, Schema
from calyx.machine.hardware import apply
from calyx.model.details import no_details, told_details
from calyx.model.evaluation import evaluate
from calyx.model.metrics import PERSONAL, Evaluation, counts_of, figures, metric_name
from calyx.model.spread import spread_counts
from calyx.model.weights import Weights
from calyx.privacy.section import PrivacyConfig
from calyx.questions.layouts import over_of
from calyx.vector.contribution import Contribution
from calyx.vector.figures import Figures, as_row, none_of
from client import journal
from client.gate.assignment import Assignment


def judge_models(
    task: Assignment, number: int, fold: dict[str, int], min_cell: int
) -> Contribution:
    """What the model of round `number` is judged by; `min_cell` is of the site's own policy."""
    kind: Literal["test", "evaluate", "cv"] = "evaluate"
    if task.order.kind in ("test", "cv"):
        kind = "test" if task.order.kind == "test" else "cv"
    part = task.participant.parts["validation" if kind == "evaluate" else "test"]
    own = task.store.until(number) if task.store else {}
    schema = task.participant.task.schema
    over = over_of(parse(PrivacyConfig, task.order.terms.privacy, "privacy"))
    # Layers that nobody trained are no model: who lacks its own is counted, and not judged.
    result = None
    if task.objective.has_layers(task.makeup, own):
        result = _judged(task, part, task.objective.localised(task.model, own))
    prefix = "val_" if kind == "evaluate" else "test_"
    said = _said(schema, result, kind).named(prefix)
    counts = counts_of(result, schema, over)
    if task.objective.personal() is not None:
        personal = _judged(task, part, own) if own else None
        said |= _said(schema, personal, kind).named(f"{prefix}{PERSONAL}")
        counts |= counts_of(personal, schema, over, PERSONAL)
    if kind != "evaluate":
        if result is None:
            counts |= spread_counts(schema, None, 0) | no_details(schema, over)
        else:
            counts |= spread_counts(schema, result.score, len(part))
            counts |= told_details(result.beside, min_cell)
    journal.write(kind, round=number, **fold, **as_row(said), num_examples=len(part))
    # Outputs that are not finite are a count in the sum: a failure here would answer, of this client
    # alone, whether its rows make a chosen model diverge.
    return Contribution(1, {}, {}, counts)


def _said(schema: Schema, result: Evaluation | None, kind: str) -> Figures:
    """This client's own figures, for its journal: loss and score; None is a model that it lacks."""
    if result is None:
        names = ("loss", metric_name(schema))
        return none_of(names, "it took part in no round, and has no model of its own")
    empty = f"there are no {'validation' if kind == 'evaluate' else 'test'} rows"
    told = figures(schema, counts_of(result, schema, "rows"), empty=empty)
    return told.only(("loss", metric_name(schema)))


def _judged(task: Assignment, part: Part, weights: Weights) -> Evaluation:
    model = task.loaded(weights).to(task.hardware.device)
    is_test = task.order.kind in ("test", "cv")
    return evaluate(model, part, apply(task.hardware), is_test=is_test)
