"""Clients whose trainings are computed as one (engine.cohort=true): whether a run's can be, and their sum.

What is computed is of the client's room (`client/learning/cohort.py`), and not the same bytes as one
client after another.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from flwr.app import Message, RecordDict

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
    Part,
    add_vectors,
)
from calyx.simulation.jobs import find_parcel
from calyx.simulation.planning import Plan
from calyx.vector.quantise import FixedPoint
from calyx.wire import messages as wire
from client.config import node_config, read_site
from client.journal import Note
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
    content: RecordDict = find_parcel(ORDER)
    as_task(RUN_ID, nodes[0])
    asked = [(Message(content, n, message_type), clients.context_of(n, None)) for n in nodes]
    notes: list[list[Note]] = [[] for _ in nodes]
    part, total = Part(fixed.mask), None
    try:
        for place, one in bare_vectors(asked, question, notes):
            if isinstance(one, Message):
                part.failures[nodes[place]] = wire.failure_reason(one)
            elif total is None:
                total = one.copy()
            else:
                # In place: uint32 wraps by itself, and the mask at the end does the rest.
                np.add(total, one, out=total)
    except Exception:  # whatever it was, each client says it for itself
        log.debug("trainings together have failed", exc_info=True)
        part = add_vectors(nodes, message_type, fixed, deadline)
        return _with_rows_said(part, dict(zip(nodes, notes, strict=True)))
    if total is not None:
        np.bitwise_and(total, np.uint32(fixed.mask), out=total)
    seconds = (time.monotonic() - started) / len(nodes)
    accounts = {n: Account(tuple(own), seconds) for n, own in zip(nodes, notes, strict=True)}
    return replace(part, total=total, accounts=accounts)


def _with_rows_said(part: Part, notes: Mapping[int, list[Note]]) -> Part:
    """With what clients have said of their rows before: they say it once, when they read them."""
    own = {
        node: tuple(note for note in said if note.kind not in (*questions(), "failure"))
        for node, said in notes.items()
    }
    accounts = {
        node: replace(account, notes=(*own[node], *account.notes))
        for node, account in part.accounts.items()
    }
    return replace(part, accounts=accounts)
