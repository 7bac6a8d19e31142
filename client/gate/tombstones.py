"""What stands for a masked vector that has left this client, and what undoes it. `calyx-secagg/1` §5."""

from dataclasses import dataclass

from calyx.config.section import digest
from calyx.questions.evaluate import QUESTION as EVALUATE
from calyx.questions.registry import question_of
from calyx.run.order import Abandoned, Order
from calyx.secagg.keys import verify
from calyx.secagg.roster import Roster


@dataclass(frozen=True)
class Tombstone:
    """A masked vector has left: in which context, among whom, and what would undo it."""

    ctx: str
    root: str
    members: list[int]  # U0
    needed: int  # signatures that prove that its sum can never open


@dataclass(frozen=True)
class Answers:
    """What a client's vector would answer, by which it is known again."""

    keys: tuple[str, ...]  # of `vector_keys`
    folds: tuple[str, ...] = ()  # hashes of the folds' models that it would score
    data: str = ""  # version of the rows, where that counts


def vector_keys(order: Order, model: str, data: str) -> tuple[str, ...]:
    """What the order's vector would answer: a digest of (task, quantity, model) for each quantity.

    `model` is the hash of the model's own tensors: what travels beside it makes no other model. Of
    folds it is that of all their models together. Statistics are of no model: `data`, a digest of
    this client's rows, takes its place. So a client gives them once for each version of its data,
    whatever the run and its settings.
    """
    task, subject = order.terms.task["name"], model
    if question_of(order.kind).model == "none":
        subject = data
    quantities = [order.kind, EVALUATE.kind] if order.is_validated else [order.kind]
    return tuple(digest([task, quantity, subject]) for quantity in quantities)


def proves(proof: Abandoned, stone: Tombstone | None, roster: Roster) -> bool:
    """Whether enough of a sum's members have signed that it can never open (§5)."""
    if stone is None or stone.root != proof.root:
        return False
    ctx, root = bytes.fromhex(proof.ctx), bytes.fromhex(proof.root)
    signed = [
        u
        for u in stone.members
        if (signature := proof.signatures.get(roster.name(u))) is not None
        and verify(roster.key(u), bytes.fromhex(signature), "abandon", ctx, root)
    ]
    return len(signed) >= stone.needed
