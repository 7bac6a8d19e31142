"""What honest servers ask of each client, recorded and put before a ledger again.

A trace is a JSON object: the orders of one flow (`support.flows`), each once, and of each client what
came of those that it got, in their order:

    [index of the order, context, [vector keys, folds, data, given-up contexts] or null, root or null]

The root is there if the client opened the sum; an order that it did not take has its index and context
only. Digests are numbered (`#1`), so that no byte of a model is kept. They are recorded anew by

    PYTHONPATH=tests python -m support.traces FOLDER [NAME ...]

where FOLDER is an empty one, in which the flows run.
"""

import json
import re
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from flwr.app import Message

from calyx.config.section import parse
from calyx.flower.messages import as_task
from calyx.privacy.section import PrivacyConfig
from calyx.questions.registry import question_of
from calyx.run.order import Order, to_json
from calyx.secagg.roster import Roster
from calyx.secagg.rules import Rules
from calyx.secagg.session import Session
from calyx.wire import messages as wire
from client.gate.ledger import Ledger
from client.gate.limits import Limits
from client.gate.policy import PolicyConfig, accept, check_rules
from client.gate.tombstones import Answers, Tombstone
from support.federation import config_of
from support.flows import FLOWS, SMALL

FOLDER = Path(__file__).parents[1] / "client" / "traces"
TEMPLATE = Limits(runs=12, sums=1000, failures=3, joins=2, unfinished=100)  # docs/secagg.md §11
NOW, MINUTE_S = 1.8e9, 60
_RULES = Rules(5, 3, 1, 128, 32, 25, 1, bytes(32), 1.0, 16, 256, 1)
_HEX = re.compile(r'"([0-9a-f]{64})"')


class Recorder:
    """All that the ledgers of a flow's sites are told, by the name of the site's folder."""

    def __init__(self):
        self.orders, self.clients = {}, {}  # order as text → index; name → what came of its orders

    def asked(self, ledger, order, group, ctx, *_):
        index = self.orders.setdefault(to_json(order), len(self.orders))
        told = {"order": index, "ctx": ctx.hex(), "is_taken": False, "vector": None, "root": None}
        self.clients.setdefault(_name(ledger), []).append(told)

    def taken(self, ledger, order, group, ctx, now):
        self._of(ledger, ctx.hex())["is_taken"] = True

    def vector(self, ledger, answers, gone, stone, now):
        told = [answers.keys, answers.folds, answers.data, gone]
        self._of(ledger, stone.ctx)["vector"] = told

    def revealed(self, ledger, run, session, number, now):
        self._of(ledger, session.ctx.hex())["root"] = session.root.hex()

    def _of(self, ledger, ctx):
        return next(one for one in reversed(self.clients[_name(ledger)]) if one["ctx"] == ctx)

    def text(self):
        """The trace, its digests numbered and what orders have in common said once."""
        orders = [json.loads(order) for order in self.orders]
        terms = []
        for order in orders:
            order["terms"]["preprocessing"]["fitted"] = None
            order["abandoned"] = []  # proofs are names and signatures, which other tests check
            if order["terms"] not in terms:
                terms.append(order["terms"])
            order["terms"] = terms.index(order["terms"])
        clients = {name: list(map(_row, told)) for name, told in self.clients.items()}
        value = {"terms": terms, "orders": orders, "clients": clients}
        numbers = {}
        text = json.dumps(value, separators=(",", ":")).replace("},{", "},\n{")
        return _HEX.sub(lambda m: f'"#{numbers.setdefault(m[1], len(numbers) + 1)}"', text) + "\n"


def _name(ledger):
    return ledger.path.parent.name


def _row(told):
    head = [told["order"], told["ctx"]]
    return [*head, told["vector"], told["root"]] if told["is_taken"] else head


@contextmanager
def recording(monkeypatch):
    """Record what all ledgers are told."""
    recorder = Recorder()
    _watch(monkeypatch, "check_order", recorder.asked)
    _watch(monkeypatch, "note_order", recorder.taken)
    _watch(monkeypatch, "note_vector", recorder.vector)
    _watch(monkeypatch, "note_revealed", recorder.revealed)
    yield recorder


def _watch(monkeypatch, name, tell):
    real = getattr(Ledger, name)

    def watched(ledger, *arguments):
        tell(ledger, *arguments)
        return real(ledger, *arguments)

    monkeypatch.setattr(Ledger, name, watched)


class Remembered(Ledger):
    """A site's ledger whose file is a list, read as if the site had just been started."""

    def __init__(self, lines=()):
        super().__init__()
        self.lines = list(lines)
        for line in lines:
            self._apply(line)

    def _write(self, line):
        self.lines.append(json.loads(json.dumps(line)))
        self._apply(line)


class Trace:
    """A recorded flow: its orders, and of each client what came of those that it got."""

    def __init__(self, text):
        value = json.loads(re.sub(r'"#(\d+)"', lambda m: f'"{int(m[1]):064x}"', text))
        self.orders = [
            parse(Order, order | {"terms": value["terms"][order["terms"]]}, "")
            for order in value["orders"]
        ]
        self.clients = value["clients"]
        names = {name for order in self.orders for group in order.groups for name in group}
        self.roster = Roster(1, tuple((name, bytes(32)) for name in sorted(names)), b"", b"")
        as_task(1)
        for order in self.orders:
            self._accept(order)

    def _accept(self, order):
        """What a client checks before its ledger, whoever it is. A refusal is raised."""
        message = Message(
            wire.order_content({}, to_json(order)), 1, question_of(order.kind).message_type
        )
        accept(message, order.groups[0][0], order.kind)
        privacy = parse(PrivacyConfig, order.terms.privacy, "privacy")
        check_rules(order, privacy, _policy(), self.roster)

    def replay(self, name):
        """Put a client's orders before its ledger, and give that. A refusal is raised.

        The client is started anew before each order and each vector, and a day has room for all.
        """
        ledger = Remembered()
        for minute, (index, ctx, *came) in enumerate(self.clients[name]):
            now, order = NOW + minute * MINUTE_S, self.orders[index]
            ledger, ctx = Remembered(ledger.lines), bytes.fromhex(ctx)
            group = next(i for i, names in enumerate(order.groups) if name in names)
            ledger.check_members(order, self.roster)
            ledger.check_order(order, group, ctx)
            ledger.check_limits(order, TEMPLATE, now)
            if not came:  # rows that have given their statistics
                continue
            ledger.note_order(order, group, ctx, now)
            if came[0] is not None:
                ledger = Remembered(ledger.lines)
                _answer(ledger, order, ctx, came, now)
        return ledger


@cache
def _policy():
    return parse(PolicyConfig, config_of(*SMALL)["client"]["policy"], "client.policy")


def _answer(ledger, order, ctx, came, now):
    """A vector leaves, and the sum is opened if it was."""
    (keys, folds, data, gone), root = came
    stone = Tombstone(ctx.hex(), root or "0" * 64, [0], 1)
    ledger.note_vector(Answers(tuple(keys), tuple(folds), data), gone, stone, now)
    if root is not None:
        session = Session(ctx, 0, _RULES, (0,))
        session.root = bytes.fromhex(root)
        ledger.note_revealed(order.run, session, order.round, now)


def main():
    """Record the flows that are named, or all, below the folder that is the first argument."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[2:] or FLOWS:
        with pytest.MonkeyPatch.context() as patch, recording(patch) as recorder:
            patch.setenv("XDG_STATE_HOME", str(Path(sys.argv[1]) / name / "kept"))
            patch.setattr(
                "client.learning.measurement.local_findings", lambda *_: []
            )  # a second a site
            FLOWS[name](Path(sys.argv[1]) / name)
        path = FOLDER / f"{name}.json"
        path.write_text(recorder.text())
        trace = Trace(path.read_text())
        joins = max(len(trace.replay(client).joins) for client in trace.clients)
        asked = sum(map(len, trace.clients.values()))
        print(f"{name}: {len(trace.orders)} orders, asked {asked} times, {joins} joins at most")


if __name__ == "__main__":
    main()
