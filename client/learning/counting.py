"""The answer to a question that brings a function of its own: its counts over each client's rows."""

from collections.abc import Sequence

from calyx.questions.question import Basis, Count
from calyx.vector.contribution import Cells, Contribution, make_zeros
from client import journal
from client.gate.assignment import Assignment
from client.learning.contribution import Answer
from client.learning.preparation import prepare


def count(assignments: Sequence[Assignment], function: Count) -> list[Answer]:
    """What `function` counts of each client's rows; zeros of a client that lacks layers of the model."""
    return [(Contribution(1, {}, {}, _count(one, function)),) for one in assignments]


def _count(assignment: Assignment, function: Count) -> dict[str, Cells]:
    question, rows = assignment.question, assignment.rows
    table = rows.table if question.part == "all" else rows.parts[question.part]
    number = question.number(assignment.order.round) or 0
    journal.write(question.kind, round=number, num_examples=len(table))
    schema, min_cell = rows.task.schema, assignment.site.policy.min_cell
    if assignment.model is None:
        return dict(function(Basis(schema, table, None, None, min_cell)))
    (client,) = prepare([assignment])
    net = client.load(client.kept(number))
    if net is None:
        return make_zeros(assignment.segments.layouts[0].counts)
    part = None if question.part == "all" else client.data.parts[question.part]
    return dict(function(Basis(schema, table, part, net.eval(), min_cell)))
