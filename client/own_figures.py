"""What a client's journal says of its own models: losses and scores, or why there is none."""

from calyx.figures import Figures, none_of
from calyx.metrics import Evaluation, counts_of, figures, metric_name
from calyx.tasks.base import Schema
from client.training import MIN_VALIDATION_ROWS, Trained


def losses(trained: Trained, num_validation: int) -> dict[str, object]:
    """Of this client's journal; why there is no loss on its validation rows, if there is none."""
    values: dict[str, object] = {"train_loss": trained.loss, "val_loss": trained.validation_loss}
    if trained.validation_loss is not None:
        return values
    why = "an output on a validation row is not finite"
    if num_validation < MIN_VALIDATION_ROWS:
        why = f"a training looks at {MIN_VALIDATION_ROWS} validation rows or more, and there are "
        why += str(num_validation)
    return values | {"absent": {"val_loss": why}}


def figures_of(schema: Schema, result: Evaluation | None, kind: str) -> Figures:
    """This client's own figures, for its journal: loss and score; None is a model that it lacks."""
    if result is None:
        names = ("loss", metric_name(schema))
        return none_of(names, "it took part in no round, and has no model of its own")
    empty = f"there are no {'validation' if kind == 'evaluate' else 'test'} rows"
    told = figures(schema, counts_of(result, schema, "rows"), empty=empty)
    return told.only(("loss", metric_name(schema)))
