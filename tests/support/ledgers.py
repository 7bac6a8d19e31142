"""A site's ledger without a site: what it would answer, asked by orders alone."""

from calyx.secagg.refusals import Refusal
from calyx.secagg.rules import Rules
from calyx.secagg.session import Session
from client.failures import ClientFailure
from client.gate.ledger import open_ledger
from client.gate.limits import Limits
from client.gate.tombstones import Answers, Tombstone, vector_keys
from support.orders import digit

NOW = 1.8e9
DAILY = Limits(runs=12, sums=1000, failures=3, joins=2, unfinished=100)


class Site:
    """A client's ledger, on disk as on a site; it is read anew before each order."""

    def __init__(self, folder, limits=DAILY):
        self.path, self.limits, self.now, self.odd = folder / "ledger.jsonl", limits, NOW, []

    @property
    def ledger(self):
        open_ledger.cache_clear()
        return open_ledger(self.path)

    def take(self, order, opened=True, now=None, rows="rows"):
        """ "" or the code of a refusal; an order that is taken brings a vector, and opens its sum."""
        self.now += 1
        now = self.now if now is None else now
        ledger, ctx = self.ledger, context(order)
        try:
            ledger.check_order(order, 0, ctx, self.odd.append)
            ledger.check_limits(order, self.limits, now, self.odd.append)
            folds = (order.weights,) if order.kind in ("cv", "ensemble") else ()
            answers = Answers(vector_keys(order, order.weights, rows), folds, rows)
            ledger.check_scored(answers.folds, answers.data)
            ledger.superseded(order, answers.keys, None)
        except (Refusal, ClientFailure) as error:
            return error.code.value
        ledger.note_order(order, 0, ctx, now)
        if opened:
            ledger.note_vector(answers, (), Tombstone(ctx.hex(), "f" * 64, [0], 1), now)
            if order.kind == "train":
                session = Session(ctx, 0, RULES, (0,))
                session.root = bytes.fromhex("f" * 64)
                ledger.note_revealed(order.run, session, order.round, now)
        return ""


RULES = Rules(5, 3, 1, 128, 32, 25, 1, bytes(32), 1.0, 16, 256, 1)


def context(order):
    """Of a training the one that the next order's link names; another for each other order."""
    if order.kind == "train" and order.attempt == 1:
        return bytes.fromhex(digit(order.round))
    kinds = ("train", "evaluate", "test", "statistics", "cv", "robust", "ensemble")
    head = kinds.index(order.kind) + 1
    return bytes([head, order.round % 256, order.attempt % 256]) + order.run.encode()[:20].ljust(29)
