"""What each order of a run has in common with those before it: its terms, its group, and time's arrow."""

from calyx.config.section import digest
from calyx.run.order import Order
from calyx.secagg.refusals import Refusal, RefusalCode
from client.gate.chain import RunEntry


def check_continues(entry: RunEntry, order: Order, group: int, ctx: bytes) -> None:
    """(round, attempt) after the last of its kind, and the run's own terms and group. Raises Refusal."""
    if entry.ctx == ctx.hex():
        raise Refusal(RefusalCode.CONTEXT_REUSED, "The order's context was used before.")
    last = entry.last.get(order.kind)
    if last is not None and [order.round, order.attempt] <= last:
        raise Refusal(
            RefusalCode.ROUND_REPLAYED,
            f"Round {order.round}, attempt {order.attempt} is not after the last ({order.kind}).",
        )
    if entry.terms != terms_digest(order):
        raise Refusal(RefusalCode.RULES_CHANGED, "The run's terms have changed.")
    if entry.group != group:
        raise Refusal(
            RefusalCode.SECOND_GROUP, f"It was in group {entry.group} of this run, not {group}."
        )


def terms_digest(order: Order) -> str:
    """By which the terms of an order are known again."""
    terms = order.terms
    cv = vars(terms.cv) if terms.cv else None
    value = vars(terms) | {"strategy": vars(terms.strategy), "cv": cv}
    if terms.cohort_size is None:
        del value["cohort_size"]  # as ledgers have it that were begun before it travelled
    return digest(value)
