"""What a client does with one order: gate → prepare → answer → contribute → one message.

Nothing of this client leaves it outside the vector of that message, and a failure leaves as one code.
"""

from collections.abc import Callable
from typing import TypeVar

from flwr.app import Context, Message

from calyx.errors import ConfigError
from calyx.machine.spans import span
from calyx.questions.question import Question
from calyx.secagg.refusals import Refusal
from calyx.vector.quantise import Residues
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.config import read_site
from client.failures import ClientFailure, tell_cause
from client.gate import secure_mod
from client.gate.assignment import Assignment, admit, open_assignment
from client.learning.contribution import Answer, contribute
from client.learning.counting import count
from client.learning.judgement import judge
from client.learning.measurement import measure
from client.learning.preparation import prepare
from client.learning.update import learn
from client.partition import node_values

T = TypeVar("T")


def reply_to(message: Message, context: Context, question: Question) -> Message:
    """This client's contribution to an order of this `question`, or one code of why there is none."""

    def finish(assignment: Assignment, vector: Residues) -> Message:
        if assignment.opening is None:
            content = wire.vector_content(vector, assignment.fixed)
        else:
            with span("encrypt"):
                content = secure_mod.advertise(assignment.opening, vector)
        return Message(content, reply_to=message)

    return _contribute(message, context, question, finish)


def bare_vector(message: Message, context: Context, question: Question) -> Residues | Message:
    """What `reply_to` sends of an order that nothing is encrypted in: its vector, or why there is none.

    For a process that adds simulated clients' vectors up itself; no message leads here.
    """

    def finish(assignment: Assignment, vector: Residues) -> Residues:
        if assignment.opening is not None:
            raise ValueError("a vector that is to be masked is shown to nobody")
        return vector

    return _contribute(message, context, question, finish)


def _contribute(
    message: Message,
    context: Context,
    question: Question,
    finish: Callable[[Assignment, Residues], T],
) -> T | Message:
    """What `finish` makes of this client's vector, or the message of one code."""
    site = read_site(node_values(context))
    journal.keep_in(site.state_dir)
    try:
        with tell_cause(site.name, is_site=site.is_deployed):
            assignment = open_assignment(admit(message, site, question.kind), context, site)
            with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
                (vector,) = contribute([assignment], _answer([assignment], question))
            return finish(assignment, vector)
    except Refusal as error:
        return secure_mod.refuse(error, message, (bytes(32), 0), site)
    except ClientFailure as error:
        if error.is_of_rows:
            secure_mod.note_failure(context, site, error.cause)
        return _fail(error, message)
    except ConfigError as error:  # a section of the order, or of this site, that cannot be used
        return _fail(ClientFailure(FailureCode.ORDER_REFUSED, str(error)), message)


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
