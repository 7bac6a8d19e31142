"""The answer to a question about several models together: each is judged, and so is their combination.

All are judged on the test part of a training, of which folds that will be combined have no row; each
model sees these rows as its own fold has preprocessed them. Outputs of one client leave it in sums only.

Shapes: M models, N rows, K outputs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Part
from calyx.errors import ConfigError
from calyx.machine.hardware import apply
from calyx.machine.spans import span
from calyx.model.combining import Combine, combine_outputs
from calyx.model.evaluation import compute_outputs, evaluation_of
from calyx.model.metrics import counts_of
from calyx.questions.cv import scored_folds
from calyx.questions.segments import over_of
from calyx.vector.contribution import Contribution
from client import journal
from client.learning.contribution import Answer
from client.learning.preparation import Client, select_fold
from client.rows.data import with_test_of

Values = NDArray[np.float64]
_LEAST = 1e-300  # of a probability: its logarithm is finite


def judge_combined(clients: Sequence[Client]) -> list[Answer]:
    """A contribution a model, and one more of their combination, of each client.

    Raises ConfigError for an order that does not say how they are combined.
    """
    return [_judge(client) for client in clients]


def _judge(client: Client) -> Answer:
    order, site = client.assignment.order, client.assignment.site
    if order.terms.cv is None or order.terms.cv.combine is None:
        raise ConfigError("The order asks for a combination, and names no cv.combine.")
    schema, over = client.data.task.schema, over_of(client.assignment.sections.privacy)
    outputs, parts = [], []
    with span("validate"):
        for fold in scored_folds(order, site.name):
            own = select_fold(client, fold)
            part = with_test_of(own.data, client.assignment.rows).parts["test"]
            network = own.model.load(own.model.weights)
            outputs.append(compute_outputs(network, part.x, apply(own.model.hardware)))
            parts.append(part)
        together = combine_logits(np.stack(outputs), order.terms.cv.combine, parts[0])
        judged = zip([*outputs, together], [*parts, parts[0]], strict=True)
        results = [evaluation_of(one, part) for one, part in judged]
    num_examples = len(parts[0])
    journal.write("ensemble", round=order.round, num_examples=num_examples, models=len(parts))
    return tuple(Contribution(1, {}, {}, counts_of(one, schema, over)) for one in results)


def combine_logits(outputs: Values, combine: Combine, part: Part) -> Values:
    """What models with these `outputs` [M, N, K] say of `part` together, as one model would put it.

    Of classes these are logits [N, K] again, the logarithms of the combined probabilities; of a number,
    values [N, 1]. A row of which a model gives no finite number has NaN.
    """
    if not part.num_classes:
        return combine_outputs(outputs, combine)
    with np.errstate(invalid="ignore"):  # of infinite logits NaN, which is counted
        powers = np.exp(outputs - outputs.max(axis=2, keepdims=True, initial=-np.inf))
        shares = combine_outputs(powers / powers.sum(axis=2, keepdims=True), combine)
    logits: Values = np.log(np.maximum(shares, _LEAST))
    return logits
