"""The client's adapter to `calyx-secagg/1`: orders and Flower messages in, bytes of stages out.

It decides nothing of the protocol. What it adds is what the pure part must not know: the site's
policy, its ledger, the clock, and where secrets are kept between two messages.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from flwr.app import Context, Message, RecordDict

from calyx.errors import WireError
from calyx.machine.spans import span
from calyx.privacy.section import PrivacyConfig
from calyx.questions.registry import question_of
from calyx.questions.segments import Segments, rules_of
from calyx.run.order import Order, to_json
from calyx.secagg.participant import Call, Member, abandon, answer, begin
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Rules, Subject
from calyx.secagg.rules import context as context_of
from calyx.secagg.session import Session
from calyx.vector.quantise import Residues
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.config import Site, read_site
from client.gate.alike import once_for_same
from client.gate.limits import Limits
from client.gate.memory import Memory, Open
from client.gate.policy import check_rules
from client.gate.tombstones import Answers, Tombstone, vector_keys
from client.partition import node_values

log = logging.getLogger(__name__)
_GRACE = (
    2.0  # a message may come so many deadlines after the last reply: the server waits for others
)


@dataclass(frozen=True)
class Opening:
    """A context that this client may take part in; nothing of it is written yet."""

    member: Member
    session: Session
    memory: Memory
    order: Order
    group: int
    answers: Answers


@dataclass(frozen=True)
class Wanted:
    """What an order asks for, as its other fields say it."""

    privacy: PrivacyConfig
    segments: Segments
    model: str = ""  # hash of the model's own tensors; of folds, of all their models together
    folds: tuple[str, ...] = ()  # hashes of the folds' models that this client would score


def open_context(
    site: Site, context: Context, order: Order, wanted: Wanted, data: Callable[[], str] = str
) -> Opening:
    """Check order, rules and roster against this site's policy and ledger. Raises Refusal.

    It comes before any training: what would be refused later costs nothing now. `data` is asked
    for a digest of this client's rows, once nothing else speaks against reading them.
    """
    member, privacy = site.member, wanted.privacy
    if member is None:
        raise Refusal(
            RefusalCode.OUTSIDE_POLICY, "This client has no key or roster; see client.identity."
        )
    check_rules(order, privacy, site.policy, member.roster)
    group = next(i for i, names in enumerate(order.groups) if site.name in names)
    ctx, rules, members = _bind(order, group, wanted.privacy, wanted.segments, member.roster)
    memory, now = Memory(context, site), time.time()
    ledger = memory.ledger
    ledger.check_roster(member.roster)
    ledger.check_members(order, member.roster)
    ledger.check_order(order, group, ctx, lambda odd: journal.write("chain", message=odd))
    ledger.check_limits(order, _limits(site), now, lambda odd: journal.write("clock", message=odd))
    version = data()  # a look at the rows, where the ledger's keys are of them
    answers = Answers(vector_keys(order, wanted.model, version), wanted.folds, version)
    ledger.check_scored(answers.folds, answers.data)
    ledger.superseded(order, answers.keys, member.roster)
    # Noted before any work: whatever comes of it, even a failure, says one thing and counts once.
    ledger.note_order(order, group, ctx, now)
    ledger.note_roster(member.roster, now)
    memory.save_ledger()
    return Opening(member, Session(ctx, member.u, rules, members), memory, order, group, answers)


@once_for_same
def _bind(
    order: Order, group: int, privacy: PrivacyConfig, segments: Segments, roster: Roster
) -> tuple[bytes, Rules, tuple[int, ...]]:
    """ctx, rules and members of one group of an order. Raises Refusal for too few or too many."""
    names = order.groups[group]
    rules = rules_of(privacy, segments, len(roster), len(order.groups), len(names))
    if len(names) < rules.smallest_sum(len(names)):
        raise Refusal(
            RefusalCode.TOO_FEW_CLIENTS,
            f"Its group has {len(names)} clients, fewer than {rules.smallest_sum(len(names))}.",
        )
    if len(names) > rules.n_max:
        raise Refusal(
            RefusalCode.TOO_MANY_CLIENTS,
            f"Its group has {len(names)} clients, above {rules.n_max}.",
        )
    ctx = context_of(subject_of(order, group), roster.digest, rules)
    return ctx, rules, tuple(sorted(roster.indices[name] for name in names))


def _limits(site: Site) -> Limits:
    policy = site.policy
    return Limits(
        runs=policy.runs_a_day,
        sums=policy.sums_a_day,
        failures=policy.failures_a_day,
        joins=policy.joins_a_day,
        unfinished=policy.unfinished_a_day,
    )


def subject_of(order: Order, group: int) -> Subject:
    """What the context of an order's group is about."""
    return Subject(
        task=str(order.terms.task["name"]),
        run=order.run,
        kind=order.kind,
        round=order.round,
        attempt=order.attempt,
        group=group,
        order=hashlib.sha256(to_json(order).encode()).digest(),
    )


def advertise(opening: Opening, vector: Residues) -> RecordDict:
    """Stage 0, after the training: keep the vector, show this context's keys."""
    order, memory, now = opening.order, opening.memory, time.time()
    # An earlier context of this client dies here: it keeps one at a time.
    gone = memory.ledger.superseded(order, opening.answers.keys, opening.member.roster)
    body = begin(opening.member, opening.session, vector, os.urandom)
    patience = _GRACE * order.deadline_s
    roster = opening.member.roster.digest.hex()
    number = order.round if question_of(order.kind).trains else 0
    head = (opening.session, order.run, number, roster, opening.answers, tuple(gone))
    memory.keep(Open(*head, expires=now + patience, patience=patience))
    return wire.stage_content(opening.session.ctx, body)


def on_stage(message: Message, context: Context, stage: int | None) -> Message:
    """Answer one of stages 1 to 4, or refuse it with a code.

    None asks for no stage, but to erase the shares of the open context and to sign that they are gone.
    """
    site, ctx = read_site(node_values(context)), bytes(32)
    journal.keep_in(site.state_dir)
    memory, opened = Memory(context, site), None
    try:
        ctx, body = wire.read_stage(message)
        member, opened = site.member, memory.load(ctx)
        if member is None or opened is None:
            raise Refusal(RefusalCode.WRONG_STAGE, "No such context is open here.")
        if opened.roster != member.roster.digest.hex():
            memory.erase(opened)
            raise Refusal(RefusalCode.OUTSIDE_POLICY, "A new roster has ended this context.")
        with span("encrypt"):
            if stage is None:
                reply = _abandoned(member, memory, opened)
            else:
                reply = _answered(member, memory, opened, (stage, body))
        return Message(wire.stage_content(ctx, reply), reply_to=message)
    except WireError as error:
        refused = Refusal(RefusalCode.MALFORMED, str(error))
    except Refusal as error:
        refused = error
    except Exception:
        memory.erase(opened)
        log.exception("A stage of the secure aggregation failed.")
        return wire.failure(FailureCode.INTERNAL_ERROR, message)
    return refuse(refused, message, (ctx, 4 if stage is None else stage), site)


def _answered(member: Member, memory: Memory, opened: Open, request: tuple[int, bytes]) -> bytes:
    """One stage; a dead context keeps nothing but what its abandonment needs."""
    (stage, body), session, now = request, opened.session, time.time()
    before = session.stage

    def commit() -> None:
        needed = session.rules.abandon_quorum(len(session.members))
        stone = Tombstone(session.ctx.hex(), session.root.hex(), list(session.members), needed)
        memory.ledger.note_vector(opened.answers, opened.gone, stone, now)

    try:
        if now > opened.expires:
            raise Refusal(RefusalCode.AFTER_DEADLINE, f"Stage {stage} came after the deadline.")
        reply = answer(member, session, Call(stage, body, os.urandom, commit))
    except Refusal:
        memory.stub(opened)
        raise
    if stage == 4:
        if opened.training:  # on disk before the shares leave: the next order must name this sum
            memory.ledger.note_revealed(opened.run, session, opened.training, now)
        memory.finish(opened)
    elif session.stage > before:  # a repeated request gains no time
        memory.keep(replace(opened, expires=now + opened.patience))
    return reply


def _abandoned(member: Member, memory: Memory, opened: Open) -> bytes:
    signature = abandon(member, opened.session)
    memory.stub(opened)
    return signature


def note_failure(context: Context, site: Site, cause: str) -> None:
    """An order failed on this client's rows: the server is told so, which counts within a day."""
    if site.member is not None:
        memory = Memory(context, site)
        memory.ledger.note_failure(time.time(), cause)
        memory.save_ledger()


def refuse(error: Refusal, message: Message, where: tuple[bytes, int], site: Site) -> Message:
    """A refusal: its sentence to the client's own journal, its code to the server (§5)."""
    ctx, stage = where
    accused = None if error.accused is None else _name(site, error.accused)
    journal.write(
        "refusal", code=error.code.value, message=str(error), stage=stage, accused=accused
    )
    return wire.refusal(wire.RefusalNote(error.code, stage, ctx, error.accused), message)


def _name(site: Site, u: int) -> str:
    known = site.member is not None and u < len(site.member.roster)
    return site.member.roster.name(u) if known and site.member else f"client {u}"
