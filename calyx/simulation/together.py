"""Clients whose trainings are computed as one (engine.cohort=true): whether a run's can be, and their sum.

What is computed is of the client's room (`client/learning/cohort.py`), and not the same bytes as one
client after another.
"""

import logging
import time
from collections.abc import Sequence

import numpy as np
from flwr.app import Message

from calyx.flower.messages import as_task
from calyx.machine.hardware import resolve
from calyx.model.makeup import makeup_of
from calyx.model.weights import initial_model
from calyx.preprocessing.fitting import num_inputs
from calyx.questions.registry import questions
from calyx.simulation.clients import (
    CLIENTS,
    ORDER,
    RUN_ID,
    Account,
    Clients,
    Content,
    Part,
    add_vectors,
)
from calyx.simulation.planning import Plan
from calyx.simulation.workers import find_parcel
from calyx.vector.quantise import FixedPoint, Residues
from calyx.wire import messages as wire
from client.config import node_config, read_site
from client.learning.cohort import find_obstacle
from client.learning.dense import read_stack
from client.reply import bare_vectors
from strategies.local import load_objective

log = logging.getLogger(__name__)


def obstacle_of(plan: Plan) -> str:
    """Why a run's clients cannot be trained together, as a clause; "" where they can.

    Raises ConfigError where the model or the strategy cannot be used at all.
    """
    if plan.run.privacy.is_encrypted:
        return "sums are encrypted, and each client masks a vector of its own"
    width = num_inputs(plan.task.schema, plan.preprocessing)
    model = initial_model(plan.task, width, plan.run.seed)
    strategy = plan.terms.strategy
    return find_obstacle(
        plan.run.training,
        load_objective(strategy.name, strategy.local),
        makeup_of(model, width),
        read_stack(model),
        resolve(read_site(node_config("any", plan.run.client)).hardware),
    )


def add_vectors_together(
    nodes: Sequence[int], message_type: str, fixed: FixedPoint, deadline: float | None
) -> Part:
    """`add_vectors`, where a training is computed for all of these clients at once.

    Whatever makes that fail as a whole is left to each of them alone, to say whose failure it is. A
    client's seconds are an equal share.
    """
    question = next(q for q in questions().values() if q.message_type == message_type)
    started = time.monotonic()
    if question.answer != "learn" or (deadline is not None and started >= deadline):
        return add_vectors(nodes, message_type, fixed, deadline)
    clients: Clients = find_parcel(CLIENTS)
    content: Content = find_parcel(ORDER)
    as_task(RUN_ID, nodes[0])
    asked = [(Message(content.shared, n, message_type), clients.context_of(n, None)) for n in nodes]
    try:
        came = bare_vectors(asked, question)
    except Exception:
        log.debug("trainings together have failed", exc_info=True)
        return add_vectors(nodes, message_type, fixed, deadline)
    vectors = [vector for vector, _ in came if isinstance(vector, np.ndarray)]
    seconds = (time.monotonic() - started) / len(nodes)
    return Part(
        fixed.mask,
        total=_sum(vectors, fixed) if vectors else None,
        accounts={
            n: Account(tuple(notes), seconds) for n, (_, notes) in zip(nodes, came, strict=True)
        },
        failures={
            n: wire.failure_reason(one)
            for n, (one, _) in zip(nodes, came, strict=True)
            if isinstance(one, Message)
        },
    )


def _sum(vectors: Sequence[Residues], fixed: FixedPoint) -> Residues:
    """In the first one's place: uint32 wraps by itself, and the mask at the end does the rest."""
    total = vectors[0]
    for vector in vectors[1:]:
        np.add(total, vector, out=total)
    return np.bitwise_and(total, np.uint32(fixed.mask), out=total)
