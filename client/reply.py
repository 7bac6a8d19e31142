"""What a client does with one order: gate → prepare → answer → contribute → one message.

Nothing of this client leaves it outside the vector of that message, and a failure leaves as one code.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from client.config import Site, read_site
from client.failures import ClientFailure, tell_cause
from client.gate import secure_mod
from client.gate.assignment import Assignment, admit, open_assignment
from client.learning.cohort import learn_together
from client.learning.combination import judge_combined
from client.learning.contribution import Answer, contribute
from client.learning.counting import count
from client.learning.judgement import judge
from client.learning.measurement import measure
from client.learning.preparation import Client, prepare
from client.learning.update import learn
from client.partition import node_values

T = TypeVar("T")


def reply_to(message: Message, context: Context, question: Question) -> Message:
    """This client's contribution to an order of this `question`, or one code of why there is none."""

    def reply(site: Site) -> Message:
        assignment, vector = _contribute(message, context, question, site)
        if assignment.opening is None:
            content = wire.vector_content(vector, assignment.fixed)
        else:
            with span("encrypt"):
                content = secure_mod.advertise(assignment.opening, vector)
        return Message(content, reply_to=message)

    return _guard(message, context, reply)


def bare_vector(message: Message, context: Context, question: Question) -> Residues | Message:
    """What `reply_to` sends of an order that nothing is encrypted in: its vector, or why there is none.

    For a process that adds simulated clients' vectors up itself; no message leads here.
    """

    def vector_of(site: Site) -> Residues:
        assignment, vector = _contribute(message, context, question, site)
        return _bare(assignment, vector)

    return _guard(message, context, vector_of)


def bare_vectors(
    asked: Sequence[tuple[Message, Context]],
    question: Question,
    notes: Sequence[list[journal.Note]],
) -> Iterator[tuple[int, Residues | Message]]:
    """`bare_vector` of simulated clients of one training, computed together, each with its place.

    What each of them writes down goes behind its `notes`. Raises whatever is raised for all of them:
    then each may be asked alone.
    """
    clients: dict[int, Client] = {}
    for i, (message, context) in enumerate(asked):
        with journal.collect_notes(notes[i]):
            one = _guard(message, context, partial(_let_in, message, context, question))
        if isinstance(one, Message):
            yield i, one
        else:
            clients[i] = one
    places = list(clients)
    alone = [partial(journal.collect_notes, notes[i]) for i in places]
    for number, answer in learn_together(list(clients.values()), alone):
        i = places[number]
        with journal.collect_notes(notes[i]):
            vector = _guard(*asked[i], partial(_encode, clients[i].assignment, answer))
        yield i, vector


def _let_in(message: Message, context: Context, question: Question, site: Site) -> Client:
    (client,) = prepare([open_assignment(admit(message, site, question.kind), context, site)])
    return client


def _encode(assignment: Assignment, answer: Answer, site: Site) -> Residues:
    with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
        (vector,) = contribute([assignment], [answer])
    return _bare(assignment, vector)


def _bare(assignment: Assignment, vector: Residues) -> Residues:
    if assignment.opening is not None:
        raise ValueError("a vector that is to be masked is shown to nobody")
    return vector


def _contribute(
    message: Message, context: Context, question: Question, site: Site
) -> tuple[Assignment, Residues]:
    assignment = open_assignment(admit(message, site, question.kind), context, site)
    with tell_cause(site.name, assignment.rows.task, is_site=site.is_deployed):
        (vector,) = contribute([assignment], _answer([assignment], question))
    return assignment, vector


def _guard(message: Message, context: Context, work: Callable[[Site], T]) -> T | Message:
    """What comes of this client's `work`, or the message of one code."""
    site = read_site(node_values(context))
    journal.keep_in(site.state_dir)
    try:
        with tell_cause(site.name, is_site=site.is_deployed):
            return work(site)
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
        case "judge" | "withstand":
            return judge(prepare(assignments))
        case "combine":
            return judge_combined(prepare(assignments))
        case own:
            return count(assignments, own)


def _fail(error: ClientFailure, message: Message) -> Message:
    journal.write("failure", code=error.code.value, message=str(error))
    return wire.failure(error.code, message)
