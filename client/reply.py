"""What a client does with one order: gate → prepare → answer → contribute → one message.

Nothing of this client leaves it outside the vector of that message, and a failure leaves as one code.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from flwr.app import Context, Message

from calyx.errors import ConfigError
from calyx.questions.question import Question
from calyx.secagg.refusals import Refusal
from calyx.vector.quantise import Residues
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.config import Site, read_site
from client.failures import ClientFailure, tell_cause
from client.gate import secure_mod
from client.gate.assignment import Assignment, admit, open_assignment
from client.learning.cohort import learn_together
from client.learning.contribution import Answer, contribute
from client.learning.counting import count
from client.learning.judgement import judge
from client.learning.measurement import measure
from client.learning.preparation import Client, prepare
from client.learning.update import learn
from client.partition import node_values

log = logging.getLogger(__name__)
T = TypeVar("T")


def reply_to(message: Message, context: Context, question: Question) -> Message:
    """This client's contribution to an order of this `question`, or one code of why there is none."""

    def act(site: Site) -> Message:
        assignment, vector = _vector(message, context, question, site)
        if assignment.opening is None:
            content = wire.vector_content(vector, assignment.fixed)
        else:
            content = secure_mod.advertise(assignment.opening, vector)
        return Message(content, reply_to=message)

    return _guard(message, context, act)


def bare_vector(message: Message, context: Context, question: Question) -> Residues | Message:
    """What `reply_to` sends of an order that nothing is encrypted in: its vector, or why there is none.

    For a process that adds simulated clients' vectors up itself; no message leads here.
    """

    def act(site: Site) -> Residues:
        return _bare(*_vector(message, context, question, site))

    return _guard(message, context, act)


def bare_vectors(
    asked: Sequence[tuple[Message, Context]], question: Question
) -> list[Residues | Message]:
    """`bare_vector` for each of some clients of one order to train, which train together.

    Whatever happens to one of them is its own: where they fail together, they are asked one by one.
    """
    ready = [
        _guard(message, context, partial(_prepare, message, context, question))
        for message, context in asked
    ]
    clients = [one for one in ready if isinstance(one, Client)]
    try:
        with journal.collect_notes() as notes:
            answers = iter(learn_together(clients))
    except Exception:
        log.debug("Clients that were to train together are asked one by one.", exc_info=True)
        return [bare_vector(message, context, question) for message, context in asked]
    journal.pass_on(notes)
    vectors: list[Residues | Message] = []
    for (message, context), one in zip(asked, ready, strict=True):
        if isinstance(one, Message):
            vectors.append(one)
        else:
            encode = partial(_encode, one.assignment, next(answers))
            vectors.append(_guard(message, context, encode))
    return vectors


def _guard(message: Message, context: Context, act: Callable[[Site], T]) -> T | Message:
    """What `act` makes for this client, or the message of one code of why it cannot."""
    site = read_site(node_values(context))
    journal.keep_in(site.state_dir)
    try:
        with (
            journal.speak_for(site.name),
            tell_cause(site.name, is_site=site.is_deployed),
        ):
            return act(site)
    except Refusal as error:
        return secure_mod.refuse(error, message, (bytes(32), 0), site)
    except ClientFailure as error:
        if error.is_of_rows:
            secure_mod.note_failure(context, site, error.cause)
        return _fail(error, message)
    except ConfigError as error:  # a section of the order, or of this site, that cannot be used
        return _fail(ClientFailure(FailureCode.ORDER_REFUSED, str(error)), message)


def _vector(
    message: Message, context: Context, question: Question, site: Site
) -> tuple[Assignment, Residues]:
    assignment = open_assignment(admit(message, site, question.kind), context, site)
    with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
        (vector,) = contribute([assignment], _answer([assignment], question))
    return assignment, vector


def _prepare(message: Message, context: Context, question: Question, site: Site) -> Client:
    assignment = open_assignment(admit(message, site, question.kind), context, site)
    with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
        return prepare([assignment])[0]


def _encode(assignment: Assignment, answer: Answer, site: Site) -> Residues:
    with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
        return _bare(assignment, contribute([assignment], [answer])[0])


def _bare(assignment: Assignment, vector: Residues) -> Residues:
    if assignment.opening is not None:
        raise ValueError("a vector that is to be masked is shown to nobody")
    return vector


def _answer(assignments: list[Assignment], question: Question) -> list[Answer]:
    match question.answer:
        case "measure":
            return measure(assignments)
        case "learn":
            return learn(prepare(assignments))
        case "judge":
            return judge(prepare(assignments))
        case own:
            return count(assignments, own)


def _fail(error: ClientFailure, message: Message) -> Message:
    journal.write("failure", code=error.code.value, message=str(error))
    return wire.failure(error.code, message)
